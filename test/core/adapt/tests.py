"""What single tests need: parts that cannot be asked of karat are left out, and said to be."""

from test_framework.test_framework import BitcoinTestFramework
from test_framework.util import assert_equal

from . import keys, nodes, peers, tests_descriptors, tests_envelope, tests_indexes
from .notes import note
from .source import Change, LeaveOut
from .tests_psbt import TEXT as PSBT

LEGACY = "legacy scripts"
REINDEX = "karat has no reindex"
FILES = "the names of files"
RECENT = "recent blocks are in memory, whatever happens to their files"
FORKS = "all soft forks are active from block 1"
CONNECTIONS = Change("[node.cli for _", "[node.create_new_rpc_connection() for _", "connections in the place of bitcoin-cli")
WITNESS = Change("stack = [CScript([OP_TRUE])]", "stack = op_true_witness()", "a taproot output that OP_TRUE spends for P2WSH")

NEWS = Change("node.add_p2p_connection(P2PTxInvStore())", "node.add_p2p_connection(hears_news(node))", "what waits already is told to a new peer, too")

# What is changed in the text of a test.
TEXT = {
    "feature_bip68_sequence": [
        WITNESS.often(3),
        LeaveOut("Running test BIP68 not consensus before activation", FORKS),
        LeaveOut("Activating BIP68 (and 112/113)", FORKS),
    ],
    "feature_loadblock": [
        Change('f"input={blocks_dir}\\n"', 'f"input={block_files(self.nodes[0], data_dir)}\\n"', "the blocks are put into files of Core's first"),
    ],
    "feature_coinstatsindex": [
        Change("CTxOut(5 * COIN, CScript([OP_FALSE]))", "CTxOut(5 * COIN, self.wallet.get_output_script())", LEGACY),
        LeaveOut("Test that the index works with -reindex\"", REINDEX),
        LeaveOut("Test that the index works with -reindex-chainstate\"", REINDEX),
        LeaveOut("# Because of the unclean shutdown above, indexes reset", "an index is where it was: each of its steps is durable", until="if __name__"),
    ],
    "feature_remove_pruned_files_on_startup": [
        Change('"blk00000.dat"\n', '"blocks-00000.seg"\n', FILES),
        Change('"blk00001.dat"', '"blocks-00001.seg"', FILES),
        Change('"rev00000.dat"\n', '"blocks-00000.seg"\n', "one file has what undoes the blocks of many"),
        Change('"rev00001.dat"', '"blocks-00001.seg"', "the same"),
        LeaveOut("Check that a reindex will wipe all files", REINDEX),
    ],
    "feature_versionbits_warning": [
        Change("peer.send_without_ping(msg_block(block))", "self.nodes[0].submitblock(block.serialize().hex())", "a block that was not asked for is not taken from peers"),
    ],
    "feature_utxo_set_hash": [
        LeaveOut("Test deterministic UTXO set hash results", "they are of a chain that does not pay to taproot"),
    ],
    "feature_rbf": [
        LeaveOut("assert_equal(False, self.nodes[0].getmempoolentry(optout_tx['txid'])['bip125-replaceable'])", "everything can be replaced, and is said to be", item=True),
    ],
    "mempool_accept": [
        LeaveOut("['permitbaremultisig'], False", LEGACY, until="Start with empty mempool"),
        Change("'reject-reason': 'scriptpubkey'", "'reject-reason': 'bad-txns-vout-script'", "an output that is neither taproot nor data breaks a rule of karat's", times=2),
        Change("'reject-reason': 'bare-multisig'", "'reject-reason': 'bad-txns-vout-script'", "the same"),
        Change("nValue=540", "nValue=330", "dust begins at 330 for a taproot output, at 540 for P2SH"),
        WITNESS,
        LeaveOut("But cannot be spent if nested sh()", LEGACY),
        LeaveOut("Spending a confirmed bare multisig is okay", LEGACY),
    ],
    "mempool_dust": [
        LeaveOut("(key_to_p2pk_script(uncompressed_pubkey)", LEGACY, item=True),
        LeaveOut("(key_to_p2pk_script(pubkey)", LEGACY, item=True),
        LeaveOut("(key_to_p2pkh_script(pubkey)", LEGACY, item=True),
        LeaveOut("(script_to_p2sh_script(", LEGACY, item=True),
        LeaveOut("(key_to_p2wpkh_script(pubkey)", LEGACY, item=True),
        LeaveOut("(script_to_p2wsh_script(", LEGACY, item=True),
        LeaveOut("(keys_to_multisig_script(", LEGACY, item=True),
    ],
    "mempool_persist": [
        Change("os.mkdir(mempooldotnew1)", "os.remove(mempooldat1); os.mkdir(mempooldat1)", "what stands in the way of a file is a folder of its own name"),
        Change("os.rmdir(mempooldotnew1)", "os.rmdir(mempooldat1)", "the same"),
    ],
    "mempool_reorg": [
        LeaveOut("self.test_reorg_relay()", "announcements wait by the real clock, for random times, and setmocktime holds none back", until="if __name__"),
    ],
    "mempool_unbroadcast": [
        LeaveOut("Add another connection & ensure transactions aren't broadcast again", "who connects is told of what the pool has", until="self.disconnect_nodes(0, 1)"),
    ],
    "mempool_ephemeral_dust": [
        Change("self.connect_nodes(0, 1)\n        assert_mempool_contents(self, self.nodes[0], expected=[])\n\n    def test_fee_having_parent",
               "self.connect_nodes(0, 1)\n        assert_mempool_contents(self, self.nodes[0], expected=[dusty_tx['tx'], sweep_tx['tx']]); self.generate(self.nodes[0], 1)\n\n    def test_fee_having_parent",
               "after a restart a package is back, as one"),
    ],
    "interface_rest": [
        LeaveOut("Check tolerance for invalid URI", "a path with a % that begins no byte is no request (RFC 3986)", until='resp = self.test_rest_request("/mempool/contents.json?%"'),
        LeaveOut("Missing block data should cause REST API to fail", "karat's files of blocks have other names, and are held open", until='self.log.info("Test the /deploymentinfo URI")'),
    ],
    "interface_zmq": [
        Change("""        assert_equal(hashtx.receive().hex(), payment_txid)
        assert_equal(hashtx.receive().hex(), payment_txid)
        # And the new connected coinbases
        for i in [0, 1]:
            assert_equal(hashtx.receive().hex(), self.nodes[1].getblock(connect_blocks[i])["tx"][0])
""", """        assert_equal(hashtx.receive().hex(), payment_txid)
        # And the new connected coinbases
        for i in [0, 1]:
            assert_equal(hashtx.receive().hex(), self.nodes[1].getblock(connect_blocks[i])["tx"][0])
        assert_equal(hashtx.receive().hex(), payment_txid)
""", "what comes back into the pool is told behind the blocks for which it was undone, as it happens"),
    ],
    "mempool_limit": [NEWS],
    "mempool_updatefromblock": [
        LeaveOut("        self.test_max_disconnect_pool_bytes()", "a reorganisation brings back all that is still valid, however large", until="self.test_chainlimits_exceeded()"),
    ],
    "mining_basic": [
        LeaveOut("'-blockversion=1337'", "karat has no option for the version of blocks, and signals no deployments", until="        self.restart_node(0)"),
        Change("wait_for_getheaders(timeout=5, block_hash=block.hashPrevBlock)", "wait_for_getheaders(timeout=5)", "a locator begins at the best header, not at the one before it"),
        Change("block_template_sigops, [0, 4, 4, 4]", "block_template_sigops, [0, 0, 0, 0]", "spends of taproot outputs have no sigops"),
        Change("        self.test_timewarp()", "        self.restart_node(0)", "karat has no periods of difficulty, and so no BIP94: the node is only started again"),
    ],
    "mining_template_verification": [CONNECTIONS],
    "rpc_blockchain": [
        Change('self.nodes[0].assert_start_raises_init_error(\n            extra_args=[f"-mocktime={TIME_RANGE_TIP - MAX_FUTURE_BLOCK_TIME - 1}"],\n            expected_msg=',
               'self.start_node(0, extra_args=[f"-mocktime={TIME_RANGE_TIP - MAX_FUTURE_BLOCK_TIME - 1}"])\n'
               '        assert "from the future" in self.nodes[0].getblockchaininfo()["warnings"][0]\n        self.stop_node(0)\n        str(',
               "where the clock is behind the tip, karat starts and warns"),
        Change('self.start_node(0, extra_args=[f"-mocktime={TIME_RANGE_TIP - MAX_FUTURE_BLOCK_TIME}"])',
               'self.start_node(0, extra_args=[f"-mocktime={TIME_RANGE_TIP - MAX_FUTURE_BLOCK_TIME}"]); assert_equal(self.nodes[0].getblockchaininfo()["warnings"], [])',
               "the same"),
        *[Change(f"self.nodes[0].assert_start_raises_init_error(\n            extra_args=['-testactivationheight={value}'],\n            expected_msg=", "str(", FORKS)
          for value in ("name@2", "bip34@-2", "")],
        Change("current_block_height % DIFFICULTY_ADJUSTMENT_INTERVAL + 1", "current_block_height", "there are no periods of difficulty"),
        LeaveOut("Test that getblock doesn't work with deleted Undo data", RECENT, until="assert 'previousblockhash' not in node.getblock(node.getblockhash(0))"),
        LeaveOut("Test getblock when block is missing", RECENT),
        Change("peer.send_and_ping(msg_block(b))", "node.submitblock(b.serialize().hex())", "a chain with less work than the tip is not taken from peers"),
        Change('future + 1)\n        assert_greater_than(1, ', 'future + 1)\n        assert_equal(1, ', "a tip that is old is not guessed to be behind"),
        Change("assert_equal(gdi_result, {", "same_deployments(gdi_result, {", "all soft forks are active from block 1, and there is nothing to vote on"),
    ],
    "rpc_generate": [
        Change("'mneYUmWYsuk7kySiURxCi3AGxrAqZxLgPZ'", "'bcrt1pfeesnyr2tx'", LEGACY),
        LeaveOut("Generate an empty block to a combo descriptor with compressed pubkey", LEGACY),
        LeaveOut("Generate an empty block to a combo descriptor with uncompressed pubkey", LEGACY),
        CONNECTIONS,
    ],
    "rpc_packages": [
        NEWS.often(3),
        Change('["error"], "scriptpubkey")', '["error"].partition(",")[0], "bad-txns-vout-script")', "an output that is neither taproot nor data breaks a rule of karat's"),
        Change("(Operation not valid with the current stack size)", "(Witness program was passed an empty witness)", "a taproot output for P2PKH", times=2),
    ],
    "rpc_gettxspendingprevout": [
        LeaveOut("# tx2 is not in the mempool anymore, but still in txospender index which has not been rewound yet",
                 "karat's index goes back at once when a block leaves the chain", until="txinfo = node0"),
    ],
    "rpc_users": [
        Change('self.nodes[0].chain_path / ".cookie.tmp"', "cookie_path", "what stands in the way of a file is a folder of its own name"),
    ],
}
TEXT.update(PSBT)


def same_deployments(got, want):
    """Compares two answers of getdeploymentinfo but for heights, and for what can be voted on."""
    def known(answer):
        buried = [name for name, deployment in answer["deployments"].items() if deployment["type"] == "buried" and deployment["active"]]
        return {**answer, "deployments": sorted(buried)}
    assert_equal(known({**got, "deployments": {n: d for n, d in got["deployments"].items() if n != "taproot"}}), known(want))


def feature_taproot(module):
    """Spends of other outputs than taproot's are left out, and the vectors of BIP341, which have such outputs (karat's
    own tests have them, too)."""
    make_spender = module.make_spender

    def add_spender(spenders, comment, **kwargs):
        spender = make_spender(comment, **kwargs)
        if kwargs.get("tap") is None or kwargs.get("p2sh") or not keys.allowed(spender.script):
            note(f"left out: the spender {comment}: {LEGACY}")
        else:
            spenders.append(spender)

    def mine_coins(self):
        self.generatetoaddress(self.nodes[0], module.COINBASE_MATURITY + 5, self.nodesigner.getnewaddress()[2])

    module.add_spender = add_spender
    module.TaprootTest.gen_test_vectors = mine_coins
    note(f"left out: gen_test_vectors: {LEGACY}")


# What is changed in a test once it is loaded.
LOADED = {"feature_taproot": feature_taproot}


def change_text(name, text):
    for change in sum((part.get(name, []) for part in (TEXT, tests_descriptors.TEXT, tests_envelope.TEXT, tests_indexes.TEXT)), []):
        text = change.apply(text)
    return text


def adapt(name, module):
    """The test of a module."""
    module.op_true_witness, module.hears_news, module.block_files = keys.op_true_witness, peers.hears_news, nodes.block_files
    module.same_deployments, module.stands_still = same_deployments, tests_indexes.stands_still
    LOADED.get(name, lambda _: None)(module)
    found = [value for value in vars(module).values()
             if isinstance(value, type) and issubclass(value, BitcoinTestFramework) and value.__module__ == module.__name__]
    if len(found) != 1:
        raise ValueError(f"{name} has {len(found)} tests")
    return found[0]
