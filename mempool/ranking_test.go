package mempool

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// smallCluster makes a cluster of a few chunks, many of which pay what others pay.
func smallCluster(random *rand.Rand, id uint64) *cluster {
	c := &cluster{}
	for range 1 + random.IntN(3) {
		e := &pending.Entry{Fee: types.Amount(random.IntN(20)), Weight: 1 + random.IntN(3), TxID: types.DoubleSHA256(binary.LittleEndian.AppendUint64(nil, id))}
		c.nodes = append(c.nodes, &txNode{Entry: e})
		id += 1 << 32
	}
	c.cutChunks()
	return c
}

// TestRanking puts clusters in and takes them out again, and holds the ranking against a
// list that is sorted anew each time. Snapshots stay as they were.
func TestRanking(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var r ranking
	var clusters []*cluster
	type moment struct {
		snapshot rankingSnapshot
		want     []ranked
	}
	var moments []moment
	list := func() (all []ranked) {
		for _, c := range clusters {
			all = slices.AppendSeq(all, rankedOf(c))
		}
		slices.SortFunc(all, func(a, b ranked) int { return a.compare(&b) })
		return all
	}
	compare := func(s rankingSnapshot, want []ranked) {
		t.Helper()
		var got []ranked
		for c := range s.bestFirst() {
			got = append(got, *c)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("a ranking has %d chunks, want %d, or others", len(got), len(want))
		}
	}
	for step := range 12_000 {
		growing := step/3000%2 == 0 // up, down to nothing, up, down
		switch {
		case len(clusters) == 0 || growing && random.IntN(8) > 0:
			c := smallCluster(random, uint64(step))
			clusters = append(clusters, c)
			for chunk := range rankedOf(c) {
				r.insert(chunk)
			}
		default:
			at := random.IntN(len(clusters))
			for chunk := range rankedOf(clusters[at]) {
				r.remove(chunk)
			}
			clusters = slices.Delete(clusters, at, at+1)
		}
		if step%97 == 0 {
			checkRanking(t, &r)
			moments = append(moments, moment{r.snapshot(), list()})
		}
	}
	for _, m := range moments {
		compare(m.snapshot, m.want)
	}
	var backward []ranked
	for c := range r.worstFirst() {
		backward = append(backward, *c)
	}
	slices.Reverse(backward)
	if !slices.Equal(backward, list()) {
		t.Error("the two directions differ")
	}
	for _, c := range clusters {
		for chunk := range rankedOf(c) {
			r.remove(chunk)
		}
	}
	if len(r.pages) != 0 {
		t.Errorf("%d pages are left", len(r.pages))
	}
}

// TestEqualFeerates: of chunks that pay equally well, those of one cluster stay in their
// order, whatever their ids are.
func TestEqualFeerates(t *testing.T) {
	node := func(id byte) *txNode {
		return &txNode{Entry: &pending.Entry{TxID: types.Hash{id}, Fee: 5, Weight: 10}}
	}
	family, loner := &cluster{nodes: []*txNode{node(7), node(1), node(9)}}, &cluster{nodes: []*txNode{node(8)}}
	family.cutChunks()
	loner.cutChunks()
	var r ranking
	for _, c := range []*cluster{loner, family} {
		for chunk := range rankedOf(c) {
			r.insert(chunk)
		}
	}
	var got []byte
	for c := range r.snapshot().bestFirst() {
		got = append(got, c.nodes()[0].TxID[0])
	}
	if want := []byte{7, 1, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}
