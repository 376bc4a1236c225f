package mempool

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/poke"
)

var floodSize = flag.Int("flood", 0, "transactions of TestFlood; 0: few")

// wealthy is a chain that never moves, and has all the coins of a flood.
type wealthy struct {
	poke.Bell
	tip types.Index
}

// Tip implements Chain.
func (w *wealthy) Tip() types.Index { return w.tip }

// Info implements Chain.
func (w *wealthy) Info(types.Hash) (header.Info, bool) { return header.Info{}, false }

// MedianTimePast implements Chain.
func (w *wealthy) MedianTimePast(uint32) uint32 { return 1_700_000_000 }

// Coins implements Chain.
func (w *wealthy) Coins(_ context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error) {
	coins := make([]consensus.FetchedCoin, len(outPoints))
	for i := range coins {
		coin, _ := types.NewCoin(&types.TxOut{Value: 100_000_000, ScriptPubKey: chaintest.Anchor}, 1, false)
		coins[i] = consensus.FetchedCoin{Coin: coin, Found: bytes.HasPrefix(outPoints[i].TxID[8:], coinMark)}
	}
	return coins, consensus.NewState(w.tip, types.Header{}, consensus.Uint256{}, []uint32{1_700_000_000}), nil
}

// UpdatesSince implements Chain.
func (w *wealthy) UpdatesSince(types.Index, int) (reverted, applied []consensus.BlockUpdate, err error) {
	return nil, nil, nil
}

// flood is a pool on such a chain.
type flood struct {
	t    testing.TB
	pool *Pool
	next uint64 // the coin that nobody has spent
	data []byte
}

func newFlood(t testing.TB, maxBytes int) *flood {
	t.Helper()
	params, err := karat.LoadNetwork("../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	policy := DefaultPolicy()
	policy.MaxBytes = maxBytes
	o := Options{Params: params, Chain: &wealthy{tip: types.Index{Height: 1000, Hash: types.Hash{1}}}, Policy: policy, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	return &flood{t: t, pool: New(o), data: bytes.Repeat([]byte{7}, 60)}
}

// coinMark is what ids have of transactions that made the coins of a flood.
var coinMark = []byte("coin of a flood")

// coin is one that nobody has spent.
func (f *flood) coin() types.OutPoint {
	f.next++
	id := append(binary.LittleEndian.AppendUint64(nil, f.next*0x9e3779b97f4a7c15), coinMark...)
	return types.OutPoint{TxID: types.Hash(append(id, make([]byte, types.HashSize-len(id))...))}
}

// pay spends coins of the chain or outputs of the pool. It makes n outputs.
func (f *flood) pay(fee types.Amount, n int, from ...types.OutPoint) *types.Tx {
	tx := &types.Tx{Version: 2}
	total := -fee
	for _, outPoint := range from {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: chaintest.Final})
		value := types.Amount(100_000_000)
		if parent := f.pool.Get(outPoint.TxID); parent != nil {
			value = parent.Tx.Outputs[outPoint.Index].Value
		}
		total += value
	}
	for range n {
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: total / types.Amount(n), ScriptPubKey: chaintest.Anchor})
	}
	tx.Outputs[0].Value += total % types.Amount(n)
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: append([]byte{0x6a, byte(len(f.data))}, f.data...)})
	return tx
}

// TestFlood: whatever comes, and however much, the pool takes the memory that it may, and
// its account of that is true. make flood sends a million.
func TestFlood(t *testing.T) {
	count, maxBytes := *floodSize, DefaultMaxBytes
	if count == 0 {
		count, maxBytes = 12_000, 4<<20
	}
	f := newFlood(t, maxBytes)
	before := heapInUse()
	random := rand.New(rand.NewPCG(8, 9))
	began := time.Now()
	refused, work := 0, 0
	for i := range count {
		// What pays more comes later, so that the pool is emptied and filled many times.
		fee := types.Amount(20 + i*200/count + random.IntN(200))
		from := []types.OutPoint{f.coin()}
		if i%7 == 0 {
			from = append(from, f.coin(), f.coin())
		}
		e, err := f.pool.Accept(t.Context(), f.pay(fee, 1+i%3, from...), 0)
		if err != nil {
			refused++
			continue
		}
		work = max(work, e.Work.Relatives)
		if i%1000 == 0 {
			if info := f.pool.Info(); info.Usage > maxBytes {
				t.Fatalf("%d bytes are used, of %d", info.Usage, maxBytes)
			}
		}
	}
	took := time.Since(began)
	checkGraph(t, f.pool)
	info := f.pool.Info()
	if work > 0 {
		t.Errorf("loners had %d relatives", work)
	}
	if refused == 0 || info.Count == 0 || info.MinFeeRate <= DefaultMinRelay {
		t.Errorf("%d refused, %d there, the minimum is %v", refused, info.Count, info.MinFeeRate)
	}
	// Ids of what was accepted and checked, and what came and left, are remembered besides, so
	// many and not more.
	f.pool.verified, f.pool.accepted, f.pool.journal = verifiedSet{}, acceptedLog{}, changeLog{}
	used := heapInUse() - before
	t.Logf("%d transactions, %d of them refused, %d are there; %d µs each; %d bytes are reckoned, %d in use\n%s",
		count, refused, info.Count, took.Microseconds()/int64(count), info.Usage, used, residentSet())
	if ratio := float64(used) / float64(info.Usage); ratio > 1.25 || ratio < .8 {
		t.Errorf("in use is %.2f of what is reckoned", ratio)
	}
	runtime.KeepAlive(f)
}

// residentSet is what the system says of the memory of this process.
func residentSet() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	var lines []byte
	for line := range bytes.Lines(status) {
		if bytes.HasPrefix(line, []byte("VmHWM")) || bytes.HasPrefix(line, []byte("VmRSS")) {
			lines = append(lines, line...)
		}
	}
	return string(lines)
}
