package web_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/node"
)

// ended is a genesis file with three allocations and a subsidy that ends after nine blocks.
func ended(t *testing.T) *consensus.Params {
	t.Helper()
	p, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	p.Name, p.HRP, p.InitialSubsidy, p.HalvingInterval, p.MaxMoney = "ended", "end", 7, 3, 1_000_000
	p.Genesis.Outputs = nil
	for n, value := range []types.Amount{1, 20_000, 300_000} {
		p.Genesis.Outputs = append(p.Genesis.Outputs, types.TxOut{Value: value, ScriptPubKey: chaintest.Anyone(n)})
	}
	for p.Genesis.Nonce = 0; !chaintest.HasWork(&p.GenesisBlock().Block.Header); p.Genesis.Nonce++ {
	}
	p, err = network.Parse(network.Marshal(p)) // as it comes from a file
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSupplyOfNetworks: what the page says of each of three genesis files is what there is, by
// the coins that RPC counts, and what the file says, by arithmetic that goes block by block.
func TestSupplyOfNetworks(t *testing.T) {
	regtest, err := karat.LoadNetwork(filepath.Join("..", "testdata", "bitcoin-regtest.json"))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		params    *consensus.Params
		allocated types.Amount // that can be spent
		steps     []int        // blocks to mine before each look
	}{
		{regtest, 0, []int{0, 1, 148, 1, 161}}, // its genesis coin can never be spent
		{dev, 1_000_000 * types.GrainsPerCoin, []int{0, 1, 10}},
		{ended(t), 320_001, []int{0, 1, 1, 1, 1, 4, 20}},
	} {
		t.Run(c.params.Name, func(t *testing.T) {
			s := newSite(t, func(n *node.Config) {
				n.Params, n.DataDir, n.Indexes = c.params, filepath.Join(t.TempDir(), c.params.Name), []string{indexed.Txs}
			})
			s.params = c.params
			height := 0
			for _, more := range c.steps {
				if more > 0 {
					s.mine(more)
				}
				height += more
				s.compareSupply(height, c.allocated)
			}
		})
	}
}

// compareSupply looks at the page at a height.
func (s *site) compareSupply(height int, allocated types.Amount) {
	s.t.Helper()
	var set struct {
		Height int
		Total  json.Number `json:"total_amount"`
	}
	s.rpc(&set, "gettxoutsetinfo", "none")
	subsidyOf := func(height int) types.Amount {
		subsidy := s.params.InitialSubsidy
		for range height / int(s.params.HalvingInterval) {
			subsidy /= 2
		}
		return subsidy
	}
	mined, total, halving := types.Amount(0), types.Amount(0), 0
	for at := 1; at <= height; at++ {
		mined += subsidyOf(at)
	}
	interval := int(s.params.HalvingInterval)
	for first := 0; subsidyOf(first) > 0; first += interval { // of an era
		blocks := interval
		if first == 0 {
			blocks-- // the genesis block makes none
		}
		if total += subsidyOf(first) * types.Amount(blocks); halving == 0 && first > height+1 {
			halving = first
		}
	}
	if halving == 0 && subsidyOf(height+1) > 0 { // it ends
		halving = (height + 1 + interval) / interval * interval
	}
	if counted := parse(s.t, set.Total); set.Height != height || counted != allocated+mined {
		s.t.Fatalf("height %d: %s coins at %d, and the file makes %s", height, counted, set.Height, allocated+mined)
	}
	words := textOf(s.t, s.page("/supply", 200))
	wants := []string{
		"Issued " + shown(allocated+mined) + " KRT", "There will ever be " + shown(min(allocated+total, s.params.MaxMoney)) + " KRT",
		"A block has " + shown(subsidyOf(height+1)) + " new KRT now", "allocates " + shown(allocated) + " KRT", "had up to " + shown(mined) + " KRT",
	}
	if subsidyOf(height+1) == 0 {
		wants = append(wants, "Next halving none the subsidy has ended")
	} else {
		wants = append(wants, fmt.Sprintf("Next halving %s in about", group(halving)))
	}
	for _, want := range wants {
		if !strings.Contains(words, want) {
			s.t.Errorf("height %d: the page lacks %q\n%s", height, want, words)
		}
	}
}
