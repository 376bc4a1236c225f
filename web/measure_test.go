package web

import (
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// lonely is a header tree of a genesis block.
type lonely struct{ Headers }

func (lonely) Tip() types.Index { return types.Index{} }
func (lonely) Info(types.Hash) (header.Info, bool) {
	return header.Info{}, true
}
func (lonely) HashAt(height uint32) (types.Hash, bool) { return types.Hash{}, height == 0 }

// TestSlowNetwork: plans of a network whose halvings are further off than a duration can
// say, or a date, are not told as past.
func TestSlowNetwork(t *testing.T) {
	p := &consensus.Params{InitialSubsidy: 3, HalvingInterval: 2_100_000, TargetSpacing: 604_800, MaxMoney: 1 << 50}
	s := &Server{Options: Options{Params: p, Headers: lonely{}}}
	supply := supplyAt(p, 0)
	if got := spanOf(s.until(types.Index{}, supply.Halving)); got != "40246.4 years" {
		t.Errorf("the next halving is in %s", got)
	}
	eras, _ := s.eras(supply)
	if len(eras) != 2 || !eras[1].Start.After(eras[0].Start) || !strings.Contains(string(when(eras[1].Start)), "year 42217") {
		t.Errorf("%+v: %s", eras, when(eras[1].Start))
	}
}
