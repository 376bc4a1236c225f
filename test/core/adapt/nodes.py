"""Nodes: how they are started, found, connected and watched."""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

from test_framework import test_node, util
from test_framework.authproxy import JSONRPCException
from test_framework.test_framework import BitcoinTestFramework
from test_framework.test_node import TestNode

from . import keys
from .notes import note
from .options import IGNORED, Node

CACHED_BLOCKS = 199  # Core's framework begins most tests on a chain of so many blocks
CHANGES_NOTHING = """daemon datadir debug debugexclude disablewallet fallbackfee keypool loglevel logratelimit logsourcelocations
    logthreadnames logtimemicros port rpcport server uacomment v2transport unsafesqlitesync mocktime whitelist bind listen rpcbind rpcwhitelist""".split()


def started(node):
    """Does what an option of the command line says and karatd is told by RPC."""
    asked = Node(node.arguments)
    mocktime = asked.last("mocktime")
    if mocktime is not None:
        node.setmocktime(int(mocktime))
    for name, value in asked.options:
        if name in IGNORED and name not in CHANGES_NOTHING and f"-{name}" in " ".join(node.arguments):
            note(f"option left out: -{name}={value}")


def patch_start():
    start, wait = TestNode.start, TestNode.wait_for_rpc_connection

    def start_and_remember(self, extra_args=None, **kwargs):
        extra = list(self.extra_args if extra_args is None else extra_args)
        self.arguments = [f"-datadir={self.datadir_path}"] + extra
        (self.chain_path).mkdir(parents=True, exist_ok=True)
        self.log_start = os.path.getsize(self.debug_log_path) if self.debug_log_path.exists() else 0
        start(self, extra, **kwargs)

    def wait_and_set(self, **kwargs):
        try:
            wait(self, **kwargs)
        except test_node.FailedToStartError as failed:
            raise test_node.FailedToStartError(f"{failed}\n{tail(self)}") from None
        started(self)

    TestNode.start, TestNode.wait_for_rpc_connection = start_and_remember, wait_and_set


def tail(node, lines=5):
    """What karatd said last."""
    with open(node.debug_log_path, encoding="utf-8", errors="replace") as log:
        log.seek(node.log_start)
        return "\n".join(log.read().splitlines()[-lines:])


def assert_start_raises_init_error(self, extra_args=None, expected_msg=None, match=None, *args, **kwargs):
    """karatd must refuse to start, too, and say why; its words are its own."""
    with open(os.devnull, "wb") as nothing:
        self.start(extra_args, stdout=nothing, stderr=nothing, *args, **kwargs)
        try:
            code = self.process.wait(timeout=self.rpc_timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self._raise_assertion_error(f"karatd starts with {extra_args}; Core says: {expected_msg}")
        finally:
            self.running, self.process = False, None
    said = tail(self)
    assert code in (1, 2) and said.strip(), f"karatd ended with {code} and said: {said}"
    note(f"words of a refusal to start: {said.splitlines()[-1]!r} for Core's {expected_msg!r}")


@contextlib.contextmanager
def assert_debug_log(self, expected_msgs, unexpected_msgs=None, *, timeout=0):
    """Texts of the log are karat's own. A text that a test waits for, to know that something has begun, is awaited by
    asking."""
    yield
    for text in expected_msgs:
        method = re.search(r"ThreadRPCServer method=(\w+)", str(text))
        if method:
            self.wait_until(lambda: any(call["method"] == method[1] for call in self.getrpcinfo()["active_commands"]), timeout=max(timeout, 10))
        else:
            note(f"text of the log: {text}")


@contextlib.contextmanager
def busy_wait_for_debug_log(self, expected_msgs, timeout=60):
    yield
    if b"init message: Done loading" not in expected_msgs:
        note(f"text of the log: {expected_msgs}")
        return

    def announced():
        with open(self.stdout.name, "rb") as said:
            return b"Stop with Ctrl-C." in said.read()

    self.wait_until(announced, timeout=timeout)


def node_id(node):
    """Who a node is: peers are known by their key. It is asked anew, since tests remove data folders."""
    return node.getnetworkinfo()["nodeid"]


def connection(node, peer, **wanted):
    return [p for p in node.getpeerinfo() if p["nodeid"] == peer and all(p[key] == value for key, value in wanted.items())]


def is_connected_to(self, other):
    return bool(connection(self, node_id(other)))


def connect_nodes(self, a, b, *, peer_advertises_v2=None):
    """Connects node a to node b by address and waits until each has the other, by its node id."""
    one, other = self.nodes[a], self.nodes[b]
    ids = node_id(one), node_id(other)
    with contextlib.suppress(AssertionError):  # one that is about to end
        self.wait_until(lambda: not connection(one, ids[1]) and not connection(other, ids[0]), timeout=5)
    if connection(one, ids[1]) and connection(other, ids[0]):
        note(f"nodes {a} and {b} are connected already: two nodes hold one connection, whoever called")
        return
    one.addnode(f"127.0.0.1:{util.p2p_port(b)}", "onetry")
    self.wait_until(lambda: connection(one, ids[1], inbound=False))
    self.wait_until(lambda: connection(other, ids[0], inbound=True))


def disconnect_nodes(self, a, b):
    one, other = self.nodes[a], self.nodes[b]
    ids = node_id(one), node_id(other)
    for peer in connection(one, ids[1]):
        with contextlib.suppress(JSONRPCException):  # it may have ended by itself
            one.disconnectnode(nodeid=peer["id"])
    self.wait_until(lambda: not connection(one, ids[1]) and not connection(other, ids[0]))


def initialize_chain(self):
    """Core's _initialize_chain with karatd's files: a chain of 199 blocks is made once and copied for each node."""
    cached = util.get_datadir_path(self.options.cachedir, 0)
    os.makedirs(self.options.cachedir, exist_ok=True)
    with open(os.path.join(self.options.cachedir, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run at once need it at once
        if not os.path.isdir(cached):
            make_chain(self, cached)
    for i in range(self.num_nodes):
        shutil.copytree(cached, util.get_datadir_path(self.options.tmpdir, i))
        util.initialize_datadir(self.options.tmpdir, i, self.chain, self.disable_autoconnect)


def make_chain(self, folder):
    util.initialize_datadir(self.options.cachedir, 0, self.chain, self.disable_autoconnect)
    node = TestNode(0, folder, chain=self.chain, extra_conf=["bind=127.0.0.1"], extra_args=[], rpchost=None, timewait=self.rpc_timeout,
                    timeout_factor=self.options.timeout_factor, binaries=self.get_binaries(), coverage_dir=None, cwd=self.options.tmpdir)
    node.start()
    node.wait_for_rpc_connection()
    node.setmocktime(node.getblockheader(node.getbestblockhash())["time"])
    payees = [key.address for key in TestNode.PRIV_KEYS[:3]] + [keys.anyone_address()]
    for i in range(8):
        node.generatetoaddress(min(25, CACHED_BLOCKS - 25 * i), payees[i % 4], called_by_framework=True)
    assert node.getblockcount() == CACHED_BLOCKS
    node.stop_node()
    for name in ("node.key", ".cookie", "debug.log", "mempool.dat", "peers.dat", "anchors.dat"):
        Path(folder, self.chain, name).unlink(missing_ok=True)


def synced(self):
    """syncwithvalidationinterfacequeue: whoever has mined a block, or heard of one, gets no answer from before it."""


def stop(self, wait=0):
    return self.__getattr__("stop")()


def block_files(node, folder):
    """Writes the blocks of a node as Core keeps them, masked by a key, and returns the folder."""
    key = bytes(range(3, 11))
    blocks = [bytes.fromhex(node.getblock(node.getblockhash(height), 0)) for height in range(node.getblockcount() + 1)]
    framed = b"".join(bytes.fromhex("fabfb5da") + len(block).to_bytes(4, "little") + block for block in blocks)
    path = Path(folder, "core_blocks")
    path.mkdir()
    (path / "xor.dat").write_bytes(key)
    (path / "blk00000.dat").write_bytes(bytes(byte ^ key[i % 8] for i, byte in enumerate(framed)))
    return path


def patch():
    patch_start()
    TestNode.assert_start_raises_init_error = assert_start_raises_init_error
    TestNode.assert_debug_log = assert_debug_log
    TestNode.busy_wait_for_debug_log = busy_wait_for_debug_log
    TestNode.is_connected_to = is_connected_to
    TestNode.stop = stop
    TestNode.syncwithvalidationinterfacequeue = synced
    BitcoinTestFramework.connect_nodes = connect_nodes
    BitcoinTestFramework.disconnect_nodes = disconnect_nodes
    BitcoinTestFramework._initialize_chain = initialize_chain
