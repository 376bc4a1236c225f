package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

const (
	minerBlocks  = 144 // whose miners are counted
	minerTime    = time.Second
	listedMiners = 15
	spacedBlocks = 2000 // whose times are compared
	spacingBins  = 24
)

type miningView struct {
	Frame
	HashRate, Diff float64
	Spacing        float64
	Target         float64
	Fixed          bool
	HalfLife       uint32
	Drift          float64 // seconds that the chain is behind its schedule
	NextBits       string
	NextDiff       float64
	Counted        int
	Miners         []minerRow
	Rate           template.HTML
	Times          template.HTML
	Ideal          template.HTML
	Stratum        *stratuminfo.Info // nil: not for this visitor
}

// minerRow is a miner, known by the address that its coinbases pay.
type minerRow struct {
	Address, Message string
	Blocks           int
	Share            float64
	Fees             types.Amount
	Last             uint32
}

// miningPage is who mines and how fast.
func (s *Server) miningPage(r *http.Request) (*page, error) {
	tip := s.Headers.Tip()
	operator := s.isOperator(r)
	version := fmt.Sprint(tip, operator)
	var stratum *stratuminfo.Info
	if operator && s.Stratum != nil {
		info := s.Stratum.Info()
		stratum = &info
		version += fmt.Sprint(s.Status.Now().Unix() / 5)
	}
	return &page{version: version, private: operator, view: "mining", make: func(ctx context.Context) (any, error) {
		info, _ := s.Headers.Info(tip.Hash)
		state := s.Headers.TipState()
		next := consensus.NextBits(s.Params, &state)
		v := miningView{
			Frame: s.frame("Mining", "mining").live("block"), HashRate: s.hashRateAt(info), Diff: difficulty(info.Header.Bits), Spacing: s.spacing(info), Target: float64(s.Params.TargetSpacing),
			Fixed: s.Params.Difficulty.Algorithm == consensus.DifficultyFixed, HalfLife: s.Params.Difficulty.HalfLife, NextBits: fmt.Sprintf("%08x", next), NextDiff: difficulty(next),
			Drift: s.drift(info.Height, info.Header.Timestamp), Rate: s.course(tip), Times: s.spacingPlot(tip), Stratum: stratum,
		}
		if !v.Fixed {
			v.Ideal = s.idealPlot(tip)
		}
		err := s.countMiners(ctx, &v, tip.Height)
		return v, err
	}}, nil
}

// drift is how many seconds a block is later than its height asks for.
func (s *Server) drift(height, timestamp uint32) float64 {
	return float64(timestamp) - float64(s.Params.Genesis.Timestamp) - float64(height)*float64(s.Params.TargetSpacing)
}

// countMiners counts who has mined the last blocks, as many of them as can be read in a moment.
// What was read once is remembered.
func (s *Server) countMiners(ctx context.Context, v *miningView, tip uint32) error {
	start := time.Now()
	rows := map[string]*minerRow{}
	for height := tip; height > 0 && v.Counted < minerBlocks && time.Since(start) < minerTime; height-- {
		sum, ok, err := s.summaryAt(ctx, height)
		if err != nil {
			return err
		}
		if !ok || !sum.Stored {
			break
		}
		v.Counted++
		row := rows[sum.Miner]
		if row == nil {
			row = &minerRow{Address: sum.Miner, Message: sum.Message, Last: height}
			rows[sum.Miner] = row
		}
		row.Blocks++
		row.Fees += sum.Fees
	}
	for _, row := range rows {
		row.Share = float64(row.Blocks) / float64(v.Counted)
		v.Miners = append(v.Miners, *row)
	}
	slices.SortFunc(v.Miners, func(a, b minerRow) int { return cmp.Or(b.Blocks-a.Blocks, cmp.Compare(b.Last, a.Last)) })
	v.Miners = v.Miners[:min(len(v.Miners), listedMiners)]
	return nil
}

// spacingPlot counts the times between blocks, beside what chance would make of them.
func (s *Server) spacingPlot(tip types.Index) template.HTML {
	n := min(tip.Height, spacedBlocks)
	if n < 10 {
		return ""
	}
	width := float64(s.Params.TargetSpacing) / 4
	counts := make([]int, spacingBins)
	child, ok := s.Headers.Info(tip.Hash)
	for range n {
		parent, known := s.Headers.Info(child.Header.PrevBlock)
		if !ok || !known {
			break
		}
		took := float64(int64(child.Header.Timestamp) - int64(parent.Header.Timestamp))
		counts[min(max(int(took/width), 0), spacingBins-1)]++
		child = parent
	}
	bars, line := series{Class: "s1", Name: "blocks"}, series{Class: "s2", Name: "what chance makes of the target"}
	for i, c := range counts {
		from, to := float64(i)*width, float64(i+1)*width
		bars.Points = append(bars.Points, point{X: float64(i), Y: float64(c), Text: fmt.Sprintf("%.4g to %.4g s: %d blocks", from, to, c)})
		share := math.Exp(-from/float64(s.Params.TargetSpacing)) - math.Exp(-to/float64(s.Params.TargetSpacing))
		if i == spacingBins-1 {
			share = math.Exp(-from / float64(s.Params.TargetSpacing))
		}
		line.Points = append(line.Points, point{X: float64(i), Y: share * float64(n)})
	}
	p := plot{
		Label: fmt.Sprintf("How many of the last %d blocks came after which time", n), Series: []series{bars, line}, Bars: true, Zero: true,
		X: func(f float64) string { return brief(f*width) + "s" }, Y: brief,
	}
	return p.SVG()
}

// idealPlot is the difficulty of blocks, and what the schedule alone would ask for:
// ASERT doubles it for each half-life that the chain is ahead.
func (s *Server) idealPlot(tip types.Index) template.HTML {
	step := max(tip.Height/coursePoint, 1)
	is, ideal := series{Class: "s1", Name: "difficulty", Steps: true}, series{Class: "s2", Name: "ASERT's ideal"}
	easiest := s.Params.PowLimit.Float64()
	for height := uint32(1); height <= tip.Height; height += step {
		info, ok := s.at(height)
		parent, known := s.at(height - 1)
		if !ok || !known {
			break
		}
		late := s.drift(parent.Height, parent.Header.Timestamp)
		target := targetOf(s.Params.Genesis.Bits).Float64() * math.Exp2(late/float64(s.Params.Difficulty.HalfLife))
		is.Points = append(is.Points, point{X: float64(height), Y: difficulty(info.Header.Bits)})
		ideal.Points = append(ideal.Points, point{X: float64(height), Y: targetOf(0x1d00ffff).Float64() / min(target, easiest)})
	}
	p := plot{
		Label: fmt.Sprintf("Difficulty of blocks 1 to %d, and ASERT's ideal", tip.Height), Series: []series{is, ideal}, Log: true,
		X: func(f float64) string { return groups(fmt.Sprintf("%.0f", f)) }, Y: func(f float64) string { return fmt.Sprintf("%.3g", f) },
	}
	return p.SVG()
}

func targetOf(bits uint32) consensus.Uint256 {
	target, _, _ := consensus.ExpandBits(bits)
	return target
}
