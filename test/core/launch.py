#!/usr/bin/env python3
"""Runs one of Bitcoin Core's functional tests, unmodified, against karatd. README.md tells how.

    launch.py TEST [options of Core's framework, such as --nocleanup or --loglevel=DEBUG]
"""

import os
import sys
import tempfile
import types

HERE = os.path.dirname(os.path.realpath(__file__))

CONFIG = """[environment]
CLIENT_NAME=karat
CLIENT_BUGREPORT=test/core/README.md
SRCDIR={source}
BUILDDIR={build}
EXEEXT=
RPCAUTH={source}/share/rpcauth/rpcauth.py
[components]
{components}
"""
COMPONENTS = """ENABLE_WALLET BUILD_BENCH ENABLE_CLI BUILD_BITCOIN_TX ENABLE_BITCOIN_UTIL ENABLE_BITCOIN_CHAINSTATE ENABLE_WALLET_TOOL
    ENABLE_FUZZ_BINARY ENABLE_ZMQ ENABLE_EMBEDDED_ASMAP ENABLE_EXTERNAL_SIGNER ENABLE_USDT_TRACEPOINTS ENABLE_IPC BUILD_GUI""".split()


def config_file(source):
    """What Core's build would have written: none of its programs but bitcoind is there, and bitcoin-cli if BITCOINCLI
    names one."""
    there = {"ENABLE_ZMQ"} | ({"ENABLE_CLI"} if os.environ.get("BITCOINCLI") else set())
    with tempfile.NamedTemporaryFile("w", suffix=".ini", delete=False) as file:
        file.write(CONFIG.format(source=source, build=HERE, components="\n".join(f"{name}={str(name in there).lower()}" for name in COMPONENTS)))
    return file.name


def cache_folder():
    """Where the chain of 199 blocks is kept on which most tests begin: made anew for each build of karatd."""
    return os.path.join(tempfile.gettempdir(), f"karat-core-{os.getuid()}-{int(os.stat(os.environ['KARATD']).st_mtime)}")


def load(source, name, change):
    """The module of a test, whose text is changed first."""
    path = os.path.join(source, "test", "functional", name + ".py")
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path, encoding="utf-8") as file:
        exec(compile(change(name, file.read()), path, "exec"), vars(module))
    return module, path


def main():
    source = os.environ["KARAT_CORE_SOURCE"]
    name = os.path.basename(sys.argv[1]).removesuffix(".py")
    sys.path[:0] = [HERE, os.path.join(source, "test", "functional")]
    sys.dont_write_bytecode = True  # the checkout stays as it is
    os.environ["BITCOIND"] = os.path.join(HERE, "bitcoind")
    os.environ.setdefault("KARAT_NETWORK", os.path.join(HERE, "..", "..", "testdata", "bitcoin-regtest.json"))
    os.environ.setdefault("KARATD", os.path.join(HERE, "..", "..", "bin", "karatd"))

    from adapt import keys, nodes, notes, peers, rpc, tests
    for part in (nodes, keys, peers, rpc):
        part.patch()
    module, path = load(source, name, tests.change_text)
    test = tests.adapt(name, module)
    config = config_file(source)
    sys.argv = [path, f"--configfile={config}", f"--cachedir={cache_folder()}"] + sys.argv[2:]
    try:
        test(path).main()
    finally:
        os.unlink(config)
        for line in notes.lines():
            print("NOTE", line)


main()
