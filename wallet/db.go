package wallet

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	leveldberrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The keys of the wallet's database. The words and a node can bring back what it holds, but
// for addresses that were never paid and payments that no node has. So one that is damaged is
// removed, and the wallet syncs again.
//
//	'h' height 4, big-endian  a header of the wallet's chain: header 80 | work 32
//	't' txid 32               a transaction of the wallet: see appendRecord
//	'l'                       first late key of each branch 4, 4; see lateKeys
//	'm'                       version 1 | network 32 | position 36 | filter header 32 | next index of Receive 4 | 0 4
//
// Numbers in values are little-endian. Those in keys are big-endian, so that headers lie in
// the order of their heights. Each step is one synced batch: what is in memory must not be
// ahead of the disk when somebody is told an address or a payment is sent.
const (
	keyHeader = 'h'
	keyTx     = 't'
	keyLate   = 'l'
	keyMeta   = 'm'

	dbVersion  = 1
	headerSize = types.HeaderSize + 32
	metaSize   = 1 + 32 + 36 + 32 + 8
)

// errDatabase is wrapped by the errors about a database whose content is damaged.
var errDatabase = errors.New("the wallet's database is damaged: remove the folder db beside wallet.json, and everything will be synced again")

// meta is how far the wallet has come.
type meta struct {
	position types.Index // up to which blocks were scanned
	filter   types.Hash  // the filter header of that block; zero: to be asked for
	next     [2]uint32   // the first index of each branch that was not given out; 0 for Change
}

// database is the wallet's store.
type database struct {
	db      *leveldb.DB
	network types.Hash
}

// openDatabase opens the database in a folder, or begins one. An error for which
// isDamage is true is mended by removing the folder.
func openDatabase(dir string, network types.Hash) (*database, error) {
	d := &database{network: network}
	if err := d.open(dir); isLocked(err) {
		return nil, fmt.Errorf("wallet database in %s: %w: is it open in another karat?", dir, err)
	} else if err != nil {
		return nil, fmt.Errorf("wallet database in %s: %w", dir, err)
	}
	return d, nil
}

// isDamage reports whether an error is about what a database holds, and not about what keeps
// it from being read now, such as a permission or a full disk: that passes, and a database
// that was removed for it would be lost for nothing.
func isDamage(err error) bool {
	var ofFile *storage.ErrCorrupted
	var ofDatabase *leveldberrors.ErrCorrupted
	return errors.Is(err, errDatabase) || errors.As(err, &ofFile) || errors.As(err, &ofDatabase)
}

// isLocked reports whether another process has the database open. The lock of LevelDB then
// fails with the system's "try again", which calls itself temporary on every system.
func isLocked(err error) bool {
	var number interface{ Temporary() bool }
	return errors.As(err, &number) && number.Temporary()
}

// open opens LevelDB, strictly: by itself it would skip what its checksums find damaged, and
// the wallet would show too little. The buffers are small, since a wallet is.
func (d *database) open(dir string) (err error) {
	d.db, err = leveldb.OpenFile(dir, &opt.Options{WriteBuffer: 2 << 20, BlockCacheCapacity: 2 << 20, Compression: opt.NoCompression, Strict: opt.StrictJournalChecksum | opt.StrictBlockChecksum | opt.StrictReader})
	if err != nil {
		return err
	}
	if _, err := d.meta(); err != nil {
		return errors.Join(err, d.db.Close())
	}
	return nil
}

func (d *database) close() error { return d.db.Close() }

// meta reads how far the wallet has come, which is zero in a new database. The version comes
// first: what a later karat wrote is not damage, and must not be removed.
func (d *database) meta() (m meta, err error) {
	value, err := d.db.Get([]byte{keyMeta}, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return meta{}, nil
	}
	if err != nil {
		return meta{}, err
	}
	r := types.NewDecoder(value)
	if version := r.Uint8(); version > dbVersion {
		return meta{}, fmt.Errorf("it has version %d, from a later karat, and this one knows version %d", version, dbVersion)
	} else if len(value) != metaSize || version != dbVersion || r.Hash() != d.network {
		return meta{}, errDatabase
	}
	m.position.Height, m.position.Hash, m.filter = r.Uint32(), r.Hash(), r.Hash()
	m.next = [2]uint32{r.Uint32(), r.Uint32()}
	return m, r.Finish()
}

// step is what is written at once, whole or not at all.
type step struct {
	d     *database
	batch leveldb.Batch
}

func (d *database) begin() *step { return &step{d: d} }

func (s *step) putMeta(m *meta) {
	b := append([]byte{dbVersion}, s.d.network[:]...)
	b = binary.LittleEndian.AppendUint32(b, m.position.Height)
	b = append(append(b, m.position.Hash[:]...), m.filter[:]...)
	b = binary.LittleEndian.AppendUint32(b, m.next[Receive])
	s.batch.Put([]byte{keyMeta}, binary.LittleEndian.AppendUint32(b, m.next[Change]))
}

// putLate writes which keys are late, if any.
func (s *step) putLate(late *[2]uint32) {
	if late == nil {
		s.batch.Delete([]byte{keyLate})
		return
	}
	b := binary.LittleEndian.AppendUint32(nil, late[Receive])
	s.batch.Put([]byte{keyLate}, binary.LittleEndian.AppendUint32(b, late[Change]))
}

// late reads which keys are late, nil if there are none.
func (d *database) late() (*[2]uint32, error) {
	value, err := d.db.Get([]byte{keyLate}, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	if err == nil && len(value) != 8 {
		err = errDatabase
	}
	if err != nil {
		return nil, err
	}
	return &[2]uint32{binary.LittleEndian.Uint32(value), binary.LittleEndian.Uint32(value[4:])}, nil
}

func headerKey(height uint32) []byte { return binary.BigEndian.AppendUint32([]byte{keyHeader}, height) }

func (s *step) putHeader(height uint32, h *types.Header, work consensus.Uint256) {
	b := h.AppendTo(make([]byte, 0, headerSize))
	for _, limb := range work {
		b = binary.LittleEndian.AppendUint64(b, limb)
	}
	s.batch.Put(headerKey(height), b)
}

func (s *step) deleteHeader(height uint32) { s.batch.Delete(headerKey(height)) }

func (s *step) putTx(t *Transaction) {
	s.batch.Put(append([]byte{keyTx}, t.TxID[:]...), appendRecord(nil, t))
}

func (s *step) write() error {
	return s.d.db.Write(&s.batch, &opt.WriteOptions{Sync: true})
}

// header reads the header at a height, and false if there is none.
func (d *database) header(height uint32) (h types.Header, work consensus.Uint256, ok bool, err error) {
	value, err := d.db.Get(headerKey(height), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return h, work, false, nil
	}
	if err == nil && len(value) != headerSize {
		err = errDatabase
	}
	if err != nil {
		return h, work, false, err
	}
	if h, err = types.DecodeHeader(value[:types.HeaderSize]); err != nil {
		return h, work, false, err
	}
	for i := range work {
		work[i] = binary.LittleEndian.Uint64(value[types.HeaderSize+8*i:])
	}
	return h, work, true, nil
}

// transactions reads all transactions.
func (d *database) transactions() ([]*Transaction, error) {
	var list []*Transaction
	it := d.db.NewIterator(util.BytesPrefix([]byte{keyTx}), nil)
	defer it.Release()
	for it.Next() {
		t, err := parseRecord(append([]byte(nil), it.Value()...)) // copied: a Tx refers to its bytes
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, it.Error()
}

// appendRecord appends a transaction's record: height 4, place in the block 4,
// time 8, flags 1, the transaction.
func appendRecord(b []byte, t *Transaction) []byte {
	b = binary.LittleEndian.AppendUint32(b, t.Height)
	b = binary.LittleEndian.AppendUint32(b, t.place)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Time))
	flags := byte(0)
	if t.Dropped {
		flags |= 1
	}
	return t.Tx.AppendTo(append(b, flags))
}

func parseRecord(b []byte) (*Transaction, error) {
	r := types.NewDecoder(b)
	t := &Transaction{Height: r.Uint32(), place: r.Uint32(), Time: int64(r.Uint64())}
	flags := r.Uint8()
	raw := r.Bytes(r.Remaining())
	if r.Err() != nil || flags > 1 {
		return nil, errDatabase
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDatabase, err)
	}
	t.Tx, t.TxID, t.Dropped = tx, tx.TxID(), flags == 1
	return t, nil
}
