package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
)

const (
	listedEras      = 12
	listedAllocated = 20
)

type supplyView struct {
	Frame
	Supply
	Tip     types.Index
	Params  *consensus.Params
	Eras    []era
	Ended   uint32 // halvings after which nothing is mined
	Plot    template.HTML
	Halving float64 // seconds until then, about
}

// era is the blocks between two halvings.
type era struct {
	N        int
	From, To uint32
	Subsidy  types.Amount
	Mined    types.Amount // in the whole era
	Sum      types.Amount // issued at its end
	Start    time.Time    // as the target has it
	Now      bool
}

// supplyPage is what there is and will be of coins.
func (s *Server) supplyPage(*http.Request) (*page, error) {
	tip := s.Headers.Tip()
	return &page{version: tip.String(), view: "supply", make: func(context.Context) (any, error) {
		v := supplyView{Frame: s.frame("Supply", "supply").live("block"), Supply: supplyAt(s.Params, tip.Height), Tip: tip, Params: s.Params}
		if v.Supply.Halving > 0 {
			v.Halving = s.until(tip, v.Supply.Halving)
		}
		v.Eras, v.Ended = s.eras(v.Supply)
		v.Plot = s.supplyPlot(v.Eras, tip.Height, v.Supply)
		return v, nil
	}}, nil
}

func (s *Server) eras(now Supply) (list []era, ended uint32) {
	info, _ := s.Headers.Info(s.Headers.Tip().Hash)
	for n := 0; n < 64; n++ {
		from := max(uint64(n)*uint64(s.Params.HalvingInterval), 1)
		to := uint64(n+1)*uint64(s.Params.HalvingInterval) - 1
		if from > math.MaxUint32 || consensus.Subsidy(s.Params, uint32(from)) == 0 {
			return list, uint32(n)
		}
		if n >= listedEras || to < from {
			continue
		}
		to = min(to, math.MaxUint32)
		e := era{N: n, From: uint32(from), To: uint32(to), Subsidy: consensus.Subsidy(s.Params, uint32(from)), Sum: now.Allocated + minedUpTo(s.Params, uint32(to)), Now: uint32(n) == now.Era}
		e.Mined = minedUpTo(s.Params, e.To) - minedUpTo(s.Params, e.From-1)
		// Of eras that have begun the block tells; of others the target, from the tip on.
		if first, ok := s.at(e.From); ok {
			e.Start = seconds(first.Header.Timestamp)
		} else {
			e.Start = time.Unix(int64(info.Header.Timestamp)+int64(e.From-info.Height)*int64(s.Params.TargetSpacing), 0)
		}
		list = append(list, e)
	}
	return list, 64
}

// supplyPlot draws what is issued up to each halving, and where the chain is.
func (s *Server) supplyPlot(eras []era, tip uint32, now Supply) template.HTML {
	line, done := series{Class: "s2", Name: "what the rules will issue"}, series{Class: "s1", Name: "issued"}
	line.Points = append(line.Points, point{X: 0, Y: float64(now.Allocated) / types.GrainsPerCoin})
	done.Points = append(done.Points, line.Points[0])
	for _, e := range eras {
		if len(line.Points) > 6 {
			break
		}
		line.Points = append(line.Points, point{X: float64(e.To), Y: float64(e.Sum) / types.GrainsPerCoin})
		if e.To < tip {
			done.Points = append(done.Points, line.Points[len(line.Points)-1])
		}
	}
	done.Points = append(done.Points, point{X: float64(tip), Y: float64(now.Issued()) / types.GrainsPerCoin})
	p := plot{Label: "Coins issued by height: up to now, and as the rules go on", Series: []series{line, done}, X: brief, Y: brief, Zero: true}
	return p.SVG()
}

type aboutView struct {
	Frame
	Params    *consensus.Params
	Identity  types.Hash
	Genesis   types.Hash
	Fields    []fieldRow
	Allocated []outputView
	More      int
	Join      string // this node, as --connect has it
	From      string // the URL of the pages, as the visitor has it
	Faucet    bool
	Built     bool // into karatd: no file is needed
}

// fieldRow is a field of the genesis file, and what it means.
type fieldRow struct{ Name, Value, Meaning string }

// aboutPage is the network: its genesis file, field by field, and how to join.
func (s *Server) aboutPage(r *http.Request) (*page, error) {
	host, _ := s.visitedHost(r)
	join, from := s.Status.Invitation(cmp.Or(host, "HOST")), s.joinURL(r)
	return &page{version: "about " + join + " " + from, view: "about", make: func(context.Context) (any, error) {
		p := s.Params
		v := aboutView{Frame: s.frame("About", "about"), Params: p, Identity: p.Identity(), Genesis: s.genesis.Hash, Fields: s.fields(), Join: join, From: from, Faucet: s.Faucet != nil, Built: s.BuiltIn}
		for i := range p.Genesis.Outputs {
			if i == listedAllocated {
				v.More = len(p.Genesis.Outputs) - i
				break
			}
			out := &p.Genesis.Outputs[i]
			v.Allocated = append(v.Allocated, outputView{N: i, Value: out.Value, Output: s.describeOutput(out.ScriptPubKey)})
		}
		return v, nil
	}}, nil
}

func (s *Server) fields() []fieldRow {
	p := s.Params
	g := &p.Genesis
	difficultyWords := "every block has the genesis block's difficulty"
	if p.Difficulty.Algorithm == consensus.DifficultyASERT {
		difficultyWords = "each block's difficulty follows from the time since the genesis block: it doubles for each half-life that the chain is ahead of its schedule, and halves for each that it is behind"
	}
	return []fieldRow{
		{"name", p.Name, "what the network is called, and its folder"},
		{"hrp", p.HRP, "its addresses begin with " + p.HRP + "1"},
		{"magic", fmt.Sprintf("%x", p.Magic), "begins each block in files"},
		{"ports", fmt.Sprintf("%d for peers, %d for RPC", p.Ports.P2P, p.Ports.RPC), "where nodes listen unless they are told otherwise"},
		{"genesis.timestamp", seconds(g.Timestamp).UTC().Format("2006-01-02 15:04:05 UTC"), "when the chain begins"},
		{"genesis.bits", fmt.Sprintf("%08x", g.Bits), "the difficulty at which it begins"},
		{"genesis.nonce", fmt.Sprint(g.Nonce), "with which the genesis block has its proof of work"},
		{"genesis.version", fmt.Sprint(g.Version), "the version of the genesis block"},
		{"genesis.message", Printable(g.Message, 200), "what its coinbase says"},
		{"genesis.outputs", fmt.Sprintf("%d", len(g.Outputs)), "allocations: coins that there are from the start"},
		{"target_spacing", fmt.Sprintf("%d s", p.TargetSpacing), "the time between blocks at which difficulty aims"},
		{"difficulty", fmt.Sprintf("%s, half-life %s", p.Difficulty.Algorithm, span(time.Duration(p.Difficulty.HalfLife)*time.Second)), difficultyWords},
		{"pow_limit", p.PowLimit.String(), "the easiest target: a block's hash is at most this"},
		{"initial_subsidy", p.InitialSubsidy.String() + " KRT", "new coins of each block until the first halving"},
		{"halving_interval", groups(fmt.Sprint(p.HalvingInterval)), "blocks after which the subsidy halves"},
		{"max_money", p.MaxMoney.String() + " KRT", "no amount and no sum of amounts may be more"},
		{"coinbase_maturity", fmt.Sprint(p.CoinbaseMaturity), "blocks before new coins can be spent"},
		{"max_block_weight", groups(fmt.Sprint(p.MaxBlockWeight)), "weight units that a block may have; a byte outside of witnesses has four"},
		{"bootstrap", fmt.Sprintf("%d nodes, %d names", len(p.Bootstrap.Nodes), len(p.Bootstrap.DNS)), "where a new node finds its first peers"},
		{"minimum_chain_work", p.MinimumChainWork.String(), "a chain with less work is not followed"},
		{"assume_valid", p.AssumeValid.String(), "scripts of blocks up to this one need no check; zeros: all are checked"},
	}
}

// genesisFile is the network's genesis.json, by which others join it.
func (s *Server) genesisFile(*http.Request) (*page, error) {
	return &page{version: "genesis", kind: "application/json", make: func(context.Context) (any, error) {
		return network.Marshal(s.Params), nil
	}}, nil
}
