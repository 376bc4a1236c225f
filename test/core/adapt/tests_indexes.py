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
               "self.start_node(i, extra_args=self.extra_args[i]); self.wait_until(lambda: stands_still(self.nodes[i])); self.stop_node(i)", STARTS),
        Change("            node.assert_start_raises_init_error(extra_args=self.extra_args[i], expected_msg=msg+end_msg)",
               "            self.start_node(i, extra_args=self.extra_args[i]); self.wait_until(lambda: stands_still(node)); self.stop_node(i)", STARTS),
        LeaveOut("make sure the nodes start again with the indices and an additional -reindex arg", REINDEX, until="if __name__"),
    ],
}


def stands_still(node):
    """Whether all indexes of a node have stopped, for want of blocks that were pruned."""
    return all("pruned" in index.get("problem", "") and not index["synced"] for index in node.getindexinfo().values())
