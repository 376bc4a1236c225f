package wallet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// The names of a wallet's files in its folder.
const (
	FileName     = "wallet.json"
	databaseName = "db"
)

// GapLimit is how many keys behind the last one that was paid are watched on each branch
// (BIP44), unless the wallet's file has another limit: a restored wallet finds everything unless so many addresses in a row were given
// out and never paid. It is what other programs look for too, so that the words can be
// restored there. Each watched key makes more blocks match by chance.
const GapLimit = 20

// MaxGapLimit is the largest one that a wallet may have.
const MaxGapLimit = 10_000

// Wallet is an open wallet: its accounts, and what it knows of the chain. Its
// methods may be called concurrently.
type Wallet struct {
	params *consensus.Params
	file   *File
	gap    uint32 // see GapLimit
	log    *slog.Logger
	now    func() time.Time

	// Held while Sync runs, before mu: a second one would fetch the same. It is held
	// while a node is waited for, and mu never is, so that a balance can be shown meanwhile.
	syncing sync.Mutex

	mu sync.Mutex
	// Guarded by mu:
	db           *database
	meta         meta
	tip          types.Index                 // of the headers
	transactions map[types.Hash]*Transaction // one that changes is replaced: others may still read the old
	accounts     []*watching                 // by number
	keys         map[string]KeyID            // by script
	outputs      outputs                     // of the transactions
	sums         *ledger                     // of the transactions; nil: to be made, see ledger
	late         []marks                     // see lateKeys
	problems     []error                     // of the last Sync; see View
	nodeProblems []error                     // with single nodes
	labels       map[labelKey]Label
	labelBytes   int                 // of all of them, in an export
	seen         map[types.Hash]bool // transactions of the node's pool that were looked at: fetched once only
}

// Open opens a wallet in its folder with the file from there. A database that is damaged, of
// another network or of another wallet is begun anew, since the words and a node can bring back
// all of it. That of another wallet is put away under a name of its own, and is taken back when
// that wallet is. One of a later version is left alone: nothing is wrong with it. The same goes
// for one that cannot be read now, because another process has it or the disk fails.
func Open(dir string, f *File, p *consensus.Params, log *slog.Logger) (*Wallet, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w, rescued, err := open(dir, f, p, log)
	if !isDamage(err) {
		return w, err
	}
	if w, _, err = open(dir, f, p, log); err != nil { // it is out of the way now
		return nil, err
	}
	if err := w.takeBack(rescued); err != nil {
		return nil, err
	}
	return w, nil
}

// open opens a wallet. If its database is damaged, or of another, that is removed, and the
// labels that could be read in it are returned.
func open(dir string, f *File, p *consensus.Params, log *slog.Logger) (w *Wallet, rescued []byte, err error) {
	w = &Wallet{
		params: p, file: f, gap: f.GapLimit(), log: log, now: time.Now,
		transactions: map[types.Hash]*Transaction{}, keys: map[string]KeyID{}, seen: map[types.Hash]bool{},
		labels: map[labelKey]Label{}, outputs: newOutputs(),
	}
	for _, a := range f.accounts {
		w.accounts = append(w.accounts, &watching{account: a, spendWeight: a.SpendWeight()})
	}
	path := filepath.Join(dir, databaseName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(putAway(path, f.owner()), path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	if w.db, err = openDatabase(path, p.Identity()); err == nil {
		err = w.load()
	}
	switch {
	case err == nil:
		return w, nil, nil
	case w.db == nil:
		return nil, nil, err
	case isDamage(err): // not silently: what was given out and never paid is forgotten
		log.Warn("making the wallet's database anew", "why", err)
		if !errors.As(err, new(*otherOwnerError)) { // which is put away, and not lost
			rescued = w.db.rescueLabels(f.owner())
		}
		return nil, rescued, errors.Join(err, w.db.remove(err))
	}
	return nil, nil, errors.Join(err, w.db.close())
}

// load reads what the database has.
func (w *Wallet) load() (err error) {
	if w.meta, err = w.db.meta(); err != nil {
		return err
	}
	unknown := w.meta.unowned
	if unknown {
		w.meta.accounts[0].id, w.meta.unowned = w.file.owner(), false
	}
	if known := w.meta.accounts; len(known) > 0 && known[0].id != w.file.owner() {
		return &otherOwnerError{known[0].id}
	}
	late, err := w.db.late(w.meta.watched)
	if err != nil {
		return err
	}
	list, err := w.db.transactions()
	if err != nil {
		return err
	}
	for _, t := range list {
		w.put(t)
	}
	if err := w.loadLabels(); err != nil {
		return err
	}
	if err := w.loadTip(); err != nil {
		return err
	}
	if err := w.loadScripts(); err != nil {
		return err
	}
	places, changed := w.joinAccounts()
	if err := w.watchAhead(); err != nil {
		return err
	}
	if err := w.notePaidBefore(); err != nil {
		return err
	}
	if unknown {
		// That each transaction is the wallet's does not prove that none is missing: the
		// other may have been paid by this one only. So all keys are looked for again.
		if err := w.proveOwner(); err != nil {
			return err
		}
		places, changed = []int{-1}, true
	}
	// Whatever came to be watched in here was before.
	if w.late, err = w.joinLate(late, places); err != nil {
		return err
	}
	if err := w.keepScripts(); err != nil || !changed {
		return err
	}
	s := w.db.begin()
	s.putMeta(&w.meta)
	s.putLate(w.late)
	return s.write()
}

// watchAhead watches the scripts up to the gap behind those that were given out.
func (w *Wallet) watchAhead() error {
	for i, state := range w.meta.accounts[:len(w.accounts)] {
		for _, branch := range []Branch{Receive, Change} {
			if err := w.watch(uint32(i), branch, state.next[branch]+w.gap); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadTip finds the last header by bisection: headers have no gaps, since those above the
// tip are deleted in the step that moves it. Without any the chain begins with the genesis
// block, which is not stored.
func (w *Wallet) loadTip() error {
	genesis := w.params.GenesisBlock()
	if w.meta.position.Hash.IsZero() {
		w.meta.position = types.Index{Hash: genesis.Hash}
	}
	w.tip = types.Index{Hash: genesis.Hash}
	for stride := uint32(1 << 31); stride > 0; stride >>= 1 {
		h, _, ok, err := w.db.header(w.tip.Height + stride)
		if err != nil {
			return err
		}
		if ok {
			w.tip = types.Index{Height: w.tip.Height + stride, Hash: h.Hash()}
		}
	}
	return nil
}

// notePaidBefore notes which keys the transactions that were read have paid, and looks
// for coins that the network's file allocates. A transaction may pay a key that only
// another brings under watch, and blocks have them in any order, so it goes on until no
// more keys are watched.
func (w *Wallet) notePaidBefore() error {
	genesis := w.params.GenesisBlock()
	for more := true; more; {
		more = false
		for i := range genesis.Block.Txs {
			t := &Transaction{Tx: &genesis.Block.Txs[i], TxID: genesis.TxIDs[i], Time: int64(genesis.Block.Header.Timestamp), place: uint32(i)}
			if w.pays(t.Tx) {
				w.put(t)
			}
		}
		for _, t := range sorted(w.transactions) { // as they came, so that few turns are needed
			late, err := w.notePaid(t.Tx)
			if err != nil {
				return err
			}
			more = more || late
		}
	}
	return nil
}

// Close closes the database.
func (w *Wallet) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.db.close()
}

// Tip returns the last block of the wallet's chain. Its header is checked; what it pays may
// not be looked at yet.
func (w *Wallet) Tip() types.Index {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tip
}

// Position returns the block up to which the wallet has looked for payments.
func (w *Wallet) Position() types.Index {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.meta.position
}

// Balance returns what the wallet has.
func (w *Wallet) Balance() Balance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger().balance(w.meta.position.Height, w.params.CoinbaseMaturity)
}

// Unspent returns all coins of the wallet, those that cannot be spent yet among
// them; Coins returns which can.
func (w *Wallet) Unspent() []Coin {
	w.mu.Lock()
	defer w.mu.Unlock()
	coins := make([]Coin, 0, len(w.ledger().coins))
	for _, c := range w.ledger().coins {
		coins = append(coins, w.weighed(c))
	}
	return coins
}

// weighed returns a coin that says what spending it weighs. It assumes mu.
func (w *Wallet) weighed(c Coin) Coin {
	c.SpendWeight = w.accounts[c.Key.Account].spendWeight
	return c
}

// Coins returns the coins that a payment can spend: mature ones that are not locked, and
// change of the wallet's own payments that wait for a block. What others sent is not counted on before it is in
// one: they can replace it, and with it what was built on it.
func (w *Wallet) Coins() []Coin {
	w.mu.Lock()
	defer w.mu.Unlock()
	var coins []Coin
	for _, c := range w.ledger().coins {
		if !c.confirmed() && !w.ledger().entry(w.transactions[c.TxID], 0, 0, w.keys).Sent {
			continue
		}
		if w.meta.position.Height < matures(&c, w.params.CoinbaseMaturity) || w.isLocked(c.OutPoint) {
			continue
		}
		coins = append(coins, w.weighed(c))
	}
	return coins
}

// Address is an address of the wallet.
type Address struct {
	Address  string
	Key      KeyID
	Received types.Amount // in all
	Used     bool
}

// NextAddress returns an address of an account that was not given out before. That it was
// given out is stored before anybody sees it, so that no two payers are told the same one.
func (w *Wallet) NextAddress(account uint32) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	index := w.nextIndex(account, Receive)
	if err := w.watch(account, Receive, index+1+w.gap); err != nil {
		return "", err
	}
	script, err := w.script(KeyID{account, Receive, index})
	if err != nil {
		return "", err
	}
	text, err := taproot.EncodeAddress(w.params.HRP, script)
	if err != nil {
		return "", err
	}
	m := w.meta
	m.accounts = slices.Clone(m.accounts)
	m.accounts[account].next[Receive] = index + 1
	s := w.db.begin()
	s.putMeta(&m)
	if err := s.write(); err != nil {
		return "", err
	}
	w.meta = m
	return text, nil
}

// Unpaid returns how many of the last addresses of an account that were given out were not
// paid, as far as the wallet has looked. A restore finds an address only if fewer than
// the gap limit before it were not paid.
func (w *Wallet) Unpaid(account uint32) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.usedEnd(account, Receive) - w.accounts[account].paidEnd[Receive])
}

// ChangeScript returns a script of an account for what is left of a payment, which no
// transaction of the wallet has, but for those that were given up. It is the same until a payment
// with it counts. If each one that comes to nothing used up a key, change would move to where a
// restore does not look any more.
func (w *Wallet) ChangeScript(account uint32) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	branch := w.accounts[account].account.changeBranch()
	index := w.changeIndex(account, branch)
	if err := w.watch(account, branch, index+1+w.gap); err != nil {
		return nil, err
	}
	return w.script(KeyID{account, branch, index})
}

// Addresses returns the addresses of a branch that were given out or paid.
func (w *Wallet) Addresses(account uint32, branch Branch) ([]Address, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	received := map[string]types.Amount{}
	for _, c := range w.outputs.ours {
		if !w.ledger().conflicts[c.TxID] {
			received[string(c.ScriptPubKey)] += c.Value
		}
	}
	var list []Address
	for index := range w.usedEnd(account, branch) {
		script, err := w.script(KeyID{account, branch, index})
		if err != nil {
			return nil, err
		}
		text, err := taproot.EncodeAddress(w.params.HRP, script)
		if err != nil {
			return nil, err
		}
		amount, used := received[string(script)]
		list = append(list, Address{Address: text, Key: KeyID{account, branch, index}, Received: amount, Used: used})
	}
	return list, nil
}

// Record notes a payment that was signed, before or after a node has it. Another that waits
// for the same coins is given up for it and not passed on any more: the newer one is what
// the owner wants. Both are stored in one step, so that never both of them wait.
func (w *Wallet) Record(tx *types.Tx) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &Transaction{Tx: tx, TxID: tx.TxID(), Time: w.now().Unix()}
	s := w.db.begin()
	s.putTx(t)
	changed := []*Transaction{t}
	for txid, other := range w.transactions {
		if txid != t.TxID && !other.confirmed() && conflicting(tx, other.Tx) {
			replaced := *other
			replaced.Dropped = true
			changed = append(changed, &replaced)
			s.putTx(&replaced)
		}
	}
	if err := s.write(); err != nil {
		return err
	}
	for _, t := range changed {
		w.put(t)
	}
	if _, err := w.notePaid(tx); err != nil {
		return err
	}
	return nil
}

// ErrUnsure is a payment that may have reached the node, or not. Whoever takes that for a
// failure and pays again may pay twice.
var ErrUnsure = errors.New("it is not known whether the node has the payment")

// Send gives a signed payment to a node, and notes it. If the node refuses it, or its answer is
// lost (ErrUnsure), it is noted as given up: the next Sync finds it in the node's pool if it is
// there, and it counts then.
func (w *Wallet) Send(ctx context.Context, node Node, d *Draft) error {
	// Nothing is unsure about a payment that was interrupted before it left.
	if err := ctx.Err(); err != nil {
		return err
	}
	r := w.remote(node)
	txid := d.Tx.TxID()
	if err := w.noteOffered(d.Tx); err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	// Only an error with a code is the node's own word that it did not take the payment.
	if err := r.send(ctx, d.Tx); codeOf(err) != 0 {
		return fmt.Errorf("the node refuses the payment: %w", err)
	} else if err != nil {
		return fmt.Errorf("%w: %w: sync, and look whether %s waits then, before you pay again", ErrUnsure, err, txid)
	}
	if err := w.Record(d.Tx); err != nil {
		return fmt.Errorf("payment %s was sent, but could not be noted: %w", txid, err)
	}
	return nil
}
