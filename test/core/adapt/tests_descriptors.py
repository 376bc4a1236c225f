"""Tests of descriptors: they ask for older outputs, in whose place stand taproot outputs of the same keys.

What is expected is computed here, by Core's framework and by BIP32 in Python, so that karat does not check itself.
"""

import hashlib
import hmac
import re

from test_framework import address
from test_framework.descriptors import descsum_create
from test_framework.key import compute_xonly_pubkey
from test_framework.script import taproot_construct

from .notes import note
from .source import Change, LeaveOut

LEGACY = "legacy scripts"
ROOT = "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

# The addresses in the tests, and the paths of their keys.
PATHS = {
    "mkHV1C6JLheLoUSSZYk7x3FH5tnx9bu7yc": "0h/0h/0h", "mipUSRmJAj2KrjSvsPQtnP8ynUon7FhpCR": "0h/0h/1h",
    "n37dAGe6Mq1HGM9t4b6rFEEsDGq7Fcgfqg": "0h/0h/1500h", "mqS9Rpg8nNLAzxFExsgFLCnzHBsoQ3PRM6": "0h/0h/0",
    "mnTg5gVWr3rbhHaKjJv7EEEc76ZqHgSj4S": "0h/0h/1", "mketCd6B9U9Uee1iCsppDJJBHfvi6U6ukC": "0h/0h/1500",
    "mj8zFzrbBcdaWXowCQ1oPZ4qioBVzLzAp7": "1/1/0h", "mfnKpKQEftniaoE1iXuMMePQU3PUpcNisA": "1/1/1h",
    "mou6cB1kaP1nNJM1sryW6YRwnd4shTbXYQ": "1/1/1500h", "mtfUoUax9L4tzXARpw1oTGxWyoogp52KhJ": "1/1/0",
    "mxp7w7j8S1Aq6L8StS2PqVvtt4HGxXEvdy": "1/1/1", "mpQ8rokAhp1TAtJQR6F6TaUmjAWkAWYYBq": "1/1/1500",
    "mkS4HXoTYWRTescLGaUTGbtTTYX5EjJyEE": "5",
    "bcrt1qjqmxmkpmxt80xz4y3746zgt0q3u3ferr34acd5": "1/1/0", "bcrt1qhku5rq7jz8ulufe2y6fkcpnlvpsta7rq4442dy": "1/1/1",
    "bcrt1qpgptk2gvshyl0s9lqshsmx932l9ccsv265tvaq": "1/1/2", "bcrt1q7c8mdmdktrzs8xgpjmqw90tjn65j5a3yj04m3n": "1/0/1",
    "bcrt1qs6n37uzu0v0qfzf0r0csm0dwa7prc0v5uavgy0": "1/0/2", "bcrt1qtzs23vgzpreks5gtygwxf8tv5rldxvvsyfpdkg": "1/1/2147483647",
}


def private_key(path):
    """The private key at a path from the root (BIP32)."""
    rest, version = address.base58_to_byte(ROOT)
    raw = bytes([version]) + rest
    chain, key = raw[13:45], raw[46:78]
    for step in path.split("/"):
        index = int(step.rstrip("h")) + (1 << 31 if step.endswith("h") else 0)
        x, odd = compute_xonly_pubkey(key)
        data = b"\x00" + key if index >> 31 else bytes([2 + odd]) + x
        digest = hmac.new(chain, data + index.to_bytes(4, "big"), hashlib.sha512).digest()
        key = ((int.from_bytes(digest[:32], "big") + int.from_bytes(key, "big")) % ORDER).to_bytes(32, "big")
        chain = digest[32:]
    return key


def taproot_address(path):
    return address.output_key_to_p2tr(taproot_construct(compute_xonly_pubkey(private_key(path))[0]).output_pubkey)


class Taproot:
    """tr() in the place of older functions of one key, with the addresses and checksums that follow."""

    def __init__(self, *functions):
        self.functions = functions

    def apply(self, text):
        known = [old for old in PATHS if old in text]
        if not known:
            raise ValueError("no address of the test is known")
        for old in known:
            text = text.replace(old, taproot_address(PATHS[old]))
        for function in self.functions:
            if function + "(" not in text:
                raise ValueError(f"{function}() is not there")
            # What is expected of a key, and then what is asked for.
            text = re.sub(rf"\b{function}\((\[[0-9a-f/h]+\])0[23]([0-9a-f]{{64}})\)#\w{{8}}", lambda m: descsum_create(f"tr({m[1]}{m[2]})"), text)
            text = re.sub(rf'"{function}\(([^"#]+)\)#\w{{8}}"', lambda m: '"' + descsum_create(f"tr({m[1]})") + '"', text)
            text = re.sub(rf'"{function}\((?=tp|\{{|\[)', '"tr(', text)
        note(f"changed: tr() for {', '.join(self.functions)}: {LEGACY}")
        return text


TEXT = {
    "rpc_deriveaddresses": [
        LeaveOut("combo_descriptor = descsum_create", LEGACY, until="# P2PK does not have a valid address"),
        LeaveOut("bare_multisig_descriptor = descsum_create", LEGACY, until="if __name__"),
        Change('descsum_create("pk(' + ROOT + ')")', 'descsum_create("raw(6a)")', "data in the place of P2PK, which has no address either"),
        Taproot("wpkh"),
    ],
    "rpc_scantxoutset": [
        LeaveOut('"start", ["pkh(" + pubk1.hex()', LEGACY, item=True),
        LeaveOut('"start", ["wpkh(" + pubk1.hex()', LEGACY, item=True),
        LeaveOut('"start", ["sh(wpkh(" + pubk1.hex()', LEGACY, item=True),
        Change('"combo(" + pubk', '"rawtr(" + pubk', LEGACY, times=4),
        Taproot("combo", "pkh"),
    ],
    "rpc_scanblocks": [Taproot("pkh")],
    "rpc_getdescriptoractivity": [
        LeaveOut("        self.test_no_address(node, wallet)", "each output that can be spent has an address", item=True),
    ],
}
