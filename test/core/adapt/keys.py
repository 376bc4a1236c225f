"""Outputs: what Core's framework pays to keys, hashes and OP_TRUE is paid to taproot outputs."""

import sys

from test_framework import address, blocktools, descriptors, wallet
from test_framework.key import compute_xonly_pubkey, sign_schnorr, tweak_add_privkey
from test_framework.messages import CTxInWitness, CTxOut, tx_from_hex
from test_framework.script import CScript, SIGHASH_DEFAULT, TaprootSignatureHash, hash256, taproot_construct
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


def allowed(script):
    """Whether karat's blocks may have this output: a witness program of version 1 to 16, or data."""
    script = CScript(script)
    if script.IsWitnessProgram():
        return script[0] != 0
    try:
        return script[:1] == b"\x6a" and all(opcode <= 0x60 for opcode, _, _ in CScript(script[1:]).raw_iter())
    except ValueError:
        return False


def op_true_output():
    """In the place of P2WSH with OP_TRUE: a taproot output that OP_TRUE spends, and is not MiniWallet's."""
    return taproot_construct(compute_xonly_pubkey(hash256(b"P2WSH"))[0], [("only-path", CScript([1]))])


def op_true_witness():
    """What spends that output."""
    info = op_true_output()
    leaf = info.leaves["only-path"]
    return [leaf.script, bytes([leaf.version | info.negflag]) + info.internal_pubkey]


def hashed_script(script):
    """In the place of P2WSH and P2SH: for OP_TRUE a taproot output that it spends, else one that nobody can spend."""
    if bytes(script) == bytes(CScript([1])):
        return op_true_output().scriptPubKey
    return CScript([1, hash256(bytes(script))])


def patch_addresses():
    pair = TestNode.AddressKeyPair
    secrets = [address.base58_to_byte(known.key)[0][:32] for known in TestNode.PRIV_KEYS]
    TestNode.PRIV_KEYS = [pair(key_address(secret), known.key) for secret, known in zip(secrets, TestNode.PRIV_KEYS)]
    unspendable = address.program_to_witness(1, bytes(32))  # no point of the curve has the coordinate 0
    address.ADDRESS_BCRT1_UNSPENDABLE = unspendable
    address.ADDRESS_BCRT1_P2WSH_OP_TRUE = address.program_to_witness(1, op_true_output().scriptPubKey[2:])
    address.ADDRESS_BCRT1_UNSPENDABLE_DESCRIPTOR = descriptors.descsum_create(f"addr({unspendable})")
    getnewdestination = wallet.getnewdestination

    getnewaddress = wallet.NodeSigner.getnewaddress

    def taproot_destination(address_type="bech32m"):
        if address_type != "bech32m":
            note(f"an address of type {address_type} is a taproot address")
        return getnewdestination("bech32m")

    wallet.getnewdestination = taproot_destination
    wallet.NodeSigner.getnewaddress = lambda self, address_type="legacy": getnewaddress(self, "bech32m")


def patch_wallet():
    make = MiniWallet.__init__

    def taproot_wallet(self, test_node, *, mode=MiniWalletMode.ADDRESS_OP_TRUE, tag_name=None):
        if mode != MiniWalletMode.ADDRESS_OP_TRUE:
            note(f"MiniWallet's {mode.name} is a taproot output that OP_TRUE spends")
            tag_name = mode.name
        make(self, test_node, mode=MiniWalletMode.ADDRESS_OP_TRUE, tag_name=tag_name)

    MiniWallet.__init__ = taproot_wallet


def signrawtransaction(self, tx_hex, inputs):
    """NodeSigner's, without the node: keys are no business of karatd."""
    tx = tx_from_hex(tx_hex)
    secrets = {bytes(entry["output_script"]).hex(): address.base58_to_byte(entry["seckey_wif"])[0][:32] for entry in self._key_entries}
    spent = [CTxOut(int(i["amount"] * 100_000_000), bytes.fromhex(i["scriptPubKey"])) for i in inputs]
    tx.wit.vtxinwit = [CTxInWitness() for _ in tx.vin]
    for i, output in enumerate(spent):
        tap = taproot_construct(compute_xonly_pubkey(secrets[output.scriptPubKey.hex()])[0])
        key = tweak_add_privkey(secrets[output.scriptPubKey.hex()], tap.tweak)
        tx.wit.vtxinwit[i].scriptWitness.stack = [sign_schnorr(key, TaprootSignatureHash(tx, spent, SIGHASH_DEFAULT, i))]
    return {"hex": tx.serialize().hex(), "complete": True}


def patch_blocks():
    create_coinbase, create_tx = blocktools.create_coinbase, blocktools.create_tx_with_script

    def taproot_coinbase(height, pubkey=None, *, script_pubkey=None, **kwargs):
        if pubkey is not None:
            script_pubkey = CScript([1, pubkey[-32:]])
        extra = kwargs.get("extra_output_script")
        if extra is not None and not allowed(extra):
            note("a coinbase has no second output: what it would hold is no taproot output")
            del kwargs["extra_output_script"]
        return create_coinbase(height, script_pubkey=anyone_script() if script_pubkey is None else script_pubkey, **kwargs)

    def taproot_tx(prevtx, n, script_sig=b"", *, amount, output_script=None):
        return create_tx(prevtx, n, script_sig, amount=amount, output_script=anyone_script() if output_script is None else output_script)

    blocktools.create_coinbase, blocktools.create_tx_with_script = taproot_coinbase, taproot_tx


def patch():
    for name in ("script_to_p2wsh_script", "script_to_p2sh_script"):
        for module in [module for path, module in sys.modules.items() if path.startswith("test_framework.") and hasattr(module, name)]:
            setattr(module, name, hashed_script)
    wallet.NodeSigner.signrawtransaction = signrawtransaction
    patch_addresses()
    patch_wallet()
    patch_blocks()
