package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// coinSet is the naive twin of the store's coins.
type coinSet map[types.OutPoint]types.Coin

// testBlock is a block that the world has made. Its body is no block, only
// bytes: the store does not look into it.
type testBlock struct {
	header types.Header
	at     types.Index
	parent *testBlock
	raw    []byte
	update consensus.Update
	coins  coinSet // after it
}

func (b *testBlock) record(status header.Status) header.Record {
	return header.Record{Header: b.header, Hash: b.at.Hash, Height: b.at.Height, TxCount: uint32(len(b.raw)), Status: status}
}

// world drives a store as a chain would, with everything drawn from rng, and
// knows what must be in it.
type world struct {
	rng   *rand.Rand
	disk  *faultDisk
	o     Options
	store *Store

	blocks map[types.Hash]*testBlock
	tip    *testBlock // what the coins in the cache reflect
	status map[types.Hash]header.Status
	dirty  map[types.Hash]struct{} // records that are not saved
	pruned map[types.Hash]struct{} // what Prune may have removed

	flushed  *testBlock // what the last Flush that returned reflects
	flushing *testBlock // what the last Flush that began reflects
	saved    map[types.Hash]header.Status
	tips     map[types.Index]bool // all that Flush was called for

	prunes, reverts, restarts int // that did something
}

func newWorld(seed uint64, d *faultDisk, o Options) *world {
	return &world{
		rng: rand.New(rand.NewPCG(seed, 2)), disk: d, o: o,
		blocks: map[types.Hash]*testBlock{}, status: map[types.Hash]header.Status{},
		dirty: map[types.Hash]struct{}{}, pruned: map[types.Hash]struct{}{}, saved: map[types.Hash]header.Status{},
		tips: map[types.Index]bool{},
	}
}

// smallOptions make everything happen early: files fill up, clean coins are
// evicted, steps become transactions, LevelDB compacts.
func smallOptions() Options {
	return Options{
		NetworkName: "test", Network: types.Hash{1}, CacheBytes: 1 << 20,
		SegmentSize: 4000, cacheSlots: 1, batchSize: 2500, writeBuffer: 6000,
	}
}

func (w *world) open() error {
	var err error
	w.store, err = open(w.disk, w.o)
	return err
}

func randomCoin(rng *rand.Rand, height uint32) types.Coin {
	script := make([]byte, 34)
	script[0], script[1] = 0x51, 32
	for i := 2; i < 34; i += 8 {
		binary.LittleEndian.PutUint64(script[i:], rng.Uint64())
	}
	if rng.IntN(8) == 0 {
		script = append([]byte{0x60, 2}, script[2:4]...)
	}
	coin, _ := types.NewCoin(&types.TxOut{Value: types.Amount(rng.Int64N(1 << 50)), ScriptPubKey: script}, height, rng.IntN(4) == 0)
	return coin
}

func randomHash(rng *rand.Rand) (h types.Hash) {
	for i := 0; i < len(h); i += 8 {
		binary.LittleEndian.PutUint64(h[i:], rng.Uint64())
	}
	return h
}

// build makes a block on the tip that spends about spends coins and makes about
// makes.
func (w *world) build(spends, makes int) *testBlock {
	b := &testBlock{parent: w.tip, coins: coinSet{}}
	if w.tip != nil {
		b.header.PrevBlock, b.at.Height = w.tip.at.Hash, w.tip.at.Height+1
		b.coins = maps.Clone(w.tip.coins)
		b.update.Parent = w.tip.at
	}
	b.header.Nonce, b.header.Timestamp = w.rng.Uint32(), w.rng.Uint32()
	b.at.Hash = b.header.Hash()
	b.update.Block = b.at
	b.raw = make([]byte, 20+w.rng.IntN(600))
	for i := range b.raw {
		b.raw[i] = byte(w.rng.Uint32())
	}
	names := slices.SortedFunc(maps.Keys(b.coins), func(x, y types.OutPoint) int { return compareOutPoints(&x, &y) })
	w.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:min(len(names), w.rng.IntN(spends+1))] {
		b.update.Spent = append(b.update.Spent, consensus.CoinEntry{OutPoint: name, Coin: b.coins[name]})
		delete(b.coins, name)
	}
	txid := randomHash(w.rng)
	for i := range w.rng.IntN(makes + 1) {
		entry := consensus.CoinEntry{OutPoint: types.OutPoint{TxID: txid, Index: uint32(i)}, Coin: randomCoin(w.rng, b.at.Height)}
		b.update.Created = append(b.update.Created, entry)
		b.coins[entry.OutPoint] = entry.Coin
	}
	w.blocks[b.at.Hash] = b
	return b
}

// extend connects a new block, as chain does.
func (w *world) extend(spends, makes int) error {
	b := w.build(spends, makes)
	if err := w.store.WriteBlock(b.at, b.raw); err != nil {
		return err
	}
	if err := w.fetch(b); err != nil {
		return err
	}
	if err := w.store.ApplyUpdate(&b.update); err != nil {
		return err
	}
	if err := w.store.WriteUndo(b.at, b.update.SpentCoins()); err != nil {
		return err
	}
	w.tip = b
	w.mark(b, header.StatusBody|header.StatusUndo|header.StatusValid)
	if w.store.NeedsFlush() {
		return w.flush()
	}
	return nil
}

// fetch looks up what the block spends, some coins that there are and some that
// there are not.
func (w *world) fetch(b *testBlock) error {
	var names []types.OutPoint
	for i := range b.update.Spent {
		names = append(names, b.update.Spent[i].OutPoint)
	}
	before := coinSet{}
	if b.parent != nil {
		before = b.parent.coins
	}
	for range 3 {
		names = append(names, types.OutPoint{TxID: randomHash(w.rng)})
	}
	for other := range w.blocks {
		for i := range w.blocks[other].update.Created {
			names = append(names, w.blocks[other].update.Created[i].OutPoint)
		}
		if len(names) > 80 {
			break
		}
	}
	coins := make([]consensus.FetchedCoin, len(names))
	if err := w.store.FetchCoins(names, coins); err != nil {
		return err
	}
	for i, name := range names {
		if want, ok := before[name]; ok != coins[i].Found || coins[i].Coin != want {
			return fmt.Errorf("WRONG: coin %s: found %v %v, want %v %v", name, coins[i].Found, coins[i].Coin, ok, want)
		}
	}
	return nil
}

func (w *world) mark(b *testBlock, status header.Status) {
	w.status[b.at.Hash] = status
	w.dirty[b.at.Hash] = struct{}{}
}

// revert disconnects the tip, if its undo data is there.
func (w *world) revert() error {
	b := w.tip
	if b == nil || b.parent == nil || !w.status[b.at.Hash].Has(header.StatusUndo) {
		return nil
	}
	undo, err := w.store.ReadUndo(b.at.Hash)
	if err != nil {
		return err
	}
	if !slices.Equal(undo, b.update.SpentCoins()) {
		return fmt.Errorf("WRONG: undo data of block %s", b.at)
	}
	if err := w.store.RevertUpdate(&b.update); err != nil {
		return err
	}
	w.tip = b.parent
	w.reverts++
	return nil
}

func (w *world) records() []header.Record {
	var records []header.Record
	for hash := range w.dirty {
		records = append(records, w.blocks[hash].record(w.status[hash]))
	}
	clear(w.dirty)
	return records
}

func (w *world) acknowledge(records []header.Record) {
	for _, r := range records {
		w.saved[r.Hash] = r.Status
	}
}

func (w *world) save() error {
	records := w.records()
	if err := w.store.SaveHeaders(records); err != nil {
		return err
	}
	w.acknowledge(records)
	return nil
}

func (w *world) flush() error {
	if w.tip == nil {
		return nil
	}
	records := w.records()
	w.flushing = w.tip
	w.tips[w.tip.at] = true
	if err := w.store.Flush(records, w.tip.at); err != nil {
		return err
	}
	w.flushed = w.tip
	w.acknowledge(records)
	return nil
}

// prune flushes first, as chain does, and lets go of all but the last keep
// blocks.
func (w *world) prune(keep uint32) error {
	if err := w.flush(); err != nil || w.tip == nil || w.tip.at.Height < keep {
		return err
	}
	below := w.tip.at.Height - keep
	for hash, b := range w.blocks {
		if b.at.Height < below {
			w.pruned[hash] = struct{}{}
		}
	}
	gone, err := w.store.Prune(below, false)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		w.prunes++
	}
	for _, hash := range gone {
		if w.blocks[hash].at.Height >= below {
			return fmt.Errorf("WRONG: block %s was pruned, at or above %d", w.blocks[hash].at, below)
		}
		if _, err := w.store.ReadBlock(hash); !errors.Is(err, consensus.ErrNotFound) {
			return w.unreadable("pruned body", w.blocks[hash], err)
		}
		w.status[hash] &^= header.StatusBody | header.StatusUndo
		w.saved[hash] &^= header.StatusBody | header.StatusUndo
	}
	return nil
}

// restart closes and opens, and takes the way back to what was flushed.
func (w *world) restart() error {
	w.restarts++
	if err := w.store.Close(); err != nil {
		return err
	}
	if err := w.open(); err != nil {
		return err
	}
	return w.resume()
}

// resume checks the store that was opened against what must be in it, and goes
// on from there.
func (w *world) resume() error {
	if err := w.check(); err != nil {
		return err
	}
	w.tip = w.blocks[w.store.CoinsTip().Hash]
	w.flushed, w.flushing = w.tip, w.tip
	clear(w.dirty)
	return nil
}

// check compares a store that was just opened with the model.
func (w *world) check() error {
	tip := w.store.CoinsTip()
	want := coinSet{}
	switch {
	case w.flushing != nil && tip == w.flushing.at:
		want = w.flushing.coins
	case w.flushed != nil && tip == w.flushed.at:
		want = w.flushed.coins
	case w.flushed != nil || tip != types.Index{}:
		return fmt.Errorf("WRONG: the coins are of block %s, flushed %v", tip, w.flushed)
	}
	if err := w.checkCoins(want); err != nil {
		return err
	}
	return w.checkBodies()
}

func (w *world) checkCoins(want coinSet) error {
	got := coinSet{}
	var last types.OutPoint
	err := forEachCoin(w.store, func(name types.OutPoint, coin *types.Coin) error {
		if len(got) > 0 && compareOutPoints(&last, &name) >= 0 {
			return fmt.Errorf("WRONG: coin %s comes after %s", name, last)
		}
		last, got[name] = name, *coin
		return nil
	})
	if err == nil && !maps.Equal(got, want) {
		return fmt.Errorf("WRONG: %d coins at %s, want %d, or they differ", len(got), w.store.CoinsTip(), len(want))
	}
	return err
}

// checkBodies reads every body and undo data that a record or the database
// names, and checks that no record that was acknowledged is missing.
func (w *world) checkBodies() error {
	found := map[types.Hash]header.Status{}
	err := w.store.Headers(func(r header.Record) error {
		b := w.blocks[r.Hash]
		if b == nil || r != b.record(r.Status) {
			return fmt.Errorf("WRONG: header record %v", r)
		}
		found[r.Hash] = r.Status
		if r.Status.Has(header.StatusBody) {
			if raw, err := w.store.ReadBlock(r.Hash); err != nil || !bytes.Equal(raw, b.raw) {
				return w.unreadable("body", b, err)
			}
		}
		if r.Status.Has(header.StatusUndo) {
			if undo, err := w.store.ReadUndo(r.Hash); err != nil || !slices.Equal(undo, b.update.SpentCoins()) {
				return w.unreadable("undo data", b, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for hash, status := range w.saved {
		if _, pruned := w.pruned[hash]; pruned {
			status &^= header.StatusBody | header.StatusUndo
		}
		if got, ok := found[hash]; !ok || !got.Has(status) {
			return fmt.Errorf("WRONG: record of block %s is there %v with %v, saved was %v", w.blocks[hash].at, ok, got, status)
		}
	}
	w.status = found
	return errors.Join(w.checkLocations(keyBlock, w.store.blocks), w.checkLocations(keyUndo, w.store.undos))
}

// unreadable is the error for a part of a block that must be there, unless the
// test made its read fail.
func (w *world) unreadable(part string, b *testBlock, err error) error {
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, errPower) {
		return err
	}
	return fmt.Errorf("WRONG: %s of block %s, which the database names: %w", part, b.at, err)
}

func (w *world) checkLocations(prefix byte, of *segments) error {
	var unread error
	err := w.store.eachLocation(prefix, func(hash types.Hash, p location) {
		if _, err := of.read(p, hash); err != nil {
			unread = w.unreadable("record", w.blocks[hash], consensus.Local(err))
		}
	})
	return errors.Join(consensus.Local(err), unread)
}

// play makes n random steps.
func (w *world) play(n int) error {
	for range n {
		var err error
		switch k := w.rng.IntN(40); {
		case k < 24:
			err = w.extend(8, 10)
		case k < 27:
			err = w.extend(40, 60)
		case k < 30:
			for range 1 + w.rng.IntN(3) {
				if err = w.revert(); err != nil {
					break
				}
			}
		case k < 33:
			err = w.save()
		case k < 37:
			err = w.flush()
		case k < 38:
			err = w.prune(6)
		default:
			err = w.restart()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forEachCoin visits the coins on disk.
func forEachCoin(s *Store, each func(types.OutPoint, *types.Coin) error) error {
	visit, err := s.CoinSnapshot()
	if err != nil {
		return err
	}
	return visit(each)
}
