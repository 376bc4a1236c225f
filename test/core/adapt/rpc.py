"""What the framework itself asks, and karatd answers in another way."""

import time

from test_framework.authproxy import AuthServiceProxy
from test_framework.test_node import TestNode

from . import keys
from .notes import note

UNSPENDABLE = f"raw(5120{bytes(32).hex()})"


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
