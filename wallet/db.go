package wallet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	leveldberrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The keys of the wallet's database. The words and a node can bring back what it holds, but
// for addresses that were never paid, payments that no node has, and labels. So one that is
// damaged is removed, and the wallet syncs again.
//
//	'h' height 4, big-endian  a header of the wallet's chain: header 80 | work 32
//	't' txid 32               a transaction of the wallet: see appendRecord
//	'L' type 1 | ref          a label: its record of BIP329, in JSON; see labelKey.bytes
//	'l'                       first late key of each branch 4, 4, of each watched account; see lateKeys
//	'm'                       version 1 | network 32 | position 36 | filter header 32 | watched accounts 4 | accounts
//	's' account 32 | branch 1 | index 4, big-endian  the script of a key: see loadScripts
//
// An account is its id 32 and the next index of each branch 4, 4. The first one's id says whose
// the database is. Version 1 had two numbers in place of the accounts, the next indexes of the
// only one, and did not say whose it was.
//
// Numbers in values are little-endian. Those in keys are big-endian, so that headers lie in
// the order of their heights. Each step is one synced batch: what is in memory must not be
// ahead of the disk when somebody is told an address or a payment is sent.
const (
	keyHeader = 'h'
	keyTx     = 't'
	keyLate   = 'l'
	keyMeta   = 'm'
	keyLabel  = 'L'
	keyScript = 's'

	dbVersion   = 2
	headerSize  = types.HeaderSize + 32
	accountSize = 32 + 8
)

// errDatabase is wrapped by the errors about a database whose content is damaged.
var errDatabase = errors.New("the wallet's database is damaged: remove the folder db beside wallet.json, and everything will be synced again")

// otherOwnerError is a database that another wallet made. Its zero value is one that does not
// say which.
type otherOwnerError struct{ owner types.Hash }

// Error implements error.
func (e *otherOwnerError) Error() string { return "it is of other words than wallet.json" }

// ErrInUse is a wallet that another process has open.
var ErrInUse = errors.New("the wallet is open in another karat")

// meta is how far the wallet has come.
type meta struct {
	position types.Index    // up to which blocks were scanned
	filter   types.Hash     // the filter header of that block; zero: to be asked for
	watched  uint32         // how many of the accounts were watched so far; the first ones
	accounts []accountState // those of the wallet's file by number, then others that it had
	unowned  bool           // of version 1: the account's id is not known
}

// accountState is what a database knows of an account.
type accountState struct {
	id   types.Hash
	next marks // the first index of each branch that was not given out; 0 for Change
}

// database is the wallet's store.
type database struct {
	db      *leveldb.DB
	files   storage.Storage // holds the lock of the folder
	dir     string
	network types.Hash
}

// openDatabase opens the database in a folder, or begins one. With an error for which isDamage
// is true it returns the database too, which keeps its lock until remove.
func openDatabase(dir string, network types.Hash) (*database, error) {
	d := &database{dir: dir, network: network}
	err := d.open()
	switch {
	case err == nil:
		return d, nil
	case isLocked(err):
		return nil, fmt.Errorf("%w: %s; wait until that is done, or end it", ErrInUse, filepath.Dir(dir))
	}
	err = fmt.Errorf("wallet database in %s: %w", dir, err)
	if isDamage(err) {
		return d, err
	}
	return nil, errors.Join(err, d.close())
}

// remove closes a database and takes it out of the way, for the reason that was found. One of
// another wallet is put away. Its lock is held all the time: what another karat has begun
// meanwhile in its place must stay.
func (d *database) remove(why error) error {
	var err error
	if d.db != nil {
		err = d.db.Close()
	}
	var other *otherOwnerError
	if errors.As(why, &other) {
		away := putAway(d.dir, other.owner)
		err = errors.Join(err, os.RemoveAll(away), os.Rename(d.dir, away)) // an older one of the same owner knows less
	} else {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return errors.Join(err, d.files.Close())
}

// putAway returns the name that a wallet's database has while another uses the folder.
func putAway(dir string, owner types.Hash) string { return fmt.Sprintf("%s-%x", dir, owner[:4]) }

// isDamage reports whether an error is about what a database holds, and not about what keeps
// it from being read now, such as a permission or a full disk: that passes, and a database
// that was removed for it would be lost for nothing.
func isDamage(err error) bool {
	var ofFile *storage.ErrCorrupted
	var ofDatabase *leveldberrors.ErrCorrupted
	var ofOther *otherOwnerError
	return errors.Is(err, errDatabase) || errors.As(err, &ofOther) || errors.As(err, &ofFile) || errors.As(err, &ofDatabase)
}

// IsInUse reports whether the error of Open is about another process that has the wallet open:
// it passes.
func IsInUse(err error) bool { return isLocked(err) }

// isLocked reports whether another process has the database open. The lock of LevelDB then
// fails with the system's "try again", which calls itself temporary on every system.
func isLocked(err error) bool {
	var number interface{ Temporary() bool }
	return errors.As(err, &number) && number.Temporary()
}

// open opens LevelDB, strictly: by itself it would skip what its checksums find damaged, and
// the wallet would show too little. The buffers are small, since a wallet is.
func (d *database) open() (err error) {
	if d.files, err = storage.OpenFile(d.dir, false); err != nil {
		return err
	}
	d.db, err = leveldb.Open(d.files, &opt.Options{WriteBuffer: 2 << 20, BlockCacheCapacity: 2 << 20, Compression: opt.NoCompression, Strict: opt.StrictJournalChecksum | opt.StrictBlockChecksum | opt.StrictReader})
	if err != nil {
		return err
	}
	_, err = d.meta()
	return err
}

func (d *database) close() (err error) {
	if d.db != nil {
		err = d.db.Close()
	}
	if d.files != nil {
		err = errors.Join(err, d.files.Close())
	}
	return err
}

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
	version := r.Uint8()
	if version > dbVersion {
		return meta{}, fmt.Errorf("it has version %d, from a later karat, and this one knows version %d", version, dbVersion)
	}
	if version == 0 || r.Hash() != d.network {
		return meta{}, errDatabase
	}
	m.position.Height, m.position.Hash, m.filter = r.Uint32(), r.Hash(), r.Hash()
	if version == 1 {
		m.watched, m.unowned = 1, true
		m.accounts = []accountState{{next: marks{r.Uint32(), r.Uint32()}}}
	} else {
		m.watched = r.Uint32()
		for r.Remaining() >= accountSize {
			m.accounts = append(m.accounts, accountState{r.Hash(), marks{r.Uint32(), r.Uint32()}})
		}
	}
	if r.Finish() != nil || m.watched == 0 || int64(m.watched) > int64(len(m.accounts)) {
		return meta{}, errDatabase
	}
	return m, nil
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
	b = binary.LittleEndian.AppendUint32(b, m.watched)
	for _, a := range m.accounts {
		b = a.next.appendTo(append(b, a.id[:]...))
	}
	s.batch.Put([]byte{keyMeta}, b)
}

func (m marks) appendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, m[Receive]), m[Change])
}

// putLate writes which keys are late, if any.
func (s *step) putLate(late []marks) {
	if late == nil {
		s.batch.Delete([]byte{keyLate})
		return
	}
	var b []byte
	for _, m := range late {
		b = m.appendTo(b)
	}
	s.batch.Put([]byte{keyLate}, b)
}

// late reads which keys are late of so many accounts, nil if there are none.
func (d *database) late(accounts uint32) (late []marks, err error) {
	value, err := d.db.Get([]byte{keyLate}, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return nil, nil
	}
	if err == nil && int64(len(value)) != 8*int64(accounts) {
		err = errDatabase
	}
	if err != nil {
		return nil, err
	}
	r := types.NewDecoder(value)
	for range accounts {
		late = append(late, marks{r.Uint32(), r.Uint32()})
	}
	return late, r.Finish()
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
	if t.Abandoned {
		flags |= 2
	}
	return t.Tx.AppendTo(append(b, flags))
}

func parseRecord(b []byte) (*Transaction, error) {
	r := types.NewDecoder(b)
	t := &Transaction{Height: r.Uint32(), place: r.Uint32(), Time: int64(r.Uint64())}
	flags := r.Uint8()
	raw := r.Bytes(r.Remaining())
	if r.Err() != nil || flags > 3 {
		return nil, errDatabase
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDatabase, err)
	}
	t.Tx, t.TxID, t.Dropped = tx, tx.TxID(), flags&1 != 0
	t.Abandoned = flags&2 != 0
	return t, nil
}
