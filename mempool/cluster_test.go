package mempool

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Small numbers, so that there are ties everywhere: the order and the chunks of a
// cluster are the twin's, in whatever order its transactions are given.
func TestClusterOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		w := &twin{txs: map[types.Hash]*pending.Entry{}}
		var nodes []*txNode
		for i := range 2 + random.IntN(9) {
			tx := &types.Tx{}
			if i > 0 {
				for range 1 + random.IntN(2) {
					parent := nodes[random.IntN(len(nodes))].TxID
					tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: parent}})
				}
			}
			e := &pending.Entry{
				Tx: tx, TxID: types.DoubleSHA256([]byte{byte(i), byte(random.Uint32())}),
				Fee: types.Amount(random.IntN(4)), Weight: 1 + random.IntN(2),
			}
			nodes = append(nodes, &txNode{Entry: e})
			w.txs[e.TxID] = e
		}
		want := chunks(w.order(w.txs))
		random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		clusters, ok := newGraph().clustersOf(nodes, 0)
		if !ok || len(clusters) != 1 {
			t.Fatalf("%d clusters", len(clusters))
		}
		c := clusters[0]
		if got := entriesOf(c.nodes); !slices.Equal(got, slices.Concat(want...)) {
			t.Fatal("the order is not the twin's")
		}
		if len(c.chunks) != len(want) {
			t.Fatalf("%d chunks, the twin has %d", len(c.chunks), len(want))
		}
		for i, part := range c.chunks {
			if entries := want[i]; part.end-part.first != len(entries) || part.fee != total(entries).Fees || part.weight != total(entries).Weight {
				t.Fatalf("chunk %d is %+v, the twin's %+v", i, part, total(entries))
			}
		}
	}
}

func TestImproves(t *testing.T) {
	list := func(numbers ...int) (chunks []chunk) { // fee, weight, fee, weight …
		for i := 0; i < len(numbers); i += 2 {
			chunks = append(chunks, chunk{fee: types.Amount(numbers[i]), weight: numbers[i+1]})
		}
		return chunks
	}
	tests := []struct {
		name          string
		before, after []chunk
		want          bool
	}{
		{"the same", list(10, 10), list(10, 10), false},
		{"more for the same weight", list(10, 10), list(11, 10), true},
		{"less for the same weight", list(10, 10), list(9, 10), false},
		{"the same for less weight", list(10, 10), list(10, 9), true},
		{"more in all, a worse start", list(10, 10), list(30, 40), false},
		{"more in all, the same start", list(10, 10), list(40, 40), true},
		{"a better start, less in all", list(10, 10, 10, 20), list(19, 10), false},
		{"a better start, the same in all", list(10, 10, 10, 20), list(20, 10), true},
		{"the order does not matter", list(1, 10, 10, 10), list(11, 10, 1, 10), true},
		{"cut otherwise", list(5, 5, 5, 5), list(10, 10), false},
		{"from nothing", nil, list(1, 10), true},
		{"to nothing", list(1, 10), nil, false},
		{"nothing paid", list(0, 10), list(0, 5), false},
		{"less than nothing for something", list(-5, 10), list(1, 10), true},
		{"less than nothing goes", list(10, 10, -5, 10), list(10, 10), true},
		{"less than nothing comes", list(10, 10), list(10, 10, -5, 10), false},
		{"a flatter fall", list(-5, 10), list(-5, 20), true},
		{"a steeper fall", list(-5, 20), list(-5, 10), false},
		{"numbers that overflow when multiplied", list(1<<61, 1<<20), list(1<<61+1, 1<<20), true},
	}
	for _, test := range tests {
		if got := improves(test.before, test.after); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// BenchmarkImproves is a replacement in as many clusters as may be touched, all of
// them full, of which nearly everything stays.
func BenchmarkImproves(b *testing.B) {
	var before []chunk
	for i := range MaxReplacedClusters * MaxClusterCount {
		before = append(before, chunk{fee: types.Amount(10_000_000 - i), weight: 400})
	}
	after := slices.Clone(before)
	after[len(after)-1].fee++
	for b.Loop() {
		if !improves(before, after) {
			b.Fatal("a grain more is no improvement")
		}
	}
}
