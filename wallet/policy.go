package wallet

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/descriptor"
)

// Way is a way to spend from an account.
type Way struct {
	Words string // who, and when
	// Sequence and LockTime are what the transaction needs; 0: nothing.
	Sequence, LockTime uint32
	WitnessWeight      int // of an input, at most
}

// Ways says in words who can spend from the account. Keys are called by the fingerprints of
// their master keys; that of this wallet is "you".
func (w *Wallet) Ways(a *Account) (ways []Way) {
	out, err := a.Expand(Receive, 0)
	if err != nil || len(out.Keys) == 0 {
		return nil
	}
	own := hex.EncodeToString(w.file.content.Header.Fingerprint)
	name := func(key [32]byte) string { return nameOf(&out, key, own) }
	if internal := &out.Keys[0]; !isUnspendable(internal) {
		ways = append(ways, Way{Words: name([32]byte(internal.Public[1:])), WitnessWeight: witnessWeight})
	}
	for i := range out.Leaves {
		steps := descriptor.DecodeSteps
		m, err := descriptor.DecodeScript(out.Leaves[i].Script, &steps)
		if err != nil {
			ways = append(ways, Way{Words: fmt.Sprintf("whatever the script %x asks for", out.Leaves[i].Script), WitnessWeight: witnessWeight})
			continue
		}
		way := Way{Words: m.Words(name), WitnessWeight: witnessWeight}
		if locks, ok := m.Locks(); ok {
			way.Sequence, way.LockTime = locks.Older, locks.After
		}
		if weight, err := out.Leaves[i].WitnessWeight(); err == nil {
			way.WitnessWeight = weight
		}
		ways = append(ways, way)
	}
	return ways
}

// nameOf returns what a key of an output is called.
func nameOf(out *descriptor.Output, key [32]byte, own string) string {
	called := func(fingerprint [4]byte) string {
		if text := hex.EncodeToString(fingerprint[:]); text != own {
			return text
		}
		return "you"
	}
	at := slices.IndexFunc(out.Keys, func(d descriptor.Derived) bool { return [32]byte(d.Public[1:]) == key })
	if at < 0 {
		return fmt.Sprintf("key %x", key)
	}
	if a := aggregateOf(out, &out.Keys[at]); a != nil {
		var names []string
		for _, m := range a.Members {
			names = append(names, called(m.Fingerprint))
		}
		slices.Sort(names)
		return fmt.Sprintf("all of %s, by one signature (MuSig2)", strings.Join(names, ", "))
	}
	return called(out.Keys[at].Fingerprint)
}

// SignsAlone reports whether one signature by a key of the wallet is all that it takes to spend
// from the account.
func (w *Wallet) SignsAlone(a *Account) bool {
	out, err := a.Expand(Receive, 0)
	return err == nil && len(out.Keys) > 0 && hex.EncodeToString(out.Keys[0].Fingerprint[:]) == hex.EncodeToString(w.file.content.Header.Fingerprint)
}

// Accounts returns the accounts, by number.
func (w *Wallet) Accounts() []*Account { return w.file.accounts }

// OwnKeys returns how many keys of a descriptor say to be of the file's words. The error is
// for whoever typed it.
func (f *File) OwnKeys(text string) (own int, err error) {
	d, err := descriptor.Parse(text, f.keys)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrAccount, err)
	}
	for _, o := range d.Origins() {
		if len(f.content.Header.Fingerprint) > 0 && string(o.Fingerprint[:]) == string(f.content.Header.Fingerprint) {
			own++
		}
	}
	return own, nil
}
