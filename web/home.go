package web

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

const (
	stripBlocks = 8   // of the chain that home shows
	coursePoint = 160 // of a plot of the whole chain
	// agingPages is how long a page is shown on which times grow.
	agingPages = 20 * time.Second
)

type homeView struct {
	Frame
	Now      time.Time
	Tip      header.Info
	Empty    bool // there is nothing but the genesis block
	Dev      bool // mining needs no address
	Syncing  bool
	Best     types.Index
	Pool     *PoolPicture
	Upcoming []Upcoming // the one that comes last first
	Blocks   []Summary  // the newest first
	HashRate float64
	Spacing  float64
	Target   float64
	Diff     float64
	Supply   Supply
	Halving  float64 // seconds until then, about
	Peers    int
	Fees     []feeRow
	Course   template.HTML
	Newest   []txRow
	Warning  string
}

// feeRow is what a payment costs that should be in one of the next blocks.
type feeRow struct {
	Blocks int
	Within time.Duration
	Rate   types.FeeRate
	Known  bool
	Cost   types.Amount // of a payment of the usual size
}

// usualSize is that of a payment with one input and two outputs, by the key path.
const usualSize = 154 // virtual bytes

// txRow is a transaction in a list.
type txRow struct {
	TxID    types.Hash
	Fee     types.Amount
	HasFee  bool
	Rate    types.FeeRate
	VSize   int
	Inputs  int
	Outputs int
	Sent    types.Amount
	Time    time.Time
}

func rowOf(txid types.Hash, tx *types.Tx, vsize int) txRow {
	row := txRow{TxID: txid, VSize: vsize, Inputs: len(tx.Inputs), Outputs: len(tx.Outputs)}
	for i := range tx.Outputs {
		row.Sent += tx.Outputs[i].Value
	}
	return row
}

// home is the dashboard.
func (s *Server) home(*http.Request) (*page, error) {
	tip := s.Headers.Tip()
	pool := s.pool.get()
	best := s.Headers.BestHeader()
	version := fmt.Sprint(tip, pool.version(), s.Status.Syncing(), best, s.Status.Peers(), s.Status.Now().Unix()/int64(agingPages/time.Second))
	return &page{version: version, view: "home", make: func(ctx context.Context) (any, error) {
		info, _ := s.Headers.Info(tip.Hash)
		v := homeView{
			Frame: s.frame("", "home").live("block pool"), Now: s.Status.Now(), Tip: info, Empty: tip.Height == 0, Syncing: s.Status.Syncing(), Best: best,
			Dev: s.Dev, Pool: pool, HashRate: s.hashRateAt(info), Spacing: s.spacing(info), Target: float64(s.Params.TargetSpacing),
			Diff: difficulty(info.Header.Bits), Supply: supplyAt(s.Params, tip.Height), Peers: s.Status.Peers(),
		}
		if v.Supply.Halving > 0 {
			v.Halving = s.until(tip, v.Supply.Halving)
		}
		for i := len(pool.Upcoming) - 1; i >= 0; i-- {
			v.Upcoming = append(v.Upcoming, pool.Upcoming[i])
		}
		for height, left := tip.Height, stripBlocks; left > 0; height, left = height-1, left-1 {
			sum, ok, err := s.summaryAt(ctx, height)
			if err != nil {
				return nil, err
			}
			if ok {
				v.Blocks = append(v.Blocks, sum)
			}
			if height == 0 {
				break
			}
		}
		v.Fees = s.feeRows(1, 3, 6, 24)
		v.Course = s.course(tip)
		v.Newest = s.newest()
		return v, nil
	}}, nil
}

func (s *Server) feeRows(targets ...int) (rows []feeRow) {
	for _, n := range targets {
		e := s.Pool.Estimate(n, false)
		rows = append(rows, feeRow{n, time.Duration(n) * time.Duration(s.Params.TargetSpacing) * time.Second, e.FeeRate, e.Known, e.FeeRate.Fee(usualSize)})
	}
	return rows
}

// newest are the transactions that came last, of those that still wait.
func (s *Server) newest() (rows []txRow) {
	for _, txid := range s.changes.newest() {
		if e := s.Pool.Get(txid); e != nil && len(rows) < 8 {
			rows = append(rows, rowOfEntry(e))
		}
	}
	return rows
}

// course is the difficulty of the whole chain and the hash rate, over time.
func (s *Server) course(tip types.Index) template.HTML {
	if tip.Height < 2 {
		return ""
	}
	step := max(tip.Height/coursePoint, 1)
	rate := series{Class: "s1", Name: "hash rate, over 120 blocks or more"}
	diff := series{Class: "s2", Name: "hashes a second that the difficulty asks for", Steps: true}
	expected := 0.0
	for height := uint32(0); ; height += step {
		height = min(height, tip.Height)
		info, ok := s.at(height)
		if !ok {
			break
		}
		if before, ok := s.at(windowStart(height, max(step, rateBlocks))); ok && height > 1 {
			x := float64(height)
			rate.Points = append(rate.Points, point{X: x, Y: hashRate(before, info)})
			expected = difficulty(info.Header.Bits) * 0x1p32 / float64(s.Params.TargetSpacing)
			diff.Points = append(diff.Points, point{X: x, Y: expected})
		}
		if height == tip.Height {
			break
		}
	}
	p := plot{
		Label:  fmt.Sprintf("Hash rate and difficulty of blocks 1 to %d; at the end the difficulty asks for %s hashes a second", tip.Height, brief(expected)),
		Series: []series{diff, rate}, X: func(f float64) string { return groups(fmt.Sprintf("%.0f", f)) }, Y: func(f float64) string { return brief(f) + "H/s" }, Zero: true,
	}
	return p.SVG()
}
