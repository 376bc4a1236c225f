"""Outputs: what Core's framework pays to keys, hashes and OP_TRUE is paid to taproot outputs."""

from test_framework import address, blocktools, descriptors, wallet
from test_framework.key import compute_xonly_pubkey
from test_framework.script import CScript, taproot_construct
from test_framework.test_node import TestNode
from test_framework.wallet import MiniWallet, MiniWalletMode

from .notes import note


def anyone_address():
    """Where MiniWallet is paid: a taproot output that OP_TRUE spends."""
    return address.create_deterministic_address_bcrt1_p2tr_op_true()[0]


def anyone_script():
    return CScript(address.address_to_scriptpubkey(anyone_address()))


def key_address(secret):
    return address.output_key_to_p2tr(taproot_construct(compute_xonly_pubkey(secret)[0]).output_pubkey)


def patch_addresses():
    pair = TestNode.AddressKeyPair
    secrets = [address.base58_to_byte(known.key)[0][:32] for known in TestNode.PRIV_KEYS]
    TestNode.PRIV_KEYS = [pair(key_address(secret), known.key) for secret, known in zip(secrets, TestNode.PRIV_KEYS)]
    unspendable = address.program_to_witness(1, bytes(32))  # no point of the curve has the coordinate 0
    address.ADDRESS_BCRT1_UNSPENDABLE = unspendable
    address.ADDRESS_BCRT1_UNSPENDABLE_DESCRIPTOR = descriptors.descsum_create(f"addr({unspendable})")
    getnewdestination = wallet.getnewdestination

    def taproot_destination(address_type="bech32m"):
        if address_type != "bech32m":
            note(f"an address of type {address_type} is a taproot address")
        return getnewdestination("bech32m")

    wallet.getnewdestination = taproot_destination


def patch_wallet():
    make = MiniWallet.__init__

    def taproot_wallet(self, test_node, *, mode=MiniWalletMode.ADDRESS_OP_TRUE, tag_name=None):
        if mode != MiniWalletMode.ADDRESS_OP_TRUE:
            note(f"MiniWallet's {mode.name} is a taproot output that OP_TRUE spends")
            tag_name = mode.name
        make(self, test_node, mode=MiniWalletMode.ADDRESS_OP_TRUE, tag_name=tag_name)

    MiniWallet.__init__ = taproot_wallet


def patch_blocks():
    create_coinbase, create_tx = blocktools.create_coinbase, blocktools.create_tx_with_script

    def taproot_coinbase(height, pubkey=None, *, script_pubkey=None, **kwargs):
        if pubkey is not None:
            script_pubkey = CScript([1, pubkey[1:33]])
        return create_coinbase(height, script_pubkey=anyone_script() if script_pubkey is None else script_pubkey, **kwargs)

    def taproot_tx(prevtx, n, script_sig=b"", *, amount, output_script=None):
        return create_tx(prevtx, n, script_sig, amount=amount, output_script=anyone_script() if output_script is None else output_script)

    blocktools.create_coinbase, blocktools.create_tx_with_script = taproot_coinbase, taproot_tx


def patch():
    patch_addresses()
    patch_wallet()
    patch_blocks()
