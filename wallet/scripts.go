package wallet

import (
	"encoding/binary"

	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/types"
)

// A script takes some ten thousand times as long to make as to read: of a thousand addresses,
// as long as all else that opens a wallet. So the database keeps those that were made. They
// only serve to recognise payments: an address that is told to somebody is made anew, since
// whoever changes the database must not be able to put one of his own there.

// scriptsKept is how many new scripts are worth a step.
const scriptsKept = 100

// scriptKey returns the key under which a script is kept.
func scriptKey(account types.Hash, branch Branch, index uint32) []byte {
	b := append(append([]byte{keyScript}, account[:]...), byte(branch))
	return binary.BigEndian.AppendUint32(b, index)
}

// loadScripts reads the scripts of the wallet's accounts, in their order, as far as they have
// no gap.
func (w *Wallet) loadScripts() error {
	for _, a := range w.accounts {
		for branch := range a.made {
			it := w.db.db.NewIterator(util.BytesPrefix(scriptKey(a.account.id(), Branch(branch), 0)[:1+32+1]), nil)
			for index := uint32(0); it.Next() && string(it.Key()) == string(scriptKey(a.account.id(), Branch(branch), index)); index++ {
				a.made[branch] = append(a.made[branch], append([]byte(nil), it.Value()...))
			}
			it.Release()
			if err := it.Error(); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepScripts stores the scripts that had to be made, if they are many.
func (w *Wallet) keepScripts() error {
	s, n := w.db.begin(), 0
	for _, a := range w.accounts {
		for branch, scripts := range a.scripts {
			for index := len(a.made[branch]); index < len(scripts); index++ {
				s.batch.Put(scriptKey(a.account.id(), Branch(branch), uint32(index)), scripts[index])
				n++
			}
			a.made[branch] = nil
		}
	}
	if n < scriptsKept {
		return nil
	}
	return s.write()
}

// script returns a script that somebody is told, made anew. It assumes mu.
func (w *Wallet) script(k KeyID) ([]byte, error) {
	script, err := w.accounts[k.Account].account.Script(k.Branch, k.Index)
	if err == nil && string(script) != string(w.accounts[k.Account].scripts[k.Branch][k.Index]) {
		err = errDatabase
	}
	return script, err
}
