"""Peers that tests write in Python: what they say and hear in Bitcoin's protocol is put into karat's and back.

The connection is that of docs/examples/follow.py. What karat's protocol does not have cannot be said: a test that tries
fails, with that reason.
"""

import importlib.util
import io
import json
import os
import socket
import struct
import threading
import time

from test_framework import messages as m
from test_framework import p2p
from test_framework.p2p import P2PConnection, P2PInterface

from .notes import note

EXAMPLE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "..", "docs", "examples", "follow.py")
HELLO, PING, PONG, GETPEERS, PEERS, GETHEADERS, HEADERS, INV, GETTXS, TX = range(1, 11)
GETBLOCKS, BLOCK, NOTFOUND, COMPACTBLOCK, GETBLOCKTXS, BLOCKTXS, FEEFILTER, SENDCOMPACT, GETPARENTS = range(11, 20)
FRAGMENT = 16_000
NODE_NETWORK, NODE_WITNESS, NODE_NETWORK_LIMITED = 1, 8, 1024


class NotSpoken(Exception):
    """Bitcoin's own peer protocol: a message that karat's does not have."""


def example():
    spec = importlib.util.spec_from_file_location("follow", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


follow = example()


def network():
    with open(os.environ["KARAT_NETWORK"], encoding="utf-8") as file:
        return follow.Network(json.load(file))


def hashes(items):
    return follow.compact_size(len(items)) + b"".join(m.ser_uint256(item.hash) for item in items)


def getdata(message):
    """The requests that a getdata becomes: transactions by witness id or by id, and blocks."""
    kinds = {m.MSG_WTX: GETTXS, m.MSG_TX: GETPARENTS, m.MSG_BLOCK: GETBLOCKS, m.MSG_CMPCT_BLOCK: GETBLOCKS}
    asked = {}
    for item in message.inv:
        asked.setdefault(kinds[item.type & ~m.MSG_WITNESS_FLAG], []).append(item)
    return [(kind, hashes(items)) for kind, items in asked.items()]


def inventory(message):
    known = [item for item in message.inv if item.type == m.MSG_WTX]
    if len(known) < len(message.inv):
        raise NotSpoken("an inv of something else than witness ids")
    return [(INV, hashes(known))]


def headers(message):
    all_of_them = [m.CBlockHeader(header).serialize()[:80] for header in message.headers]
    return [(HEADERS, follow.compact_size(len(all_of_them)) + b"".join(all_of_them))]


# What Python's peers say: the messages of karat that it becomes.
SAY = {
    b"version": lambda _: [], b"verack": lambda _: [], b"wtxidrelay": lambda _: [], b"sendaddrv2": lambda _: [],
    b"sendheaders": lambda _: [], b"getaddr": lambda _: [(GETPEERS, b"")],
    b"ping": lambda message: [(PING, struct.pack("<Q", message.nonce))],
    b"pong": lambda message: [(PONG, struct.pack("<Q", message.nonce))],
    b"inv": inventory, b"getdata": getdata, b"headers": headers,
    b"tx": lambda message: [(TX, message.tx.serialize_with_witness())],
    b"block": lambda message: [(BLOCK, message.block.serialize())],
    b"getheaders": lambda message: [(GETHEADERS, m.ser_uint256_vector(message.locator.vHave) + m.ser_uint256(message.hashstop))],
    b"feefilter": lambda message: [(FEEFILTER, struct.pack("<Q", message.feerate))],
    b"sendcmpct": lambda message: [(SENDCOMPACT, bytes([bool(message.announce)]))],
    b"notfound": lambda message: [(NOTFOUND, b"\1" + hashes(message.vec))],
}


def invs(kind, payload):
    return [m.CInv(kind, h) for h in m.deser_uint256_vector(io.BytesIO(payload))]


def heard_headers(payload):
    reader, message = follow.Reader(payload), m.msg_headers()
    for _ in range(reader.length()):
        header = m.CBlockHeader()
        header.deserialize(io.BytesIO(reader.take(80)))
        message.headers.append(header)
    return message


def heard_getheaders(payload):
    reader, message = io.BytesIO(payload), m.msg_getheaders()
    message.locator.vHave = m.deser_uint256_vector(reader)
    message.hashstop = m.deser_uint256(reader)
    return message


def heard_whole(message, payload):
    message.deserialize(io.BytesIO(payload))
    return message


def heard_notfound(payload):
    message = m.msg_notfound()
    message.vec = invs(m.MSG_BLOCK if payload[0] == 2 else m.MSG_WTX, payload[1:])
    return message


# What karatd says: the messages that Python's peers hear.
HEAR = {
    PING: lambda payload: m.msg_ping(*struct.unpack("<Q", payload)),
    PONG: lambda payload: m.msg_pong(*struct.unpack("<Q", payload)),
    INV: lambda payload: m.msg_inv(invs(m.MSG_WTX, payload)),
    GETTXS: lambda payload: m.msg_getdata(invs(m.MSG_WTX, payload)),
    GETPARENTS: lambda payload: m.msg_getdata(invs(m.MSG_TX | m.MSG_WITNESS_FLAG, payload)),
    GETBLOCKS: lambda payload: m.msg_getdata(invs(m.MSG_BLOCK | m.MSG_WITNESS_FLAG, payload)),
    HEADERS: heard_headers,
    GETHEADERS: heard_getheaders,
    TX: lambda payload: heard_whole(m.msg_tx(), payload),
    BLOCK: lambda payload: heard_whole(m.msg_block(), payload),
    NOTFOUND: heard_notfound,
    FEEFILTER: lambda payload: m.msg_feefilter(*struct.unpack("<Q", payload)),
    GETPEERS: lambda payload: m.msg_getaddr(),
}


class Transport:
    """What Core's framework takes for the transport of a connection."""

    def __init__(self, socket_):
        self.socket = socket_

    def get_extra_info(self, _):
        return self.socket

    def is_closing(self):
        return False

    def abort(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already


def open_connection(self, services):
    """Runs in a thread: connects, greets, and hears until the connection ends."""
    net = network()
    try:
        self.karat = follow.Connection((self.dstaddr, self.dstport), net)
    except (OSError, follow.ProtocolError) as failed:
        p2p.logger.debug(f"no connection to {self.dstaddr}:{self.dstport}: {failed}")
        return
    agent = p2p.P2P_SUBVERSION.encode()
    self.asked, self.asking = set(), threading.Condition()
    self.karat.send(HELLO, struct.pack("<IQB", 2, services, len(agent)) + agent + struct.pack(
        "<I32sqHB", 0, follow.double_sha256(net.genesis), int(time.time()), 0, bool(p2p.P2P_VERSION_RELAY)) + bytes(18))
    self._transport = Transport(self.karat.socket)
    self.on_open()
    self.on_connection_send_msg = None
    try:
        hear(self)
    except (OSError, follow.ProtocolError) as ended:
        p2p.logger.debug(f"connection to {self.dstaddr}:{self.dstport} ended: {ended}")
    self.karat.socket.close()
    self._transport = None
    self.on_close()


def hear(self):
    self.hearing = threading.current_thread()
    while True:
        try:
            kind, payload = self.karat.receive(time.monotonic() + 60)
        except socket.timeout:
            continue
        if kind == HELLO:
            hello = m.msg_version()
            hello.nVersion, hello.relay, hello.nServices = p2p.P2P_VERSION, 1, NODE_NETWORK | NODE_WITNESS
            self.on_message(hello)
            self.on_message(m.msg_verack())
            continue
        if kind == GETTXS:
            with self.asking:
                self.asked.update(m.deser_uint256_vector(io.BytesIO(payload)))
                self.asking.notify_all()
        self.answered = False
        if kind in HEAR:
            message = HEAR[kind](payload)
            if kind == INV:
                message.inv = [item for item in message.inv if item.hash not in getattr(self, "old", ())]
            self._log_message("receive", message)
            self.on_message(message)
        # karat's protocol asks for an answer; Core's peers say nothing when they have nothing.
        if kind in (GETHEADERS, GETPEERS) and not self.answered:
            send(self, kind + 1, b"\0")


def send(self, kind, payload):
    """Sends a message in fragments."""
    with self._send_lock:
        for start in range(0, max(len(payload), 1), FRAGMENT):
            part = payload[start:start + FRAGMENT]
            record = self.karat.sender.encrypt(struct.pack("<BBHI", 0, kind, len(part), len(payload)) + part)
            self.karat.socket.settimeout(30)
            self.karat.socket.sendall(struct.pack("<H", len(record)) + record)


def offer(self, wtxid):
    """Announces a transaction and waits until the node asks for it: karat takes none that it has not asked for. For one
    that it does not want it never asks."""
    with self.asking:
        if wtxid in self.asked or threading.current_thread() is self.hearing:
            return
        send(self, INV, m.ser_uint256_vector([wtxid]))
        self.asking.wait_for(lambda: wtxid in self.asked, timeout=2)


def send_without_ping(self, message, is_decoy=False):
    if is_decoy or message.msgtype not in SAY:
        raise NotSpoken(f"Bitcoin's own peer protocol: karat's has no {message.msgtype.decode()}")
    if not self.is_connected:
        raise IOError("Not connected")
    self._log_message("send", message)
    if message.msgtype == b"tx":
        offer(self, message.tx.wtxid_int)
    for kind, payload in SAY[message.msgtype](message):
        self.answered = True
        send(self, kind, payload)


def peer_connect(self, *, dstaddr, dstport, net, timeout_factor, services=NODE_NETWORK | NODE_WITNESS, send_version=True, supports_v2_p2p=False):
    if not send_version:
        raise NotSpoken("Bitcoin's own peer protocol: a connection without a version")
    self.peer_connect_helper(dstaddr, dstport, net, timeout_factor)
    self.on_connection_send_msg = "a hello"  # until it is sent
    note("a peer of the test's speaks karat's protocol")
    return threading.Thread(target=open_connection, args=(self, services & (NODE_NETWORK | NODE_NETWORK_LIMITED)), daemon=True).start


def hears_news(node):
    """A peer that hears of what comes after it: karat's nodes tell a new peer of what waits already, Core's do not."""
    peer = p2p.P2PTxInvStore()
    peer.old = {int(entry["wtxid"], 16) for entry in node.getrawmempool(True).values()}
    return peer


def no_listener(self, *args, **kwargs):
    raise NotSpoken("Bitcoin's own peer protocol: a peer that the node would call")


def send_raw_message(self, raw_message_bytes):
    raise NotSpoken("Bitcoin's own peer protocol: raw bytes of it")


def patch():
    P2PConnection.send_raw_message = send_raw_message
    P2PConnection.send_without_ping = send_without_ping
    P2PInterface.peer_connect = peer_connect
    P2PInterface.peer_accept_connection = no_listener
