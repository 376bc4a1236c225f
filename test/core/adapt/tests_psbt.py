"""What the tests of PSBTs and of decoded scripts need."""

from .source import Change, LeaveOut

LEGACY = "legacy scripts"
WALLET = "karatd has no wallet"
WRAPPED = "there are no outputs that wrap a script: decodescript.segwit"

TEXT = {
    "rpc_psbt": [
        Change("self.skip_if_no_wallet()", "pass", "what needs no wallet is asked"),
        Change('["-changetype=legacy"]', "[]", WALLET),
        LeaveOut("# Create and fund a raw tx for sending 10 BTC", WALLET, until="Test that unknown values are just passed through"),
        Change("self.nodes[0].walletprocesspsbt(unknown_psbt)['psbt']", "self.nodes[0].finalizepsbt(unknown_psbt)['psbt']", "a method of the node for one of the wallet"),
        LeaveOut("# Creator Tests", LEGACY, until="# Combiner test"),
        LeaveOut("# Finalizer test", LEGACY, until="# Test decoding error: invalid base64"),
        LeaveOut("# Send to all types of addresses", WALLET, until="PSBT spending unspendable outputs should have error message"),
        LeaveOut("PSBT with signed, but not finalized, inputs should have Finalizer as next", LEGACY, until="AAAAAAD/////AgCAgWrj0AcAFgAU"),
        LeaveOut('"TX decode failed", self.nodes[0].walletprocesspsbt', WALLET, until="Test decoding PSBT with per-input preimage types"),
        LeaveOut("Test that PSBT inputs are being checked via script execution", LEGACY, until="if __name__"),
    ],
    "rpc_decodescript": [
        Change("assert_equal('0 ' + public_key_hash, rpc_result['segwit']['asm'])", "pass", WRAPPED, times=2),
        LeaveOut("assert_equal('witness_v0_keyhash', rpc_result['segwit']['type'])", WRAPPED, item=True),
        LeaveOut("assert_equal('witness_v0_scripthash', rpc_result['segwit']['type'])", WRAPPED, item=True),
        LeaveOut("assert_equal('0 ' + multisig_script_hash, rpc_result['segwit']['asm'])", WRAPPED, item=True),
        LeaveOut("assert_equal('0 ' + cltv_script_hash, rpc_result['segwit']['asm'])", WRAPPED, item=True),
        Change("assert_equal(result, rpc_result)", "assert_equal((result['asm'], result['type']), (rpc_result['asm'], rpc_result['type']))", "what wraps a script, and addresses of legacy outputs, are not there"),
        LeaveOut("self.decodescript_miniscript()", WRAPPED, item=True),
    ],
}
