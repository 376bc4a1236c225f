package chain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// memStore is the naive twin of the real store: maps, and a copy of them for
// what a crash leaves.
type memStore struct {
	bodies, savedBodies map[types.Hash][]byte
	undos, savedUndos   map[types.Hash][]types.Coin
	coins, savedCoins   map[types.OutPoint]types.Coin
	records             map[types.Hash]header.Record
	tip                 types.Index
	flushes             int
	flushEvery          int // updates between demands to flush; 0: never
	updates             int
	failAt              int // the write that fails; 0: none
	prune               bool
	writes              int
}

func newMemStore() *memStore {
	return &memStore{
		bodies: map[types.Hash][]byte{}, savedBodies: map[types.Hash][]byte{},
		undos: map[types.Hash][]types.Coin{}, savedUndos: map[types.Hash][]types.Coin{},
		coins: map[types.OutPoint]types.Coin{}, savedCoins: map[types.OutPoint]types.Coin{},
		records: map[types.Hash]header.Record{},
	}
}

// crash forgets bodies that were not made durable; open forgets coins.
func (s *memStore) crash() {
	s.bodies, s.undos = maps.Clone(s.savedBodies), maps.Clone(s.savedUndos)
}

func (s *memStore) write() error {
	s.writes++
	if s.writes == s.failAt {
		return fmt.Errorf("the disk broke at write %d", s.writes)
	}
	return nil
}

func (s *memStore) WriteBlock(at types.Index, raw []byte) error {
	s.bodies[at.Hash] = slices.Clone(raw)
	return s.write()
}

func (s *memStore) ReadBlock(hash types.Hash) ([]byte, error) {
	if raw, ok := s.bodies[hash]; ok {
		return raw, nil
	}
	return nil, fmt.Errorf("no body of %s", hash)
}

func (s *memStore) ReadBlockPart(hash types.Hash, offset, size uint32) ([]byte, error) {
	raw, err := s.ReadBlock(hash)
	if err != nil || int(offset)+int(size) > len(raw) {
		return nil, fmt.Errorf("no such bytes of %s", hash)
	}
	return raw[offset:][:size], nil
}

func (s *memStore) WriteUndo(at types.Index, coins []types.Coin) error {
	s.undos[at.Hash] = slices.Clone(coins)
	return s.write()
}

func (s *memStore) ReadUndo(hash types.Hash) ([]types.Coin, error) {
	if coins, ok := s.undos[hash]; ok {
		return coins, nil
	}
	return nil, fmt.Errorf("no undo data of %s", hash)
}

func (s *memStore) Prune(below uint32, all bool) (pruned []types.Hash, err error) {
	for hash, r := range s.records {
		if (s.prune || all) && r.Height < below && r.Status.Has(header.StatusBody) {
			r.Status &^= header.StatusBody | header.StatusUndo
			s.records[hash] = r
			for _, m := range []map[types.Hash][]byte{s.bodies, s.savedBodies} {
				delete(m, hash)
			}
			for _, m := range []map[types.Hash][]types.Coin{s.undos, s.savedUndos} {
				delete(m, hash)
			}
			pruned = append(pruned, hash)
		}
	}
	return pruned, nil
}

func (s *memStore) FetchCoins(outPoints []types.OutPoint, into []consensus.FetchedCoin) error {
	for i, outPoint := range outPoints {
		coin, ok := s.coins[outPoint]
		into[i] = consensus.FetchedCoin{Coin: coin, Found: ok}
	}
	return nil
}

func (s *memStore) ApplyUpdate(u *consensus.Update) error  { return s.move(u.Spent, u.Created) }
func (s *memStore) RevertUpdate(u *consensus.Update) error { return s.move(u.Created, u.Spent) }

func (s *memStore) move(out, in []consensus.CoinEntry) error {
	s.updates++
	for _, entry := range out {
		if s.coins[entry.OutPoint] != entry.Coin {
			return fmt.Errorf("coin %s is not there as it should be", entry.OutPoint)
		}
		delete(s.coins, entry.OutPoint)
	}
	for _, entry := range in {
		if _, there := s.coins[entry.OutPoint]; there {
			return fmt.Errorf("coin %s is there already", entry.OutPoint)
		}
		s.coins[entry.OutPoint] = entry.Coin
	}
	return nil
}

func (s *memStore) CoinsTip() types.Index { return s.tip }
func (s *memStore) NeedsFlush() bool      { return s.flushEvery > 0 && s.updates >= s.flushEvery }

func (s *memStore) CoinSnapshot() (func(func(types.OutPoint, *types.Coin) error) error, error) {
	coins := maps.Clone(s.savedCoins)
	return func(each func(types.OutPoint, *types.Coin) error) error {
		for outPoint, coin := range coins {
			if err := each(outPoint, &coin); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (s *memStore) Headers(each func(header.Record) error) error {
	for _, r := range s.records {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *memStore) SaveHeaders(records []header.Record) error {
	if err := s.write(); err != nil {
		return err
	}
	s.savedBodies, s.savedUndos = maps.Clone(s.bodies), maps.Clone(s.undos)
	for _, r := range records {
		s.records[r.Hash] = r
	}
	return nil
}

func (s *memStore) Flush(records []header.Record, tip types.Index) error {
	if err := s.SaveHeaders(records); err != nil {
		return err
	}
	s.savedCoins, s.tip = maps.Clone(s.coins), tip
	s.updates = 0
	s.flushes++
	return nil
}

// harness is a chain under test and the tree of blocks that it is given.
type harness struct {
	*chaintest.Tree
	t      testing.TB
	params *consensus.Params
	store  *memStore
	chain  *Chain
	now    time.Time
}

// newHarness is a chain of Bitcoin's regtest network, but with coins that mature at
// once, so that short chains can spend.
func newHarness(t testing.TB) *harness {
	t.Helper()
	params, err := karat.LoadNetwork("../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 1
	h := &harness{t: t, params: params, store: newMemStore(), now: time.Unix(1_800_000_000, 0)}
	h.Tree = chaintest.NewTree(h.params.GenesisBlock().Block)
	h.open()
	return h
}

// open makes the chain anew from the store, whose coin cache a restart empties.
func (h *harness) open() {
	h.t.Helper()
	h.store.coins = maps.Clone(h.store.savedCoins)
	c, err := New(context.Background(), h.params, h.store, Options{Workers: 2, Prune: h.store.prune, Now: func() time.Time { return h.now }})
	if err != nil {
		h.t.Fatalf("open the chain: %v", err)
	}
	h.chain = c
}

// add gives blocks to the chain in one stream and returns the verdicts.
func (h *harness) add(blocks ...*chaintest.Block) map[types.Hash]error {
	h.t.Helper()
	verdicts := map[types.Hash]error{}
	err := h.chain.AddBlocks(context.Background(), func(yield func([]byte) bool) {
		for _, b := range blocks {
			if !yield(b.Raw) {
				return
			}
		}
	}, func(r header.Result) { verdicts[r.Block.Hash] = r.Err })
	if err != nil {
		h.t.Fatalf("AddBlocks: %v", err)
	}
	return verdicts
}

// headers are those of blocks.
func headers(blocks ...*chaintest.Block) (headers []types.Header) {
	for _, b := range blocks {
		headers = append(headers, b.Header)
	}
	return headers
}

// expectTip checks the tip and that the coins are those of a replay.
func (h *harness) expectTip(want *chaintest.Block) {
	h.t.Helper()
	if got := h.chain.Tip(); got != want.Index() {
		h.t.Fatalf("tip is %s, want %s (%s)", got, want.Index(), want.Name)
	}
	h.expectCoins(want)
}

func (h *harness) expectCoins(want *chaintest.Block) {
	h.t.Helper()
	if !maps.Equal(h.store.coins, want.Coins) {
		h.t.Fatalf("at %s the store has %d coins, a replay from genesis %d, or they differ", want.Name, len(h.store.coins), len(want.Coins))
	}
}

// anyCoin returns a coin that a child of the block can spend.
func (h *harness) anyCoin(b *chaintest.Block) types.OutPoint {
	return b.Spendable(h.params.CoinbaseMaturity, nil)[0]
}
