package coinstats

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// testCoins makes n coins in key order, of transactions with one to four
// outputs.
func testCoins(tb testing.TB, n int) ([]types.OutPoint, []types.Coin) {
	tb.Helper()
	random := rand.New(rand.NewPCG(3, uint64(n)))
	ops, coins := make([]types.OutPoint, n), make([]types.Coin, n)
	var op types.OutPoint
	for i := range ops {
		if op.Index++; i == 0 || random.IntN(3) == 0 {
			op = types.OutPoint{Index: random.Uint32N(2)}
			binary.BigEndian.PutUint64(op.TxID[:], uint64(i))
			binary.BigEndian.PutUint64(op.TxID[8:], random.Uint64())
		}
		script := append([]byte{0x51, 0x20}, make([]byte, 2+random.IntN(39))...)
		script[2] = byte(i)
		out := types.TxOut{Value: types.Amount(random.Int64N(1e8)), ScriptPubKey: script}
		coin, ok := types.NewCoin(&out, random.Uint32N(1<<20), i%5 == 0)
		if !ok {
			tb.Fatal("no coin")
		}
		ops[i], coins[i] = op, coin
	}
	return ops, coins
}

// plain computes the same statistics in the most simple way.
func plain(ops []types.OutPoint, coins []types.Coin) Stats {
	var s Stats
	var m MuHash
	var all []byte
	ids := map[types.Hash]bool{}
	for i := range ops {
		encoded := AppendCoin(nil, ops[i], &coins[i])
		m.Insert(encoded)
		all = append(all, encoded...)
		ids[ops[i].TxID] = true
		s.TotalAmount += coins[i].Value
		s.BogoSize += 50 + uint64(len(coins[i].ScriptPubKey()))
	}
	s.TxOuts, s.Transactions = uint64(len(ops)), uint64(len(ids))
	s.MuHash, s.HashSerialized3 = m.Digest(), types.DoubleSHA256(all)
	return s
}

// TestCollector asks for results at the edges of batches, and goes on adding.
func TestCollector(t *testing.T) {
	ops, coins := testCoins(t, 4*batchCoins+7)
	c := New(true, true)
	at := []int{0, 1, 2, batchCoins - 1, batchCoins, batchCoins + 1, len(ops)}
	done := 0
	for _, n := range at {
		for ; done < n; done++ {
			c.Add(ops[done], &coins[done])
		}
		want := plain(ops[:n], coins[:n])
		for range 2 { // asking changes nothing
			if got := c.Result(); got != want {
				t.Fatalf("%d coins: got %+v, want %+v", n, got, want)
			}
		}
	}
}

func TestHashesOnlyIfWanted(t *testing.T) {
	ops, coins := testCoins(t, batchCoins+5)
	for _, muhash := range []bool{false, true} {
		for _, serialized := range []bool{false, true} {
			want := plain(ops, coins)
			if !muhash {
				want.MuHash = types.Hash{}
			}
			if !serialized {
				want.HashSerialized3 = types.Hash{}
			}
			c := New(muhash, serialized)
			for i := range ops {
				c.Add(ops[i], &coins[i])
			}
			if got := c.Result(); got != want {
				t.Errorf("muhash %t, serialized %t: got %+v, want %+v", muhash, serialized, got, want)
			}
		}
	}
}

// TestTransactionZero: the txid of zero bytes is a txid like any other.
func TestTransactionZero(t *testing.T) {
	c := New(false, false)
	c.Add(types.OutPoint{}, &types.Coin{})
	if got := c.Result(); got.Transactions != 1 || got.TxOuts != 1 || got.BogoSize != 50 {
		t.Errorf("%+v", got)
	}
}

func TestEmptySet(t *testing.T) {
	one := append([]byte{1}, make([]byte, 383)...)
	want := Stats{MuHash: sha256.Sum256(one), HashSerialized3: types.DoubleSHA256(nil)}
	if got := New(true, true).Result(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAppendCoin(t *testing.T) {
	out := types.TxOut{Value: 0x0102030405060708, ScriptPubKey: []byte{0x51, 0x02, 0xaa, 0xbb}}
	coin, _ := types.NewCoin(&out, 0x00010203, true)
	op := types.OutPoint{TxID: types.Hash{0: 0x11, 31: 0x22}, Index: 0x0a0b0c0d}
	const want = "ff" + "1100000000000000000000000000000000000000000000000000000000000022" + "0d0c0b0a" +
		"07040200" + "0807060504030201" + "04" + "5102aabb"
	if got := hex.EncodeToString(AppendCoin([]byte{0xff}, op, &coin)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	coin.IsCoinbase = false
	if got := AppendCoin(nil, op, &coin); got[36] != 0x06 {
		t.Errorf("height and coinbase bit: %x", got[36:40])
	}
}

func BenchmarkCollector(b *testing.B) {
	ops, coins := testCoins(b, 1<<14)
	for _, bench := range []struct {
		name               string
		muhash, serialized bool
	}{{"none", false, false}, {"serialized", false, true}, {"muhash", true, false}} {
		b.Run(bench.name, func(b *testing.B) {
			c := New(bench.muhash, bench.serialized)
			b.ReportAllocs()
			i := 0
			for b.Loop() { // one coin
				c.Add(ops[i%len(ops)], &coins[i%len(ops)])
				i++
			}
			c.Result()
		})
	}
}
