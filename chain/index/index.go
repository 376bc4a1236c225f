// Package index keeps what can be computed from the chain but should not be
// computed for every question: the filter of each block (BIP158) and where each
// transaction is.
//
// It follows the chain by itself, from where it was, in a database of its own. If
// that is damaged, or behind in a way that cannot be mended, it is made anew; the
// node never waits for it and never fails for it.
package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/karatcoin/karat/chain/consensus"
	blockfilter "github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
)

// Chain is what the index follows.
type Chain interface {
	Params() *consensus.Params
	Tip() types.Index
	HashAt(height uint32) (types.Hash, bool)
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	Subscribe() (poke <-chan struct{}, cancel func())
}

// Options are the choices of Open.
type Options struct {
	Filters bool
	Txs     bool
	Logger  *slog.Logger // nil: discard
}

// ErrBehind is returned for a block or transaction that the index has not come
// to, or does not keep. It may be asked again.
var ErrBehind = errors.New("the index has not come that far")

// The keys of the database: a prefix byte and a hash. 'f' holds a block's filter
// header, then its filter; 't' the block of a transaction; 'p' the position, the
// identity of the network and what is kept.
const (
	keyFilter   = 'f'
	keyTx       = 't'
	keyPosition = 'p'
	version     = 1
)

// batchBlocks is how many blocks one write of the database covers at most.
const batchBlocks = 200

// Index is an open index.
type Index struct {
	chain Chain
	o     Options
	dir   string

	mu sync.RWMutex
	// Guarded by mu:
	db     *leveldb.DB
	at     types.Index
	header types.Hash // the filter header of at
	fresh  bool       // nothing was indexed, not even the genesis block
	failed error      // why the index stands still
}

// Open opens the index in a folder, or begins one. One that is damaged, of
// another network or made with other options is removed and begun anew.
func Open(dir string, chain Chain, o Options) (*Index, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	x := &Index{chain: chain, o: o, dir: dir}
	err := x.open()
	if err == nil {
		return x, nil
	}
	o.Logger.Warn("making the index anew", "why", err)
	if err := x.reset(); err != nil {
		return nil, fmt.Errorf("index in %s: %w", dir, err)
	}
	return x, nil
}

// open assumes mu or that nobody else knows x.
func (x *Index) open() error {
	db, err := leveldb.OpenFile(x.dir, &opt.Options{
		WriteBuffer: 8 << 20, BlockCacheCapacity: 8 << 20, Compression: opt.NoCompression, Filter: filter.NewBloomFilter(10),
		DisableSeeksCompaction: true, DisableLargeBatchTransaction: true, OpenFilesCacheCapacity: 100,
		Strict: opt.StrictJournalChecksum | opt.StrictBlockChecksum | opt.StrictReader,
	})
	if err != nil {
		return err
	}
	if err := x.readPosition(db); err != nil {
		return errors.Join(err, db.Close())
	}
	x.db = db
	return nil
}

// mark is the first part of the position: what the index is of.
func (x *Index) mark() []byte {
	identity := x.chain.Params().Identity()
	flags := byte(0)
	if x.o.Filters {
		flags |= 1
	}
	if x.o.Txs {
		flags |= 2
	}
	return append([]byte{version, flags}, identity[:]...)
}

func (x *Index) readPosition(db *leveldb.DB) error {
	value, err := db.Get([]byte{keyPosition}, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		genesis, _ := x.chain.HashAt(0)
		x.fresh, x.at, x.header = true, types.Index{Hash: genesis}, types.Hash{}
		return nil
	}
	if err != nil {
		return err
	}
	mark := x.mark()
	if len(value) != len(mark)+4+2*types.HashSize || string(value[:len(mark)]) != string(mark) {
		return errors.New("it is of another network, or was made with other options")
	}
	d := types.NewDecoder(value[len(mark):])
	x.at.Height, x.at.Hash, x.header = d.Uint32(), d.Hash(), d.Hash()
	x.fresh = false
	return nil
}

// reset begins anew. It assumes mu or that nobody else knows x.
func (x *Index) reset() error {
	if x.db != nil {
		if err := x.db.Close(); err != nil {
			return err
		}
		x.db = nil
	}
	if err := os.RemoveAll(x.dir); err != nil {
		return err
	}
	return x.open()
}

// Close closes the database. Run must have ended.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.Close()
	x.db = nil
	return err
}

// Position returns the block up to which everything is indexed, and whether
// that is the tip.
func (x *Index) Position() (types.Index, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.at, x.failed == nil && !x.fresh && x.at == x.chain.Tip()
}

// Needs returns the height from which on the index needs the bodies of blocks.
func (x *Index) Needs() uint32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.failed != nil {
		return ^uint32(0)
	}
	return x.at.Height
}

// Run follows the chain until the context ends, which is no error. A failure of
// the index itself is logged, and leaves it standing still: it is no reason for
// a node to stop.
func (x *Index) Run(ctx context.Context) error {
	poke, cancel := x.chain.Subscribe()
	defer cancel()
	for {
		if err := x.catchUp(ctx); err != nil && ctx.Err() == nil {
			x.o.Logger.Error("the index stands still", "err", err)
			x.mu.Lock()
			x.failed = err
			x.mu.Unlock()
			<-ctx.Done()
			return nil
		}
		select {
		case <-poke:
		case <-ctx.Done():
			return nil
		}
	}
}

func (x *Index) catchUp(ctx context.Context) error {
	if x.fresh {
		if err := x.first(); err != nil {
			return err
		}
	}
	logged := time.Now()
	for ctx.Err() == nil {
		reverted, applied, err := x.chain.UpdatesSince(x.at, batchBlocks)
		if err != nil {
			if errors.Is(err, consensus.ErrLocal) || errors.Is(err, consensus.ErrNotFound) {
				return err
			}
			// The chain does not know the block: it was made anew.
			if err := x.restart(); err != nil {
				return err
			}
			continue
		}
		if len(reverted)+len(applied) == 0 {
			return nil
		}
		if err := x.follow(reverted, applied); err != nil {
			return err
		}
		if time.Since(logged) > 10*time.Second {
			logged = time.Now()
			x.o.Logger.Info("indexing", "height", x.at.Height, "of", x.chain.Tip().Height)
		}
	}
	return ctx.Err()
}

func (x *Index) restart() error {
	x.mu.Lock()
	err := x.reset()
	x.mu.Unlock()
	if err != nil {
		return err
	}
	return x.first()
}

// first indexes the genesis block.
func (x *Index) first() error {
	u, err := x.chain.BlockUpdate(x.at.Hash)
	if err != nil {
		return err
	}
	return x.follow(nil, []consensus.BlockUpdate{u})
}

// follow writes one step, with the position that it leads to. What is kept of
// blocks that are no longer on the best chain stays: it is found by their
// hashes.
func (x *Index) follow(reverted, applied []consensus.BlockUpdate) error {
	var batch leveldb.Batch
	at, header := x.at, x.header
	for i := range reverted {
		at = reverted[i].Update.Parent
		if x.o.Txs {
			x.forgetTxs(&batch, &reverted[i])
		}
	}
	if len(reverted) > 0 && x.o.Filters {
		stored, err := x.db.Get(append([]byte{keyFilter}, at.Hash[:]...), nil)
		if err != nil || len(stored) < types.HashSize {
			return fmt.Errorf("filter of block %s: %w", at, err)
		}
		copy(header[:], stored)
	}
	for i := range applied {
		u := &applied[i]
		if x.o.Filters {
			bytes, err := blockfilter.Build(u)
			if err != nil {
				return err
			}
			header = blockfilter.Header(bytes, header)
			batch.Put(append([]byte{keyFilter}, u.Block.Hash[:]...), append(header[:], bytes...))
		}
		if x.o.Txs {
			for j := range u.Block.TxIDs {
				batch.Put(append([]byte{keyTx}, u.Block.TxIDs[j][:]...), u.Block.Hash[:])
			}
		}
		at = u.Update.Block
	}
	position := binary.LittleEndian.AppendUint32(x.mark(), at.Height)
	position = append(append(position, at.Hash[:]...), header[:]...)
	batch.Put([]byte{keyPosition}, position)
	if err := x.db.Write(&batch, &opt.WriteOptions{Sync: true}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at, x.header, x.fresh = at, header, false
	return nil
}

// forgetTxs removes transactions of a block that was disconnected. Applied ones
// that come after in the same batch win.
func (x *Index) forgetTxs(batch *leveldb.Batch, u *consensus.BlockUpdate) {
	for j := range u.Block.TxIDs {
		batch.Delete(append([]byte{keyTx}, u.Block.TxIDs[j][:]...))
	}
}

func (x *Index) get(prefix byte, hash types.Hash) ([]byte, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.db == nil {
		return nil, ErrBehind
	}
	value, err := x.db.Get(append([]byte{prefix}, hash[:]...), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, ErrBehind
	}
	return value, err
}

// Filter returns the basic filter of a block and its filter header, or ErrBehind.
func (x *Index) Filter(block types.Hash) (bytes []byte, header types.Hash, err error) {
	if !x.o.Filters {
		return nil, types.Hash{}, ErrBehind
	}
	value, err := x.get(keyFilter, block)
	if err != nil {
		return nil, types.Hash{}, err
	}
	if len(value) < types.HashSize {
		return nil, types.Hash{}, fmt.Errorf("the index in %s is damaged: filter of block %s", x.dir, block)
	}
	copy(header[:], value)
	return value[types.HashSize:], header, nil
}

// FindTx returns the block of the best chain that has the transaction, or
// ErrBehind.
func (x *Index) FindTx(txid types.Hash) (block types.Hash, err error) {
	if !x.o.Txs {
		return types.Hash{}, ErrBehind
	}
	value, err := x.get(keyTx, txid)
	if err != nil {
		return types.Hash{}, err
	}
	if len(value) != types.HashSize {
		return types.Hash{}, fmt.Errorf("the index in %s is damaged: transaction %s", x.dir, txid)
	}
	return types.Hash(value), nil
}
