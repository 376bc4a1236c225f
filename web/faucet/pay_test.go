package faucet

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// keeper takes every payment, and counts what it is asked.
type keeper struct {
	entries map[types.Hash]*pending.Entry
	spent   map[types.OutPoint]*pending.Entry
	asked   int
	begins  func() // is called when a payment comes
}

func (k *keeper) Accept(_ context.Context, tx *types.Tx, _ types.FeeRate) (*pending.Entry, error) {
	if k.begins != nil {
		k.begins()
	}
	e := &pending.Entry{Tx: tx, TxID: tx.TxID()}
	k.entries[e.TxID] = e
	for i := range tx.Inputs {
		k.spent[tx.Inputs[i].PreviousOutPoint] = e
	}
	return e, nil
}
func (k *keeper) Get(txid types.Hash) *pending.Entry { return k.entries[txid] }
func (k *keeper) SpentBy(o types.OutPoint) *pending.Entry {
	k.asked++
	return k.spent[o]
}
func (k *keeper) Estimate(int, bool) pending.FeeEstimate {
	return pending.FeeEstimate{FeeRate: standard.MinRelay}
}

// filled is a faucet with so many coins of a value.
func filled(t *testing.T, coins int, value types.Amount) (*Faucet, *keeper) {
	t.Helper()
	pool := &keeper{entries: map[types.Hash]*pending.Entry{}, spent: map[types.OutPoint]*pending.Entry{}}
	f, err := New(Options{
		Params: &consensus.Params{HRP: "krtd"}, KeyFile: filepath.Join(t.TempDir(), "key"), StateFile: filepath.Join(t.TempDir(), "state"), Pool: pool,
		Amount: DefaultAmount, PerHour: DefaultPerHour, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range coins {
		var at types.OutPoint
		binary.BigEndian.PutUint32(at.TxID[:], uint32(n+1))
		f.coins[at] = coin{value: value, height: 1}
	}
	return f, pool
}

// TestSmallCoins: requests for more than one transaction's coins are paid by several, each
// once.
func TestSmallCoins(t *testing.T) {
	f, pool := filled(t, 400, DefaultAmount/2)
	const people = 150
	for n := range people {
		f.queue = append(f.queue, taproot.OutputScript([32]byte{1, byte(n)}))
	}
	for range 20 {
		f.pay(t.Context())
	}
	paid := map[string]int{}
	for _, e := range pool.entries {
		for i := range e.Tx.Outputs {
			if out := &e.Tx.Outputs[i]; string(out.ScriptPubKey) != string(f.script) {
				paid[string(out.ScriptPubKey)]++
			}
		}
	}
	twice := 0
	for _, n := range paid {
		if n > 1 {
			twice++
		}
	}
	if len(paid) != people || twice > 0 || len(f.queue) > 0 {
		t.Errorf("%d of %d are paid, %d more than once, %d wait", len(paid), people, twice, len(f.queue))
	}
}

// TestTogether: requests of a moment are paid by one transaction.
func TestTogether(t *testing.T) {
	f, pool := filled(t, 1, 100*DefaultAmount)
	people := [][]byte{taproot.OutputScript([32]byte{1}), taproot.OutputScript([32]byte{2})}
	f.queue = slices.Clone(people)
	f.pay(t.Context())
	if len(pool.entries) != 1 || len(f.queue) != 0 {
		t.Fatalf("%d transactions, %d wait", len(pool.entries), len(f.queue))
	}
	for _, e := range pool.entries {
		for i, script := range people {
			if out := e.Tx.Outputs[i]; out.Value != DefaultAmount || !bytes.Equal(out.ScriptPubKey, script) {
				t.Errorf("output %d is %+v", i, out)
			}
		}
	}
}

// TestChangeOnItsWay: a faucet with one coin has its change while that is paid, and while a
// block has taken the payment from the pool.
func TestChangeOnItsWay(t *testing.T) {
	f, pool := filled(t, 1, 100*DefaultAmount)
	left := func(when string) {
		t.Helper()
		if left := f.Status().Left; left <= 98*DefaultAmount || left >= 99*DefaultAmount {
			t.Errorf("%s: %s are left", when, left)
		}
	}
	f.queue = append(f.queue, taproot.OutputScript([32]byte{1}))
	pool.begins = func() { left("on its way") }
	f.pay(t.Context())
	left("in the pool")
	clear(pool.entries)
	f.summed = time.Time{}
	left("in a block")
}

// TestManyCoins: who looks at the page does not have all coins walked through each time.
func TestManyCoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		const coins = 1000
		f, pool := filled(t, coins, 1000)
		for range 100 {
			if left := f.Status().Left; left != 1000*coins {
				t.Fatalf("%s are left", left)
			}
		}
		if pool.asked > coins {
			t.Errorf("the pool was asked of %d coins %d times", coins, pool.asked)
		}
	})
}
