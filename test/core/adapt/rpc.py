"""Methods that only Core has, and that its framework itself needs."""

import time

from test_framework.authproxy import AuthServiceProxy
from test_framework.test_node import TestNode

from . import keys
from .notes import note

UNSPENDABLE = f"raw(5120{bytes(32).hex()})"


class Scanner:
    """The unspent outputs of one script, for a node without scantxoutset: it reads the blocks, each once."""

    def __init__(self):
        self.hashes, self.blocks = [], {}

    def follow(self, node):
        height = node.getblockcount()
        del self.hashes[height + 1:]
        while self.hashes and node.getblockhash(len(self.hashes) - 1) != self.hashes[-1]:
            self.hashes.pop()
        for h in range(len(self.hashes), height + 1):
            at = node.getblockhash(h)
            if at not in self.blocks:
                self.blocks[at] = node.getblock(at, 2)
            self.hashes.append(at)

    def unspent(self, node, scripts):
        self.follow(node)
        found = {}
        for height, at in enumerate(self.hashes):
            for i, tx in enumerate(self.blocks[at]["tx"]):
                for spent in tx["vin"]:
                    found.pop((spent.get("txid"), spent.get("vout")), None)
                for out in tx["vout"]:
                    if out["scriptPubKey"]["hex"] in scripts and height > 0:
                        found[tx["txid"], out["n"]] = {"txid": tx["txid"], "vout": out["n"], "scriptPubKey": out["scriptPubKey"]["hex"],
                                                       "amount": out["value"], "coinbase": i == 0, "height": height}
        return {"success": True, "height": len(self.hashes) - 1, "unspents": list(found.values())}


def scantxoutset(self, action, scanobjects):
    if "scanner" not in vars(self):  # TestNode asks the node for what it does not know
        self.scanner = Scanner()
    return self.scanner.unspent(self, {text.removeprefix("raw(").partition(")")[0] for text in scanobjects})


def patch_connection():
    """karatd hangs up on a connection without requests for two minutes; bitcoin.conf asks Core not to."""
    request = AuthServiceProxy._request

    def request_anew(self, *args):
        connection = self._AuthServiceProxy__conn
        if time.monotonic() - getattr(connection, "last_used", 0) > 60:
            connection.close()  # it opens itself again
        try:
            return request(self, *args)
        finally:
            connection.last_used = time.monotonic()

    AuthServiceProxy._request = request_anew


def payee(output):
    """An address or descriptor that blocks can pay: what is no taproot output is one that nobody can spend."""
    if output.startswith("raw(") and not keys.allowed(bytes.fromhex(output[4:].partition(")")[0])):
        note(f"{output.partition('#')[0]} is a taproot output that nobody can spend")
        return UNSPENDABLE
    return output


def generateblock(self, output, transactions, submit=None, called_by_framework=False):
    assert called_by_framework
    return self.__getattr__("generateblock")(payee(output), transactions, *([] if submit is None else [submit]))


def generatetodescriptor(self, num_blocks, descriptor, maxtries=1000000, called_by_framework=False):
    assert called_by_framework
    return self.__getattr__("generatetodescriptor")(num_blocks, payee(descriptor), maxtries)


def patch():
    patch_connection()
    TestNode.generateblock, TestNode.generatetodescriptor = generateblock, generatetodescriptor
    TestNode.scantxoutset = scantxoutset
