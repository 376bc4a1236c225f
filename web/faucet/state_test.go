package faucet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// strand is a chain that a test lengthens.
type strand struct {
	poke.Source
	blocks []consensus.BlockUpdate
	coins  map[types.OutPoint]types.Coin
}

func (s *strand) Tip() types.Index {
	if len(s.blocks) == 0 {
		return types.Index{}
	}
	return s.blocks[len(s.blocks)-1].Update.Block
}
func (s *strand) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	return nil, s.blocks[since.Height:min(int(since.Height)+limit, len(s.blocks))], nil
}
func (s *strand) ForEachCoin(_ context.Context, each func(types.OutPoint, *types.Coin) error) (types.Index, error) {
	for at, c := range s.coins {
		if err := each(at, &c); err != nil {
			return types.Index{}, err
		}
	}
	return s.Tip(), nil
}

// add puts transactions into a block.
func (s *strand) add(txs ...*types.Tx) {
	height := uint32(len(s.blocks) + 1)
	u := &consensus.Update{Block: types.Index{Height: height, Hash: types.Hash{byte(height)}}, Parent: s.Tip()}
	block := &consensus.HashedBlock{Hash: u.Block.Hash}
	for _, tx := range txs {
		txid := tx.TxID()
		block.TxIDs = append(block.TxIDs, txid)
		for i := range tx.Inputs {
			at := tx.Inputs[i].PreviousOutPoint
			u.Spent = append(u.Spent, consensus.CoinEntry{OutPoint: at, Coin: s.coins[at]})
			delete(s.coins, at)
		}
		for i := range tx.Outputs {
			coin, _ := types.NewCoin(&tx.Outputs[i], height, false)
			at := types.OutPoint{TxID: txid, Index: uint32(i)}
			s.coins[at] = coin
			u.Created = append(u.Created, consensus.CoinEntry{OutPoint: at, Coin: coin})
		}
	}
	s.blocks = append(s.blocks, consensus.BlockUpdate{Block: block, Update: u})
}

// restarts is a faucet that ends and begins again.
type restarts struct {
	t     *testing.T
	chain *strand
	dir   string
	now   time.Time
	*Faucet
	pool *keeper
}

func newRestarts(t *testing.T) *restarts {
	r := &restarts{t: t, chain: &strand{coins: map[types.OutPoint]types.Coin{}}, dir: t.TempDir(), now: time.Unix(1.8e9, 0)}
	r.again()
	for n := range 3 {
		tx := &types.Tx{Inputs: []types.TxIn{{Sequence: uint32(n)}}, Outputs: []types.TxOut{{Value: 10 * DefaultAmount, ScriptPubKey: r.script}}}
		r.chain.add(tx)
	}
	r.again()
	return r
}

// again starts the faucet with what its files have, and an empty pool.
func (r *restarts) again() {
	r.t.Helper()
	r.pool = &keeper{entries: map[types.Hash]*pending.Entry{}, spent: map[types.OutPoint]*pending.Entry{}}
	f, err := New(Options{
		Params: &consensus.Params{HRP: "krtd"}, KeyFile: filepath.Join(r.dir, "key"), StateFile: filepath.Join(r.dir, "state"), Pool: r.pool, Chain: r.chain,
		Amount: DefaultAmount, PerHour: DefaultPerHour, Now: func() time.Time { return r.now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Faucet = f
	f.settle()
	if err := f.find(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	f.send(r.t.Context())
}

// ask asks for somebody, by a page that was open for a while.
func (r *restarts) ask(n int, challenge string) error {
	script := taproot.OutputScript([32]byte{1, byte(n)})
	address, _ := taproot.EncodeAddress("krtd", script)
	for nonce := 0; ; nonce++ {
		if text := fmt.Sprint(nonce); faucetinfo.Proves(challenge, address, text) {
			return r.Ask(address, script, netip.AddrFrom4([4]byte{192, 0, byte(n), 1}), challenge, text)
		}
	}
}

// paidTo is how many coins wait or are on the chain for somebody.
func (r *restarts) paidTo(n int) (times int) {
	script := string(taproot.OutputScript([32]byte{1, byte(n)}))
	for _, e := range r.pool.entries {
		for i := range e.Tx.Outputs {
			if string(e.Tx.Outputs[i].ScriptPubKey) == script {
				times++
			}
		}
	}
	for _, c := range r.chain.coins {
		if string(c.ScriptPubKey()) == script {
			times++
		}
	}
	return times
}

// TestRestarts: who was promised coins gets them once, whenever the node ends, and who had some
// has to wait as before.
func TestRestarts(t *testing.T) {
	r := newRestarts(t)
	challenge := r.Challenge()
	if err := r.ask(1, challenge); err != nil {
		t.Fatal(err)
	}
	r.again() // before it is paid
	var limit *faucetinfo.LimitError
	if err := r.ask(1, challenge); !errors.As(err, &limit) || !limit.Until.Equal(r.now.Add(period)) {
		t.Errorf("who asks again after a restart: %v", err)
	}
	if s := r.Status(); s.Waiting != 1 || s.LeftHour != DefaultPerHour-DefaultAmount {
		t.Errorf("%+v", s)
	}
	// The node ends after the payment was written down, and before it was sent.
	p, err := r.prepare()
	if err != nil || r.save() != nil || r.paidTo(1) != 0 {
		t.Fatal(err)
	}
	r.again()
	if r.paidTo(1) != 1 || r.Status().Waiting != 0 {
		t.Errorf("paid %d times", r.paidTo(1))
	}
	// Another one spends the change of that, and both are lost by the pool.
	for n := 2; n <= 3; n++ {
		if err := r.ask(n, challenge); err != nil {
			t.Fatal(err)
		}
		r.pay(t.Context())
	}
	r.again()
	for n := 1; n <= 3; n++ {
		if r.paidTo(n) != 1 {
			t.Errorf("%d is paid %d times", n, r.paidTo(n))
		}
	}
	// The first is in a block that came while the faucet was not there; the pool is empty.
	r.chain.add(p.tx)
	r.again()
	for n := 1; n <= 3; n++ {
		if r.paidTo(n) != 1 {
			t.Errorf("after a block %d is paid %d times", n, r.paidTo(n))
		}
	}
	if len(r.payments) != 2 {
		t.Errorf("%d payments wait for a block", len(r.payments))
	}
	// An hour later nobody waits, and the file does not grow.
	r.now = r.now.Add(period)
	if err := r.ask(1, r.Challenge()); err != nil {
		t.Error(err)
	}
	if len(r.limits.given) != 1 {
		t.Errorf("%d gifts are known", len(r.limits.given))
	}
}

// TestKeyElsewhere: whom a payment promised coins that somebody with the same key has spent is
// paid by another.
func TestKeyElsewhere(t *testing.T) {
	r := newRestarts(t)
	if err := r.ask(1, r.Challenge()); err != nil {
		t.Fatal(err)
	}
	r.pay(t.Context())
	other := &types.Tx{Inputs: r.payments[0].tx.Inputs, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: r.script}}}
	r.chain.add(other)
	clear(r.pool.entries)
	clear(r.pool.spent)
	if err := r.follow(); err != nil {
		t.Fatal(err)
	}
	r.pay(t.Context())
	if r.paidTo(1) != 1 {
		t.Errorf("paid %d times", r.paidTo(1))
	}
}

// TestDamagedState: a file that is not the faucet's is said, and not overwritten.
func TestDamagedState(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"queue":["x"]}`, `{"version":1,"queue":["51"]}`, `{"version":1,"given":[{"amount":-1}]}`, `{"version":1,"payments":[{"tx":"00"}]}`, `{"version":1,"given":[{"group":"x"}]}`} {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{Params: &consensus.Params{HRP: "krtd"}, KeyFile: filepath.Join(t.TempDir(), "key"), StateFile: path, Now: time.Now}); err == nil {
			t.Errorf("%q is taken", text)
		}
		if after, _ := os.ReadFile(path); string(after) != text {
			t.Errorf("%q was changed", text)
		}
	}
}

// TestChildOfLostPayment: whoever is paid with the change of a payment whose coins are gone is
// paid by another, too.
func TestChildOfLostPayment(t *testing.T) {
	r := newRestarts(t)
	for n := 1; n <= 4; n++ {
		if err := r.ask(n, r.Challenge()); err != nil {
			t.Fatal(err)
		}
		r.pay(t.Context())
	}
	for _, p := range r.payments[:3] {
		r.chain.add(&types.Tx{Inputs: p.tx.Inputs, Outputs: []types.TxOut{{Value: 4 * DefaultAmount, ScriptPubKey: r.script}}})
	}
	clear(r.pool.entries)
	clear(r.pool.spent)
	if err := r.follow(); err != nil {
		t.Fatal(err)
	}
	if got := r.Status().Waiting; got != 4 || len(r.payments) > 0 {
		t.Errorf("%d of 4 wait again, and %d payments are left", got, len(r.payments))
	}
	r.pay(t.Context())
	for n := 1; n <= 4; n++ {
		if r.paidTo(n) != 1 {
			t.Errorf("%d is paid %d times", n, r.paidTo(n))
		}
	}
}
