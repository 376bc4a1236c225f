"""Tests of indexes."""

from .source import Change, LeaveOut

FILES = "where files of blocks end is karat's own"
STARTS = "an index never keeps karat from starting: it stands still, and says why"
REINDEX = "karat has no reindex: only the network has what was pruned"

TEXT = {
    "feature_index_prune": [
        Change("assert_equal(pruneheight_new, 249)", "assert 0 < pruneheight_new <= 400", FILES),
        Change("self.nodes[i].pruneblockchain(1000)", "self.nodes[i].pruneblockchain(753)", FILES),
        Change("assert_equal(pruneheight_2, 753)", "assert 400 < pruneheight_2 <= 753", FILES),
        Change("self.nodes[i].assert_start_raises_init_error(extra_args=self.extra_args[i], expected_msg=msg+end_msg)",
               "self.start_node(i, extra_args=self.extra_args[i]); "
               "self.wait_until(lambda: all('pruned' in index.get('problem', '') and not index['synced'] for index in self.nodes[i].getindexinfo().values()))", STARTS),
        LeaveOut("fetching the missing blocks with getblockfrompeer", STARTS),
        LeaveOut("make sure the nodes start again with the indices and an additional -reindex arg", REINDEX),
        LeaveOut("ensure that prune locks don't prevent indices from failing in a reorg scenario", REINDEX),
    ],
}
