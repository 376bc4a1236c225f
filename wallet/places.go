package wallet

import (
	"bytes"
	"slices"

	"github.com/karatcoin/karat/chain/psbt"
)

// Whose the scripts of a packet are decides what is shown as change and what is signed. A
// script is an account's only if the account makes it now: what the database keeps may have
// been changed, and what a packet says of its keys is a hint where to look.

// The bounds of the search in one packet, which may name as many places as it has bytes.
const (
	maxIndexes   = 4       // that are tried for one script; its keys share one
	maxKeysTried = 100_000 // keys that are derived: some seconds, and far more than coins fit into a payment
)

// places finds whose the scripts of one packet are.
type places struct {
	w     *Wallet
	left  int // of maxKeysTried; then nothing more is the wallet's
	known map[string]foundPlace
	// origins are those of the accounts' keys, by the fingerprint of the master key.
	origins map[[4]byte][]accountOrigin
}

type accountOrigin struct {
	account int
	path    []uint32
}

type foundPlace struct {
	id   KeyID
	ours bool
}

func (w *Wallet) places() *places {
	p := &places{w: w, left: maxKeysTried, known: map[string]foundPlace{}, origins: map[[4]byte][]accountOrigin{}}
	for number, a := range w.accounts {
		for _, o := range a.account.origins {
			p.origins[o.Fingerprint] = append(p.origins[o.Fingerprint], accountOrigin{number, o.Path})
		}
	}
	return p
}

// of returns whose a script is: a place that is watched, or one that the origins of its
// keys say and that has this very script. So a machine that never sees the chain knows its
// own outputs, however far they are.
func (p *places) of(script []byte, derivations []psbt.TapDerivation) (KeyID, bool) {
	if found, ok := p.known[string(script)]; ok && (found.ours || len(derivations) == 0) {
		return found.id, found.ours
	}
	id, ours := p.search(script, derivations)
	p.known[string(script)] = foundPlace{id, ours}
	return id, ours
}

func (p *places) search(script []byte, derivations []psbt.TapDerivation) (KeyID, bool) {
	p.w.mu.Lock()
	id, watched := p.w.keys[string(script)]
	p.w.mu.Unlock()
	if watched {
		return id, p.makes(id, script)
	}
	var tried []uint32
	accounts := p.likely(derivations)
	for i := range derivations {
		path := derivations[i].Origin.Path
		if len(path) < 2 {
			continue
		}
		step, index := path[len(path)-2], path[len(path)-1]
		if len(tried) >= maxIndexes || index >= hardened(0) || slices.Contains(tried, index) {
			continue
		}
		tried = append(tried, index)
		for _, number := range accounts {
			for turn := range Branch(2) { // the steps of a descriptor need not be 0 and 1
				id := KeyID{number, turn ^ Branch(step&1), index}
				if p.makes(id, script) {
					return id, true
				}
			}
		}
	}
	return KeyID{}, false
}

// makes reports whether a place has a script.
func (p *places) makes(id KeyID, script []byte) bool {
	a := p.w.accounts[id.Account].account
	if id.Index >= a.end(id.Branch) {
		return false
	}
	if p.left -= max(len(a.origins), 1); p.left < 0 {
		return false
	}
	found, err := a.Script(id.Branch, id.Index)
	return err == nil && bytes.Equal(found, script)
}

// likely returns the accounts by number, those first that have a key from which some keys say
// to be derived.
func (p *places) likely(derivations []psbt.TapDerivation) []uint32 {
	named := make([]bool, len(p.w.accounts))
	for i := range derivations {
		from := &derivations[i].Origin
		for _, o := range p.origins[from.Fingerprint] {
			named[o.account] = named[o.account] || len(from.Path) >= len(o.path) && slices.Equal(from.Path[:len(o.path)], o.path)
		}
	}
	list := make([]uint32, 0, len(named))
	for _, now := range []bool{true, false} {
		for number := range named {
			if named[number] == now {
				list = append(list, uint32(number))
			}
		}
	}
	return list
}

// isFar reports whether a restore would not find a place, whatever its gap limit: it is further
// behind the last place that is known to be used than the largest one. Who made a packet may
// hide change there, and ask a price for telling where.
func (w *Wallet) isFar(id KeyID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return uint64(id.Index) >= uint64(w.usedEnd(id.Account, id.Branch))+MaxGapLimit
}
