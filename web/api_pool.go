package web

import (
	"context"
	"math"
	"net/http"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// feeTargets are the numbers of blocks that Esplora gives feerates for, and those between that
// its clients ask for, too.
var feeTargets = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 144, 504, 1008}

// apiFees is the feerate in grains for a virtual byte by the blocks that one would wait.
func (s *Server) apiFees(*http.Request) (*page, error) {
	return asJSON(s.now(), 0, func(context.Context) (any, error) {
		rates := map[int]float64{}
		for _, blocks := range feeTargets {
			rates[blocks] = perVByte(s.Pool.Estimate(blocks, false).FeeRate)
		}
		return rates, nil
	}), nil
}

// recommendedJSON is in grains for a virtual byte.
type recommendedJSON struct {
	Fastest  int64 `json:"fastestFee"`
	HalfHour int64 `json:"halfHourFee"`
	Hour     int64 `json:"hourFee"`
	Economy  int64 `json:"economyFee"`
	Minimum  int64 `json:"minimumFee"`
}

// apiRecommended is what mempool.space's clients offer their users to pay: in the next block,
// in half an hour and an hour of Bitcoin's blocks, in a day of them, and at the least.
func (s *Server) apiRecommended(*http.Request) (*page, error) {
	return asJSON(s.now(), 0, func(context.Context) (any, error) {
		up := func(rate types.FeeRate) int64 { return int64(math.Ceil(perVByte(rate))) }
		in := func(blocks int) int64 { return up(s.Pool.Estimate(blocks, false).FeeRate) }
		return recommendedJSON{Fastest: in(1), HalfHour: in(3), Hour: in(6), Economy: in(144), Minimum: up(s.Pool.Info().MinFeeRate)}, nil
	}), nil
}

func perVByte(rate types.FeeRate) float64 { return float64(rate) / 1000 }

// backlogJSON is what waits. The histogram has feerates, and the virtual bytes that pay them.
type backlogJSON struct {
	Count     int          `json:"count"`
	VSize     int          `json:"vsize"`
	TotalFee  types.Amount `json:"total_fee"`
	Histogram [][2]float64 `json:"fee_histogram"`
}

// apiMempool sums up what waits, with the sizes of what pays more than some feerates.
func (s *Server) apiMempool(*http.Request) (*page, error) {
	pool := s.pool.get() // of a moment ago, and all of it of the same
	return asJSON(pool.version(), 0, func(context.Context) (any, error) {
		return backlogJSON{pool.Count, pool.VSize, pool.TotalFee, feeHistogram(pool.Corners)}, nil
	}), nil
}

// binVSize is how many virtual bytes a class of the histogram has at least, as in Electrum's
// protocol, where each further one is larger by a tenth.
const binVSize = 50_000

// feeHistogram makes classes of [feerate, virtual bytes], the highest feerates first. The
// corners are the pool's chunks, in the order in which blocks would take them.
func feeHistogram(corners []pending.Corner) [][2]float64 {
	bins := [][2]float64{}
	least := float64(binVSize)
	size, rate := 0.0, 0.0
	for i := 1; i < len(corners); i++ {
		weight, fees := corners[i].Weight-corners[i-1].Weight, corners[i].Fees-corners[i-1].Fees
		if weight <= 0 {
			continue
		}
		vsize := float64(weight) / types.WitnessScale
		here := float64(fees) / vsize
		if size > least && here != rate {
			bins = append(bins, [2]float64{rate, float64(int64(size))})
			size, least = 0, least*1.1
		}
		size, rate = size+vsize, here
	}
	if size > 0 {
		bins = append(bins, [2]float64{rate, float64(int64(size))})
	}
	return bins
}

func (s *Server) apiMempoolTxIDs(*http.Request) (*page, error) {
	return asJSON(s.now(), 0, func(context.Context) (any, error) {
		entries, _ := s.Journal.Snapshot()
		list := make([]types.Hash, len(entries))
		for i, e := range entries {
			list[i] = e.TxID
		}
		return list, nil
	}), nil
}

// recentJSON is a transaction that waits, in short. The value is of all its outputs.
type recentJSON struct {
	TxID  types.Hash   `json:"txid"`
	Fee   types.Amount `json:"fee"`
	VSize int          `json:"vsize"`
	Value types.Amount `json:"value"`
}

// apiMempoolRecent is the ten transactions that came last.
func (s *Server) apiMempoolRecent(*http.Request) (*page, error) {
	const most = 10
	return asJSON(s.now(), 0, func(context.Context) (any, error) {
		list := []recentJSON{}
		for _, txid := range s.changes.newest() {
			e := s.Pool.Get(txid)
			if e == nil || len(list) == most {
				continue
			}
			value := types.Amount(0)
			for i := range e.Tx.Outputs {
				value += e.Tx.Outputs[i].Value
			}
			list = append(list, recentJSON{e.TxID, e.Fee, e.VSize, value})
		}
		return list, nil
	}), nil
}
