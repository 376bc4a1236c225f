package web

import (
	"context"
	"fmt"
	"html/template"
	"math"
	"net/http"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

const (
	listedNext     = 20
	listedReplaced = 20
)

type mempoolView struct {
	Frame
	Pool      *PoolPicture
	Map       template.HTML
	Histogram template.HTML
	Next      []nextRow
	Replaced  []Replacement
	Newest    []txRow
	Limit     int
}

// nextRow is one of the first transactions of the next block, and why it is there.
type nextRow struct {
	txRow
	ChunkRate types.FeeRate
	Together  int // transactions that are taken with it, itself among them
	Pays      bool
}

// mempoolPage is what waits for a block.
func (s *Server) mempoolPage(*http.Request) (*page, error) {
	pool := s.pool.get()
	return &page{version: pool.version(), view: "mempool", make: func(context.Context) (any, error) {
		v := mempoolView{Frame: s.frame("Mempool", "mempool").live("block pool"), Pool: pool, Limit: pool.MaxBytes, Histogram: rateHistogram(pool.Corners), Newest: s.newest()}
		var tiles []tile
		for _, e := range pool.Next {
			rate := types.NewFeeRate(e.Fee, e.VSize)
			tiles = append(tiles, tile{Weight: e.Weight, Rate: rate, Path: s.to("tx", e.TxID), Text: fmt.Sprintf("%s: %s grains/vB, %d vB", e.TxID, rate, e.VSize)})
		}
		v.Map = treemap(fmt.Sprintf("What the next block would hold: %d transactions, as large as their weight", len(tiles)), tiles)
		for _, e := range pool.Next[:min(listedNext, len(pool.Next))] {
			row := nextRow{txRow: rowOfEntry(e), Together: 1}
			if d, ok := s.Pool.Details(e.TxID); ok {
				row.Together, row.ChunkRate = d.Chunk.Count, chunkRate(d.Chunk)
				row.Pays = d.Chunk.Count > 1
			}
			v.Next = append(v.Next, row)
		}
		v.Replaced = s.changes.replaced(listedReplaced)
		return v, nil
	}}, nil
}

func rowOfEntry(e *pending.Entry) txRow {
	row := rowOf(e.TxID, e.Tx, e.VSize)
	row.Fee, row.HasFee, row.Rate, row.Time = e.Fee, true, types.NewFeeRate(e.Fee, e.VSize), e.Time
	return row
}

func chunkRate(t pending.Total) types.FeeRate {
	if t.Weight == 0 {
		return 0
	}
	return types.FeeRate(float64(t.Fees) * 4000 / float64(t.Weight))
}

// rateHistogram shows how much waits at which feerate: four bars for each factor of ten.
func rateHistogram(corners []pending.Corner) template.HTML {
	const each, lowest, highest = 4, -1, 4 // from 0.1 to 10,000 grains/vB
	bins := make([]float64, each*(highest-lowest))
	for i := 1; i < len(corners); i++ {
		rate := float64(rateOf(corners, i)) / 1000
		n := 0
		if rate > 0 {
			n = min(max(int(math.Floor((math.Log10(rate)-lowest)*each+1e-9)), 0), len(bins)-1)
		}
		bins[n] += float64(corners[i].Weight-corners[i-1].Weight) / 4
	}
	if len(corners) < 2 {
		return ""
	}
	at := func(n float64) float64 { return math.Pow(10, lowest+n/each) }
	bars := series{Class: "s1", Name: "virtual bytes that wait"}
	for n, vsize := range bins {
		bars.Points = append(bars.Points, point{X: float64(n), Y: vsize, Text: fmt.Sprintf("%.3g to %.3g grains/vB: %.0f vB", at(float64(n)), at(float64(n+1)), vsize)})
	}
	p := plot{
		Label: "How many virtual bytes wait at which feerate", Series: []series{bars}, Bars: true, Zero: true,
		X: func(n float64) string { return brief(at(n)) }, Y: func(f float64) string { return brief(f) + "vB" },
	}
	return p.SVG()
}
