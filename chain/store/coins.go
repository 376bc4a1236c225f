package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// CoinsTip returns the block that the coins on disk reflect, the zero Index if
// none were flushed yet.
func (s *Store) CoinsTip() types.Index { return s.tip }

// NeedsFlush reports that the changes in the coin cache have used its budget. If the
// caller goes on without Flush, the cache grows beyond it: a change is never dropped.
func (s *Store) NeedsFlush() bool { return s.coins.full() }

// parallelFetch is the number of look-ups in the database from which several
// goroutines make them. Below it, to start them would take longer than they save.
const parallelFetch = 64

// FetchCoins looks coins up, in the cache first. into must be as long as
// outPoints. A failure is an ErrLocal.
func (s *Store) FetchCoins(outPoints []types.OutPoint, into []consensus.FetchedCoin) error {
	if len(into) != len(outPoints) {
		return s.refused(fmt.Errorf("%d coins asked for, with room for %d", len(outPoints), len(into)))
	}
	if err := s.faulty(); err != nil {
		return err
	}
	var missing []int
	for i := range outPoints {
		coin, state, ok := s.coins.get(&outPoints[i])
		switch {
		case !ok:
			missing = append(missing, i)
		case state.has(stateSpent):
			into[i] = consensus.FetchedCoin{}
		default:
			into[i] = consensus.FetchedCoin{Coin: *coin, Found: true}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// In key order, neighbours are in the same blocks of LevelDB's tables.
	slices.SortFunc(missing, func(a, b int) int { return compareOutPoints(&outPoints[a], &outPoints[b]) })
	if err := s.readCoins(outPoints, missing, into); err != nil {
		return consensus.Local(err)
	}
	// What is not there is not remembered: only a block that breaks a rule asks for it.
	for _, i := range missing {
		if into[i].Found {
			s.coins.set(&outPoints[i], &into[i].Coin, 0)
		}
	}
	return nil
}

// compareOutPoints orders outpoints as the database orders their keys.
func compareOutPoints(a, b *types.OutPoint) int {
	if order := bytes.Compare(a.TxID[:], b.TxID[:]); order != 0 {
		return order
	}
	return cmp.Compare(a.Index, b.Index)
}

// readCoins reads the coins at the given indexes of outPoints from the database, on
// all processors if there are many.
func (s *Store) readCoins(outPoints []types.OutPoint, at []int, into []consensus.FetchedCoin) error {
	if len(at) < parallelFetch {
		return s.readSomeCoins(outPoints, at, into)
	}
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		part := at[w*len(at)/workers : (w+1)*len(at)/workers]
		wg.Go(func() { errs[w] = s.readSomeCoins(outPoints, part, into) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *Store) readSomeCoins(outPoints []types.OutPoint, at []int, into []consensus.FetchedCoin) error {
	for _, i := range at {
		if err := s.readCoin(&outPoints[i], &into[i]); err != nil {
			return err
		}
	}
	return nil
}

// readCoin reads a coin from the database. The block of LevelDB's table that has it
// is not kept in LevelDB's cache: coins are spent in no order, so its neighbours
// would hardly be asked for, and the coin itself goes to our own cache.
func (s *Store) readCoin(outPoint *types.OutPoint, into *consensus.FetchedCoin) error {
	var key [coinKeySize]byte
	value, err := s.db.Get(appendCoinKey(key[:0], outPoint), &opt.ReadOptions{DontFillCache: true})
	if errors.Is(err, leveldb.ErrNotFound) {
		*into = consensus.FetchedCoin{}
		return nil
	}
	if err == nil {
		into.Found = true
		into.Coin, err = parseCoin(value)
	}
	if err != nil {
		return fmt.Errorf("read coin %s from the database in %s: %w", outPoint, s.disk.path(databaseDir), err)
	}
	return nil
}

// ApplyUpdate changes the coins by a block, in the cache only. The error is an
// ErrLocal if the coins are not those that the update was made for. Nothing works
// after that, since the coins are half changed.
func (s *Store) ApplyUpdate(u *consensus.Update) error { return s.move(u, u.Spent, u.Created) }

// RevertUpdate takes an update back, in the cache only, with errors as
// ApplyUpdate.
func (s *Store) RevertUpdate(u *consensus.Update) error { return s.move(u, u.Created, u.Spent) }

// move takes some coins out of the set, which must be there just as they are given,
// and then puts others in, which must not be there. So damage of the set, or a bug,
// is noticed at the first block that meets it.
func (s *Store) move(u *consensus.Update, out, in []consensus.CoinEntry) error {
	if err := s.faulty(); err != nil {
		return err
	}
	if err := s.warm(out); err != nil {
		return err
	}
	for i := range out {
		if err := s.spend(&out[i]); err != nil {
			return s.refused(fmt.Errorf("block %s: %w: the coin set is damaged, or this is a bug", u.Block, err))
		}
	}
	for i := range in {
		if err := s.create(&in[i]); err != nil {
			return s.refused(fmt.Errorf("block %s: %w: the coin set is damaged, or this is a bug", u.Block, err))
		}
	}
	return nil
}

// warm brings coins that are to be spent into the cache, with one sorted look-up for
// all. When a block is connected they are there, but for those that were evicted
// since they were fetched. When it is reverted they need not be there.
func (s *Store) warm(coins []consensus.CoinEntry) error {
	var cold []types.OutPoint
	for i := range coins {
		if _, _, ok := s.coins.get(&coins[i].OutPoint); !ok {
			cold = append(cold, coins[i].OutPoint)
		}
	}
	if cold == nil {
		return nil
	}
	return s.FetchCoins(cold, make([]consensus.FetchedCoin, len(cold)))
}

// spend takes a coin out of the set. One that the database does not have leaves no
// trace; of any other the cache remembers that it has to be deleted.
func (s *Store) spend(want *consensus.CoinEntry) error {
	coin, state, ok := s.coins.get(&want.OutPoint)
	if !ok {
		// Evicted to make room for another coin of the same update.
		var read consensus.FetchedCoin
		if err := s.readCoin(&want.OutPoint, &read); err != nil {
			return err
		}
		if !read.Found {
			return fmt.Errorf("coin %s is to be removed, and is not in the set", want.OutPoint)
		}
		coin = &read.Coin
	}
	switch {
	case state.has(stateSpent):
		return fmt.Errorf("coin %s is to be removed, and was spent already", want.OutPoint)
	case *coin != want.Coin:
		return fmt.Errorf("coin %s is to be removed, and differs: %d grains of height %d, not %d of height %d",
			want.OutPoint, coin.Value, coin.Height, want.Coin.Value, want.Coin.Height)
	case state.has(stateFresh): // during a sync many coins are spent before a flush, and end here
		s.coins.remove(&want.OutPoint)
	default:
		s.coins.set(&want.OutPoint, nil, stateDirty|stateSpent)
	}
	return nil
}

// create adds a coin, which must not be in the set. What is not in the cache is not
// in the database either, so it need not be asked. A new block makes no coin that
// exists (BIP30). A coin that comes back when its spending is undone was deleted
// from the database, or is in the cache as spent.
func (s *Store) create(made *consensus.CoinEntry) error {
	_, state, ok := s.coins.get(&made.OutPoint)
	switch {
	case !ok:
		s.coins.set(&made.OutPoint, &made.Coin, stateDirty|stateFresh)
	case !state.has(stateSpent):
		return fmt.Errorf("coin %s is to be added, and is in the set already", made.OutPoint)
	default:
		s.coins.set(&made.OutPoint, &made.Coin, stateDirty)
	}
	return nil
}

// CoinSnapshot returns a function that visits all coins that are on disk now, as the
// last Flush left them, in the order of txid bytes, then index. It must be called
// once, since it frees the snapshot, and may run while the set changes. A coin is
// good during its visit only. The function returns the visitor's error as it is; its
// own are ErrLocal.
func (s *Store) CoinSnapshot() (visit func(each func(types.OutPoint, *types.Coin) error) error, err error) {
	if err := s.faulty(); err != nil {
		return nil, err
	}
	snapshot, err := s.db.GetSnapshot()
	if err != nil {
		return nil, consensus.Local(err)
	}
	return func(each func(types.OutPoint, *types.Coin) error) error {
		defer snapshot.Release()
		var visitErr error
		err := eachKey(snapshot, keyCoin, func(key, value []byte) error {
			outPoint, err := parseCoinKey(key)
			if err != nil {
				return err
			}
			coin, err := parseCoin(value)
			if err != nil {
				return fmt.Errorf("coin %s in the database in %s: %w", outPoint, s.disk.path(databaseDir), err)
			}
			visitErr = each(outPoint, &coin)
			return visitErr
		})
		if visitErr != nil {
			return visitErr
		}
		return consensus.Local(err)
	}, nil
}

// Headers visits every stored header record, in the order of hashes. It returns
// the visitor's error as it is; its own are ErrLocal.
func (s *Store) Headers(visit func(header.Record) error) error {
	if err := s.faulty(); err != nil {
		return err
	}
	var visitErr error
	err := s.each(keyHeader, func(key, value []byte) error {
		r, err := parseHeaderRecord(key, value)
		if err != nil {
			return fmt.Errorf("database in %s: %w", s.disk.path(databaseDir), err)
		}
		visitErr = visit(r)
		return visitErr
	})
	if visitErr != nil {
		return visitErr
	}
	return consensus.Local(err)
}

// SaveHeaders is a step without coins. It makes the bodies and undo data written so
// far durable, then, in one write, the records and the locations of those. It puts
// the records in another order.
func (s *Store) SaveHeaders(records []header.Record) error {
	return s.step(len(records)*headerBytes, func(c *changes) { putHeaders(c, records) })
}

// headerBytes and coinBytes are about what a record and a changed coin take in a
// step.
const (
	headerBytes = hashKeySize + headerRecordSize + 8
	coinBytes   = coinKeySize + 48
)

// putHeaders writes header records, in key order.
func putHeaders(c *changes, records []header.Record) {
	slices.SortFunc(records, func(a, b header.Record) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	var value []byte
	for i := range records {
		value = appendHeaderRecord(value[:0], &records[i])
		c.put(hashKey(keyHeader, records[i].Hash), value)
	}
}

// Flush is a step with coins, and makes everything durable: bodies and undo data
// first, then, in one write, the records, the locations of those, all changed coins
// and the block that they reflect. It puts the records in another order.
func (s *Store) Flush(records []header.Record, tip types.Index) error {
	dirty := s.sortedDirty()
	err := s.step(len(dirty)*coinBytes+len(records)*headerBytes, func(c *changes) {
		s.putCoins(c, dirty)
		putHeaders(c, records)
		c.put(appendKey(nil, keyTip), appendTip(nil, tip))
	})
	if err != nil {
		return err
	}
	s.coins.clean()
	s.tip = tip
	return nil
}

// sortedDirty returns where all changed coins stand, in the order of their keys.
// LevelDB takes a sorted batch in half the time. The first eight bytes of the
// outpoint, kept beside, decide nearly all comparisons without a look at the coin.
func (s *Store) sortedDirty() []dirtyEntry {
	dirty := make([]dirtyEntry, 0, s.coins.dirty)
	s.coins.eachDirty(func(e dirtyEntry) { dirty = append(dirty, e) })
	slices.SortFunc(dirty, func(a, b dirtyEntry) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		first, _ := s.coins.at(a)
		second, _ := s.coins.at(b)
		return compareOutPoints(&first.outPoint, &second.outPoint)
	})
	return dirty
}

// putCoins adds the changed coins to a step: those that are spent go, the others come.
func (s *Store) putCoins(c *changes, dirty []dirtyEntry) {
	var keyRoom [coinKeySize]byte
	var valueRoom [64]byte
	for _, e := range dirty {
		slot, state := s.coins.at(e)
		key := appendCoinKey(keyRoom[:0], &slot.outPoint)
		if state.has(stateSpent) {
			c.delete(key)
		} else {
			c.put(key, appendCoin(valueRoom[:0], &slot.coin))
		}
	}
}
