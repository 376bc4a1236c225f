package wallet

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// KeyID names a key of the wallet: its account, and its place there.
type KeyID struct {
	Account uint32 // its number: the place in the wallet's file, which never changes
	Branch  Branch
	Index   uint32
}

// marks holds an index for each branch of an account.
type marks [2]uint32

// watching is what a wallet watches of one account.
type watching struct {
	account *Account
	// spendWeight is the account's, which is computed once.
	spendWeight int
	scripts     [2][][]byte // of each branch, by index
	made        [2][][]byte // the same from the database, while the wallet is opened
	paidEnd     marks       // one above the last index that was paid
}

// end returns how many keys of each branch are watched.
func (a *watching) end() marks {
	return marks{uint32(len(a.scripts[Receive])), uint32(len(a.scripts[Change]))}
}

// ends returns the end of each account. It assumes mu.
func (w *Wallet) ends() []marks {
	list := make([]marks, len(w.accounts))
	for i, a := range w.accounts {
		list[i] = a.end()
	}
	return list
}

// keysEnd returns the end of each account.
func (w *Wallet) keysEnd() []marks {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends()
}

// watch makes the scripts of a branch up to an index, which it leaves out, or to the branch's
// own end.
func (w *Wallet) watch(account uint32, branch Branch, end uint32) error {
	a := w.accounts[account]
	for index := uint32(len(a.scripts[branch])); index < min(end, a.account.end(branch)); index++ {
		var script []byte
		if made := a.made[branch]; int(index) < len(made) {
			script = made[index]
		} else {
			var err error
			if script, err = a.account.Script(branch, index); err != nil {
				return err
			}
		}
		a.scripts[branch] = append(a.scripts[branch], script)
		key := KeyID{account, branch, index}
		w.keys[string(script)] = key
		w.claim(script, key)
	}
	return nil
}

// notePaid notes which keys a transaction pays to, watches as many behind them as the gap
// limit says, and reports whether there are new ones. Those are late then: blocks that were
// looked through may pay them. late keeps the first of them, from before all changes, so
// that nothing which came under watch since is left out. It assumes mu.
func (w *Wallet) notePaid(tx *types.Tx) (more bool, err error) {
	before := w.ends()
	defer func() {
		if more && w.late == nil {
			w.late = before
		}
	}()
	for i := range tx.Outputs {
		key, ours := w.keys[string(tx.Outputs[i].ScriptPubKey)]
		if !ours {
			continue
		}
		a := w.accounts[key.Account]
		if key.Index < a.paidEnd[key.Branch] {
			continue
		}
		a.paidEnd[key.Branch] = key.Index + 1
		if end := min(key.Index+1+w.gap, a.account.end(key.Branch)); end > a.end()[key.Branch] {
			more = true
			if err := w.watch(key.Account, key.Branch, end); err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// usedEnd returns one above the last index of a branch that was given out or paid. After a
// restore nobody knows what was given out, but what was paid was. It assumes mu.
func (w *Wallet) usedEnd(account uint32, branch Branch) uint32 {
	return max(w.meta.accounts[account].next[branch], w.accounts[account].paidEnd[branch])
}

// nextIndex returns the first index of a branch that is not used; the last one if all are:
// there may be one address only. It assumes mu.
func (w *Wallet) nextIndex(account uint32, branch Branch) uint32 {
	return min(w.usedEnd(account, branch), w.accounts[account].account.end(branch)-1)
}

// changeIndex returns the first index of a branch that was not given out, behind all that
// payments have which were not given up. It assumes mu.
func (w *Wallet) changeIndex(account uint32, branch Branch) uint32 {
	end := w.meta.accounts[account].next[branch]
	for at, c := range w.outputs.ours {
		if c.Key.Account != account || c.Key.Branch != branch || c.Key.Index < end {
			continue
		}
		if t := w.transactions[at.TxID]; t == nil || !t.Abandoned || t.confirmed() {
			end = c.Key.Index + 1
		}
	}
	return min(end, w.accounts[account].account.end(branch)-1)
}

// watched returns the scripts of each account and branch from an index on; all of them if
// from is nil.
func (w *Wallet) watched(from []marks) (scripts [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, a := range w.accounts {
		first := marks{}
		if from != nil {
			first = from[i]
		}
		scripts = append(append(scripts, a.scripts[Receive][first[Receive]:]...), a.scripts[Change][first[Change]:]...)
	}
	return scripts
}

// joinAccounts brings what the database knows of accounts in line with those of the file, and
// reports whether that changed anything. It returns the place that each account had among the
// watched ones; -1 if it was not watched up to the position. What is known of other accounts is
// kept behind: a file that was put back from a copy lacks the newest ones, and they may come
// again.
func (w *Wallet) joinAccounts() (places []int, changed bool) {
	m := w.meta
	known := slices.Clone(m.accounts)
	m.accounts, m.watched = nil, uint32(len(w.accounts))
	changed = m.watched != w.meta.watched
	for i, a := range w.accounts {
		state := accountState{id: a.account.id()}
		at := slices.IndexFunc(known, func(s accountState) bool { return s.id == state.id })
		changed = changed || at != i
		if at >= 0 {
			state.next = known[at].next
			known[at].id = types.Hash{} // it is taken
		}
		m.accounts = append(m.accounts, state)
		if at >= int(w.meta.watched) {
			at = -1
		}
		places = append(places, at)
	}
	for _, s := range known {
		if !s.id.IsZero() {
			m.accounts = append(m.accounts, s)
		}
	}
	w.meta = m
	return places, changed
}

// joinLate returns which keys are late, nil if none are: those that the database names, and
// all of an account that was not watched up to the position. The database may be damaged: late
// keys are among those that the transactions bring under watch, or else some of these are lost.
func (w *Wallet) joinLate(late []marks, places []int) ([]marks, error) {
	list, some := w.ends(), false
	for i, at := range places {
		switch end := list[i]; {
		case at < 0 && w.meta.position.Height > 0:
			list[i], some = marks{}, true
		case at < 0 || late == nil:
		case late[at][Receive] > end[Receive] || late[at][Change] > end[Change]:
			return nil, errDatabase
		default:
			list[i], some = late[at], true
		}
	}
	if !some {
		return nil, nil
	}
	return list, nil
}

// proveOwner looks whether a database that does not say whose it is can be this wallet's: each
// transaction in it pays a key of the wallet, or spends what one paid.
func (w *Wallet) proveOwner() error {
	paid := map[types.OutPoint]bool{}
	for _, t := range w.transactions {
		for _, c := range coinsOf(t, w.keys) {
			paid[c.OutPoint] = true
		}
	}
	for _, t := range w.transactions {
		spends := func(in types.TxIn) bool { return paid[in.PreviousOutPoint] }
		if !w.pays(t.Tx) && !slices.ContainsFunc(t.Tx.Inputs, spends) {
			return &otherOwnerError{}
		}
	}
	return nil
}
