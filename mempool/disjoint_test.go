package mempool

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// chains fills a graph with chains of the largest clusters, and returns a transaction that
// spends all of them.
func chains(count int) (*graph, *candidate) {
	g, tx := newGraph(), &types.Tx{Version: 2}
	for c := range count {
		nodes, parents := make([]*txNode, MaxClusterCount), make([]uint64, MaxClusterCount)
		for i := range nodes {
			n := &txNode{Entry: &pending.Entry{Weight: 1000, Fee: 10, Tx: &types.Tx{}}}
			binary.BigEndian.PutUint32(n.TxID[:], uint32(c*MaxClusterCount+i))
			nodes[i], g.byTxID[n.TxID] = n, n
			if i > 0 {
				parents[i] = 1 << (i - 1)
			}
			tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: n.TxID}})
		}
		made := newCluster(nodes, parents)
		for at, n := range made.nodes {
			n.cluster, n.at = made, at
		}
	}
	return g, &candidate{Entry: &pending.Entry{Tx: tx}}
}

// Whatever a transaction builds on, near or far, it cannot replace; it can what is beside
// that, also in the same cluster.
func TestCheckDisjoint(t *testing.T) {
	g, c := chains(2)
	const at = 40
	spent := g.byTxID[c.Tx.Inputs[at].PreviousOutPoint.TxID]
	c.Tx.Inputs = c.Tx.Inputs[at : at+1]
	for _, n := range g.byTxID {
		err := g.checkDisjoint(c, []*txNode{n})
		if builds := n.cluster == spent.cluster && n.at <= spent.at; errors.Is(err, ReasonSpendsConflict) != builds {
			t.Fatalf("place %d of its cluster, %t: %v", n.at, n.cluster == spent.cluster, err)
		}
	}
}

// BenchmarkCheckDisjoint is as many parents and conflicts as fit into a transaction. The
// pool is locked meanwhile, and the refusal that follows costs the sender nothing.
func BenchmarkCheckDisjoint(b *testing.B) {
	g, c := chains(19)
	other, _ := chains(19)
	var conflicts []*txNode
	for _, n := range other.byTxID {
		conflicts = append(conflicts, n)
	}
	for b.Loop() {
		if err := g.checkDisjoint(c, conflicts); err != nil {
			b.Fatal(err)
		}
	}
}
