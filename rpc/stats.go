package rpc

import (
	"context"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// coinOverhead is what Bitcoin Core counts for a coin besides its output: 36 bytes of
// outpoint, 4 of height with a flag for coinbases. No store keeps coins so; it makes
// statistics comparable.
const coinOverhead = 36 + 4

// blockStats adds a block up, as Bitcoin Core's getblockstats does. Amounts are in
// grains, feerates in grains a virtual byte, rounded down.
type blockStats struct {
	// Of each transaction but the coinbase:
	fees, feeRates, sizes, weights []int64

	inputs, outputs int64
	coins           int64 // outputs that can be spent
	totalOut        int64 // what all but the coinbase pay out
	totalFee        int64
	totalSize       int64 // bytes
	totalWeight     int64
	witnessTxs      int64 // transactions with witnesses,
	witnessSize     int64 // their bytes
	witnessTotal    int64 // and their weight
	sizeIncrease    int64 // bytes by which outputs outgrow what is spent, data included
	sizeActual      int64 // the same without data, which is never a coin
}

// add counts a transaction. spent are the coins of its inputs. The coinbase counts
// with its outputs alone: Core leaves out of sizes and fees what nobody chose to pay.
func (b *blockStats) add(tx *types.Tx, spent []types.Coin) {
	out := int64(0)
	for i := range tx.Outputs {
		o := &tx.Outputs[i]
		out += int64(o.Value)
		size := int64(len(o.AppendTo(nil)) + coinOverhead)
		b.sizeIncrease += size
		if consensus.IsSpendable(o.ScriptPubKey) {
			b.coins++
			b.sizeActual += size
		}
	}
	b.outputs += int64(len(tx.Outputs))
	if tx.IsCoinbase() {
		return
	}
	size, weight := int64(tx.Size()), int64(tx.Weight())
	b.inputs += int64(len(tx.Inputs))
	b.totalOut += out
	b.sizes = append(b.sizes, size)
	b.totalSize += size
	b.totalWeight += weight
	if tx.HasWitness() {
		b.witnessTxs++
		b.witnessSize += size
		b.witnessTotal += weight
	}
	fee := -out
	for i := range spent {
		o := spent[i].Output()
		fee += int64(o.Value)
		size := int64(len(o.AppendTo(nil)) + coinOverhead)
		b.sizeIncrease -= size
		b.sizeActual -= size
	}
	b.fees = append(b.fees, fee)
	b.totalFee += fee
	b.feeRates = append(b.feeRates, fee*types.WitnessScale/weight)
	b.weights = append(b.weights, weight)
}

// percentiles returns the feerates below which 10, 25, 50, 75 and 90 percent of
// the weight lie. Sums and comparisons are Core's, floats included, so that the last
// digit of a percentile is.
func (b *blockStats) percentiles() [5]int64 {
	order := make([]int, len(b.feeRates))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		return slices.Compare([]int64{b.feeRates[x], b.weights[x]}, []int64{b.feeRates[y], b.weights[y]})
	})
	var result [5]int64
	next, sum := 0, int64(0)
	for _, i := range order {
		sum += b.weights[i]
		for next < len(result) && float64(sum) >= float64(b.totalWeight)*[5]float64{0.1, 0.25, 0.5, 0.75, 0.9}[next] {
			result[next] = b.feeRates[i]
			next++
		}
	}
	for ; next < len(result) && len(order) > 0; next++ {
		result[next] = b.feeRates[order[len(order)-1]]
	}
	return result
}

// median is that of Bitcoin Core's statistics. Of an even number of values it is the
// mean of the middle two, rounded down.
func median(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		middle = (middle + sorted[len(sorted)/2-1]) / 2
	}
	return middle
}

// least, most and average are 0 for a block without payments, as in Core.
func least(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Min(values)
}

func most(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Max(values)
}

func average(total int64, count int) int64 {
	if count == 0 {
		return 0
	}
	return total / int64(count)
}

// getBlockStats is Core's getblockstats. What was spent is read from the undo data,
// which a block that was never on the best chain does not have.
func getBlockStats(s *Server, a *args) work {
	info := s.blockAt(a, 0)
	names := a.texts(1, maxStats)
	return func(context.Context) (any, error) {
		if _, err := s.body(&info); err != nil {
			return nil, err
		}
		if info.Height > 0 && !info.Status.Has(header.StatusUndo) {
			return nil, failf(CodeMisc, "Undo data not available")
		}
		u, err := s.Blocks.BlockUpdate(info.Hash)
		if err != nil {
			return nil, err
		}
		return chooseStats(s.statsOf(&info, &u), names)
	}
}

// maxStats is the number of statistics.
const maxStats = 31

// statsOf adds a block up.
func (s *Server) statsOf(info *header.Info, u *consensus.BlockUpdate) map[string]any {
	var b blockStats
	spent := u.SpentCoins()
	txs := u.Block.Block.Txs
	for i := range txs {
		b.add(&txs[i], spent[i])
	}
	subsidy := consensus.Subsidy(s.Params, max(info.Height, 1)) // Core has one for the genesis block too, which nobody can spend
	paying := len(txs) - 1
	rate := int64(0)
	if b.totalWeight > 0 {
		rate = b.totalFee * types.WitnessScale / b.totalWeight
	}
	return map[string]any{
		"avgfee": average(b.totalFee, paying), "avgfeerate": rate, "avgtxsize": average(b.totalSize, paying), "blockhash": info.Hash,
		"feerate_percentiles": b.percentiles(), "height": info.Height, "ins": b.inputs, "maxfee": most(b.fees), "maxfeerate": most(b.feeRates),
		"maxtxsize": most(b.sizes), "medianfee": median(b.fees), "mediantime": info.MedianTime, "mediantxsize": median(b.sizes),
		"minfee": least(b.fees), "minfeerate": least(b.feeRates), "mintxsize": least(b.sizes), "outs": b.outputs,
		"subsidy": subsidy, "swtotal_size": b.witnessSize, "swtotal_weight": b.witnessTotal, "swtxs": b.witnessTxs,
		"time": info.Header.Timestamp, "total_out": b.totalOut, "total_size": b.totalSize, "total_weight": b.totalWeight, "totalfee": b.totalFee,
		"txs": len(txs), "utxo_increase": b.outputs - b.inputs, "utxo_size_inc": b.sizeIncrease,
		"utxo_increase_actual": b.coins - b.inputs, "utxo_size_inc_actual": b.sizeActual,
	}
}

// blockAt finds a block by its height, which is a number, or its hash.
func (s *Server) blockAt(a *args, i int) header.Info {
	if jsonType(a.values[i]) != "number" {
		return s.blockInfo(a, i, "hash_or_height")
	}
	height, tip := a.int32(i, 0), s.Headers.Tip()
	switch {
	case height < 0:
		a.fail(failf(CodeInvalidParam, "Target block height %d is negative", height))
	case height > int64(tip.Height):
		a.fail(failf(CodeInvalidParam, "Target block height %d after current tip %d", height, tip.Height))
	}
	hash, _ := s.Headers.HashAt(uint32(height))
	info, ok := s.Headers.Info(hash)
	if !ok {
		a.fail(errNoBlock)
	}
	return info
}

// chooseStats returns the statistics that were asked for, or all.
func chooseStats(all map[string]any, names []string) (any, error) {
	if len(names) == 0 {
		return all, nil
	}
	chosen := map[string]any{}
	for _, name := range names {
		value, ok := all[name]
		if !ok {
			return nil, failf(CodeInvalidParam, "Invalid selected statistic '%.100s'", name)
		}
		chosen[name] = value
	}
	return chosen, nil
}
