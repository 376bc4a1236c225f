package rpc

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// coinOverhead is what Bitcoin Core counts for a coin besides its output: 36 bytes of
// outpoint, 4 of height with a flag for coinbases. No store keeps coins so; it makes
// statistics comparable.
const coinOverhead = 36 + 4

// outputSize is what an output counts for whose script has so many bytes.
func outputSize(script int) int64 {
	return int64(8+types.CompactSizeLen(uint64(script))+script) + coinOverhead
}

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

// add counts a transaction of a size in bytes. spent are the coins of its inputs. The coinbase counts
// with its outputs alone: Core leaves out of sizes and fees what nobody chose to pay.
func (b *blockStats) add(tx *types.Tx, size int64, spent []types.Coin) {
	out := int64(0)
	for i := range tx.Outputs {
		o := &tx.Outputs[i]
		out += int64(o.Value)
		size := outputSize(len(o.ScriptPubKey))
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
	weight := int64(tx.StrippedSize()*(types.WitnessScale-1)) + size
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
		fee += int64(spent[i].Value)
		size := outputSize(len(spent[i].ScriptPubKey()))
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
	return func(ctx context.Context) (any, error) {
		v, err := s.view(ctx, &info)
		if err != nil {
			return nil, err
		}
		switch {
		case v.spent != nil:
		case info.Height == 0: // it spends nothing
			v = newBlockView(v.HashedBlock, [][]types.Coin{nil})
		case info.Status.Has(header.StatusUndo):
			if _, err := s.Blocks.BlockUpdate(info.Hash); err != nil {
				return nil, err // it says what is damaged
			}
			fallthrough
		default:
			return nil, failf(CodeMisc, "Undo data not available")
		}
		return chooseStats(s.statsOf(&info, v), names)
	}
}

// maxStats is the number of statistics.
const maxStats = 31

// stat is a statistic by its name.
type stat struct {
	name  string
	value int64
	other string // JSON in place of the value
}

// statsJSON are statistics, in an object.
type statsJSON []stat

func (j statsJSON) appendJSON(b []byte) []byte {
	w := jsonWriter{b: b}
	between := `{"`
	for i := range j {
		w.raw(between)
		w.raw(j[i].name)
		w.raw(`":`)
		if j[i].other != "" {
			w.raw(j[i].other)
		} else {
			w.int(j[i].value)
		}
		between = `,"`
	}
	w.raw("}")
	return w.b
}

// statsOf adds a block up. The order is Core's.
func (s *Server) statsOf(info *header.Info, v *blockView) statsJSON {
	var b blockStats
	txs := v.Block.Txs
	for i := range txs {
		b.add(&txs[i], int64(len(v.rawTx(i))), v.spent[i])
	}
	subsidy := consensus.Subsidy(s.Params, max(info.Height, 1)) // Core has one for the genesis block too, which nobody can spend
	paying := len(txs) - 1
	rate := int64(0)
	if b.totalWeight > 0 {
		rate = b.totalFee * types.WitnessScale / b.totalWeight
	}
	percentiles, _ := json.Marshal(b.percentiles())
	number := func(name string, value int64) stat { return stat{name: name, value: value} }
	return statsJSON{
		number("avgfee", average(b.totalFee, paying)), number("avgfeerate", rate), number("avgtxsize", average(b.totalSize, paying)),
		{name: "blockhash", other: `"` + info.Hash.String() + `"`}, {name: "feerate_percentiles", other: string(percentiles)},
		number("height", int64(info.Height)), number("ins", b.inputs), number("maxfee", most(b.fees)), number("maxfeerate", most(b.feeRates)),
		number("maxtxsize", most(b.sizes)), number("medianfee", median(b.fees)), number("mediantime", int64(info.MedianTime)), number("mediantxsize", median(b.sizes)),
		number("minfee", least(b.fees)), number("minfeerate", least(b.feeRates)), number("mintxsize", least(b.sizes)), number("outs", b.outputs),
		number("subsidy", int64(subsidy)), number("swtotal_size", b.witnessSize), number("swtotal_weight", b.witnessTotal), number("swtxs", b.witnessTxs),
		number("time", int64(info.Header.Timestamp)), number("total_out", b.totalOut), number("total_size", b.totalSize), number("total_weight", b.totalWeight),
		number("totalfee", b.totalFee), number("txs", int64(len(txs))), number("utxo_increase", b.outputs-b.inputs), number("utxo_size_inc", b.sizeIncrease),
		number("utxo_increase_actual", b.coins-b.inputs), number("utxo_size_inc_actual", b.sizeActual),
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

// chooseStats returns the statistics that were asked for, by their names, or all.
func chooseStats(all statsJSON, names []string) (any, error) {
	if len(names) == 0 {
		return all, nil
	}
	chosen := statsJSON{}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s stat) bool { return s.name == name }) {
			return nil, failf(CodeInvalidParam, "Invalid selected statistic '%.100s'", name)
		}
	}
	for _, s := range all {
		if slices.Contains(names, s.name) {
			chosen = append(chosen, s)
		}
	}
	slices.SortFunc(chosen, func(a, b stat) int { return strings.Compare(a.name, b.name) })
	return chosen, nil
}
