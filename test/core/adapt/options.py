"""Bitcoin Core's options as karatd's: what the `bitcoind` of this folder starts."""

import os
import re
import socket


class Refused(Exception):
    """An option that karatd has not and that a test would miss."""


def coins_to_grains(text):
    """A feerate in coins per 1000 virtual bytes, Core's unit, as grains per virtual byte."""
    digits = re.fullmatch(r"(\d*)\.?(\d*)", text)
    if not digits:
        raise Refused(f"{text} is no amount")
    return f"{float(text) * 1e5:.3f}"


def same(flag, value=lambda text: text):
    return lambda text: [f"--{flag}={value(text)}"]


def switch(flag):
    return lambda text: [f"--{flag}={'false' if text in ('0', 'false') else 'true'}"]


def publish(topic):
    """Where a topic is published. Core starts without what is no address; karatd says so."""
    return lambda text: [f"--zmq={topic}={text}"] if ":" in text else []


# Core's name: what karatd is given for it.
OPTIONS = {
    "txindex": switch("txindex"),
    "txospenderindex": switch("txospenderindex"),
    "blockfilterindex": lambda text: [f"--filters={'false' if text == '0' else 'true'}"],
    "dbcache": same("dbcache"),
    "coinstatsindex": switch("coinstatsindex"),
    "loadblock": same("load-block"),
    "prune": same("prune"),
    "fastprune": switch("fast-prune"),
    "stopatheight": same("stop-at-height"),
    "maxmempool": same("mempool", lambda text: text + "m"),  # millions of bytes
    "mempoolexpiry": same("mempool-expiry"),
    "persistmempool": switch("persist-mempool"),
    "minrelaytxfee": same("min-feerate", coins_to_grains),
    "incrementalrelayfee": same("incremental-feerate", coins_to_grains),
    "dustrelayfee": same("dust-feerate", coins_to_grains),
    "limitclustercount": same("limit-cluster-count"),
    "limitclustersize": same("limit-cluster-size"),
    "datacarrier": switch("data-carrier"),
    "datacarriersize": same("data-carrier-size"),
    "blockmaxweight": same("block-max-weight"),
    "blockreservedweight": same("block-reserved-weight"),
    "blockmintxfee": same("block-min-feerate", coins_to_grains),
    "rpcauth": same("rpc-auth"),
    "rpccookieperms": same("rpc-cookie-perms"),
    "rpccookiefile": lambda text: ["--rpc-use-cookie=false"] if text == "0" else [],
    "rpcservertimeout": same("rpc-timeout", lambda text: text + "s"),
    "rpcallowip": same("rpc-allow-ip"),
    "rpcwhitelistdefault": same("rpc-allow-default", lambda text: "none" if text == "1" else "all"),
    "maxuploadtarget": same("max-upload"),
    "proxy": same("proxy"),
    "onion": same("onion"),
    "externalip": same("external-address"),
    "rest": switch("rest"),
    "blocknotify": same("blocknotify"),
    "alertnotify": same("alertnotify"),
    "startupnotify": same("startupnotify"),
    "shutdownnotify": same("shutdownnotify"),
} | {
    "zmqpub" + topic: publish(topic) for topic in ("hashblock", "hashtx", "rawblock", "rawtx", "sequence")
}

# What changes nothing that a test of rules, policy or answers could see.
IGNORED = set("""
    acceptnonstdtxn addresstype assumevalid blockversion checkaddrman checkblockindex checkblocks checklevel checkmempool
    daemon debug debugexclude deprecatedrpc disablewallet discover dnsseed fallbackfee fixedseeds forcednsseed keypool
    listenonion logips loglevel loglevelalways logratelimit logsourcelocations logthreadnames logtimemicros logtimestamps
    maxconnections maxtipage mocktime natpmp par peertimeout persistmempoolv1 port prevoutfetchthreads printtoconsole
    regtest rpcbind rpcclienttimeout rpcdoccheck rpcport rpcthreads rpcuser rpcpassword rpcwhitelist rpcworkqueue server
    shrinkdebugfile timeout uacomment unsafesqlitesync upnp v2transport wallet walletbroadcast
    walletrejectlongchains mempoolfullrbf datadir conf bind listen connect addnode whitelist permitbaremultisig
    bytespersigop limitancestorcount limitancestorsize limitdescendantcount limitdescendantsize
    acceptstalefeeestimates printpriority test testactivationheight walletnotify
""".split())


def split(argument):
    """-name=value or -noname as name and value, as Core reads it."""
    name, equals, value = argument.lstrip("-").partition("=")
    if not equals:
        value = "1"
    if name.startswith("no") and name[2:] and (name[2:] in OPTIONS or name[2:] in IGNORED):
        return name[2:], "0" if value != "0" else "1"
    return name, value


def read_file(path, chain):
    """The lines of a bitcoin.conf that concern a chain."""
    found, section = [], ""
    if not os.path.exists(path):
        return found
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            line = line.split("#")[0].strip()
            if line.startswith("["):
                section = line.strip("[]")
            elif line and section in ("", chain):
                found.append(split(line))
    return found


def has_ipv6():
    """Whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Node:
    """What a command line and a bitcoin.conf ask for."""

    def __init__(self, arguments, chain="regtest"):
        given = [split(argument) for argument in arguments]
        self.datadir = dict(given).get("datadir", "")
        self.options = read_file(os.path.join(self.datadir, "bitcoin.conf"), chain) + given
        self.chain = chain

    def last(self, name, default=None):
        return next((value for n, value in reversed(self.options) if n == name), default)

    def every(self, name):
        return [value for n, value in self.options if n == name]

    def all_of(self, name):
        """All values of an option, but those before one that takes them back (-norpcauth)."""
        values = self.every(name)
        while "0" in values:
            values = values[values.index("0") + 1:]
        return values

    def listen(self):
        """Where peers call: the tests' nodes never leave this machine."""
        if self.last("listen") == "0":
            return "none"
        binds = [bind for bind in self.every("bind") if not bind.endswith("=onion")]
        port = binds[-1].rpartition(":")[2] if binds and re.search(r":\d+$", binds[-1]) else self.last("port", "18444")
        return f"127.0.0.1:{port}"

    def peers(self):
        to = [peer for peer in self.every("connect") if peer != "0"] + self.every("addnode")
        alone = bool(self.every("connect"))
        trusted = ["--trust-peer=127.0.0.1"] if self.every("whitelist") else []
        return [f"--connect={peer}" for peer in to] + (["--no-discovery"] if alone else []) + trusted

    def users(self):
        """rpcuser and rpcpassword: karatd reads the password from a file."""
        user, password = self.last("rpcuser"), self.last("rpcpassword")
        if not user or not password:
            return []
        path = os.path.join(self.datadir, "rpcpassword")
        with open(path, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        return [f"--rpc-user={user}", f"--rpc-password-file={path}"]

    def rpc_listen(self):
        """Where clients call: what -rpcbind says, if -rpcallowip says who may; else at this machine."""
        port = self.last("rpcport", "18443")
        binds = self.every("rpcbind")
        if not binds or not self.every("rpcallowip"):
            return [f"127.0.0.1:{port}"] + [f"[::1]:{port}"] * has_ipv6()
        return [bind if re.search(r"[^:\]]:\d+$|\]:\d+$", bind) else f"{bind}:{port}" for bind in binds]

    def lists(self):
        """What users may call. Of several lines for a user Core takes what all have, karatd what any has."""
        lists = {}
        for line in self.every("rpcwhitelist"):
            name, _, text = line.partition(":")
            methods = {method for method in re.split("[, ]", text) if method and method != ":"}
            lists[name] = lists.get(name, methods) & methods
        return [f"--rpc-allow={name}:{'+'.join(sorted(methods)) or '@none'}" for name, methods in lists.items()]

    def arguments(self, network):
        """karatd's command line, and the options that change nothing here."""
        out = [f"--network={network}", f"--datadir={self.datadir}", "--log-level=debug", f"--listen={self.listen()}",
               *(f"--rpc-listen={at}" for at in self.rpc_listen())]
        if self.last("txindex") is None:
            out.append("--txindex=false")
        if self.last("blockfilterindex") is None:
            out.append("--filters=false")
        out += self.peers() + self.users() + self.lists()
        for name in dict.fromkeys(name for name, _ in self.options):
            if name in OPTIONS:
                values = self.all_of(name) if name in ("rpcauth", "externalip", "rpcallowip") or name.startswith("zmqpub") else [self.last(name)]
                for value in values:
                    out += OPTIONS[name](value)
            elif name not in IGNORED:
                raise Refused(f"-{name} is none of karatd's options")
        return out
