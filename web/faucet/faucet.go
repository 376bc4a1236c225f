// Package faucet gives coins away: to an address once an hour, and to whoever asks from one
// network once an hour, so much an hour in all. Who asks does a little work first, which a
// browser does in a second and a crowd of programs feels. Requests of some seconds are paid
// together, in one transaction.
//
// The faucet has a key of its own, in a file that only its owner can read, and nothing but
// what is paid to it. It finds its coins by following the chain. Whom it owes coins, and who has
// had some, is in another file, so that neither is forgotten when the node is started again.
package faucet

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// Chain is where the faucet finds its coins.
type Chain interface {
	ForEachCoin(ctx context.Context, each func(types.OutPoint, *types.Coin) error) (types.Index, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	Tip() types.Index
	poke.Source
}

// Pool takes the faucet's payments. Get and SpentBy return nil if there is none.
type Pool interface {
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	Get(txid types.Hash) *pending.Entry
	SpentBy(outPoint types.OutPoint) *pending.Entry
	Estimate(blocks int, conservative bool) pending.FeeEstimate
}

// Options are what a faucet is made of.
type Options struct {
	Params    *consensus.Params
	KeyFile   string
	StateFile string // of what was promised and given
	Key       []byte // 32 bytes, of the output; nil: it is in KeyFile
	Chain     Chain
	Pool      Pool
	Amount    types.Amount  // that each request gets
	PerHour   types.Amount  // that all together get
	Interval  time.Duration // between payments
	Now       func() time.Time
	Logger    *slog.Logger
}

// The defaults of Options.
const (
	DefaultAmount   = types.Amount(types.GrainsPerCoin)
	DefaultPerHour  = 100 * DefaultAmount
	DefaultInterval = 5 * time.Second
)

// Faucet gives coins away. Its methods may be called concurrently.
type Faucet struct {
	o      Options
	key    *btcec.PrivateKey
	script []byte
	since  types.Index   // where an earlier run has left the chain
	secret [32]byte      // by which it knows its own challenges
	saving chan struct{} // held while the file is written

	mu sync.Mutex
	// Guarded by mu:
	at             types.Index
	coins          map[types.OutPoint]coin // of the best chain
	payments       []*payment              // that no block has yet, each after those whose change it spends
	sum            types.Amount            // of what can be spent soon, as it was when
	summed         time.Time               // zero: it must be added up
	queue          [][]byte                // scripts to be paid next
	limits         limits
	changes, saved uint64                // of what is in the file: asked for, and written
	paid           map[string]types.Hash // by script: what paid it last
}

type coin struct {
	value      types.Amount
	height     uint32
	isCoinbase bool
}

// New returns a faucet, which Run runs. It makes a key if the file is not there.
func New(o Options) (*Faucet, error) {
	load := func() (*btcec.PrivateKey, error) { return loadKey(o.KeyFile) }
	if o.Key != nil {
		load = func() (*btcec.PrivateKey, error) { return parseKey(o.Key, "it") }
	}
	key, err := load()
	if err != nil {
		return nil, fmt.Errorf("faucet key: %w", err)
	}
	f := &Faucet{o: o, key: key, script: scriptOf(key), coins: map[types.OutPoint]coin{}, paid: map[string]types.Hash{}, saving: make(chan struct{}, 1)}
	// A page that was open before a restart has a challenge that still counts.
	f.secret = sha256.Sum256(append([]byte("challenges of the faucet"), key.Serialize()...))
	f.limits = newLimits(o.PerHour)
	return f, f.load()
}

// ScriptOf returns what pays the faucet whose key is in a file. It makes the key if the file is
// not there, so that a faucet can be paid before it runs.
func ScriptOf(keyFile string) ([]byte, error) {
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("faucet key: %w", err)
	}
	return scriptOf(key), nil
}

func scriptOf(key *btcec.PrivateKey) []byte {
	return taproot.OutputScript([32]byte(schnorr.SerializePubKey(key.PubKey())))
}

// Script is what pays the faucet.
func (f *Faucet) Script() []byte { return f.script }

// Status returns how the faucet is.
func (f *Faucet) Status() faucetinfo.Status {
	address, _ := taproot.EncodeAddress(f.o.Params.HRP, f.script)
	f.mu.Lock()
	defer f.mu.Unlock()
	s := faucetinfo.Status{Address: address, Amount: f.o.Amount, LeftHour: f.limits.left(f.o.Now()), Waiting: len(f.queue)}
	s.Left = f.has()
	return s
}

// Run follows the chain and pays, until the context ends.
func (f *Faucet) Run(ctx context.Context) error {
	f.settle()
	if err := f.find(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	poked, cancel := f.o.Chain.Subscribe()
	defer cancel()
	every, again := time.NewTicker(f.o.Interval), time.NewTicker(sendAgain)
	defer every.Stop()
	defer again.Stop()
	f.send(ctx)
	for {
		if err := f.follow(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poked:
		case <-every.C:
			f.pay(ctx)
		case <-again.C:
			f.send(ctx)
		}
	}
}

// find looks at all coins once.
func (f *Faucet) find(ctx context.Context) error {
	found := map[types.OutPoint]coin{}
	at, err := f.o.Chain.ForEachCoin(ctx, func(o types.OutPoint, c *types.Coin) error {
		if string(c.ScriptPubKey()) == string(f.script) {
			found[o] = coin{c.Value, c.Height, c.IsCoinbase}
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.coins, f.at, f.summed = found, at, time.Time{}
	return nil
}

// follow goes along with the chain to its tip.
func (f *Faucet) follow() error {
	const atOnce = 8
	for {
		f.mu.Lock()
		at := f.at
		f.mu.Unlock()
		reverted, applied, err := f.o.Chain.UpdatesSince(at, atOnce)
		if err != nil || len(reverted)+len(applied) == 0 {
			return err
		}
		f.mu.Lock()
		f.summed = time.Time{}
		for i := range reverted {
			u := reverted[i].Update
			f.move(u.Created, u.Spent)
			f.at = u.Parent
		}
		for i := range applied {
			u := applied[i].Update
			f.move(u.Spent, u.Created)
			f.confirm(&applied[i])
			f.at = u.Block
		}
		f.mu.Unlock()
	}
}

// move takes coins out and puts coins in. It assumes mu.
func (f *Faucet) move(out, in []consensus.CoinEntry) {
	for i := range out {
		delete(f.coins, out[i].OutPoint)
	}
	for i := range in {
		if c := &in[i].Coin; string(c.ScriptPubKey()) == string(f.script) {
			f.coins[in[i].OutPoint] = coin{c.Value, c.Height, c.IsCoinbase}
		}
	}
}
