package wallet

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// ErrAccount is wrapped by the errors about a name or descriptor that no account can have.
var ErrAccount = errors.New("this cannot be an account")

const (
	maxNameSize       = 64       // bytes
	maxDescriptorSize = 32 << 10 // bytes; a hundred extended keys with their origins have less
	maxKeys           = 200      // of a descriptor
	indexEnd          = 1 << 31  // BIP32: one above the last index
	firstAccountName  = "main"   // of the words
)

// Account is a name and a descriptor (BIP380): which scripts somebody owns, and how they are
// spent. It has no private key, so it makes every address and signs nothing. It does not
// change, and may be used by several goroutines.
type Account struct {
	number   uint32
	name     string
	whole    *descriptor.Descriptor
	branches []*descriptor.Descriptor // of Receive, and of Change if there are two
	first    [][]byte                 // the first script of each branch
	origins  []descriptor.Origin      // of the keys
	ours     bool                     // one of the keys is the wallet's
}

// newAccount makes an account of a descriptor, which may be anything. One with private keys is
// refused: those belong into no place that is not sealed. fingerprint is that of the wallet's
// master key; nil if it has none.
func newAccount(name, text string, k descriptor.Keys, fingerprint []byte) (*Account, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if len(text) > maxDescriptorSize {
		return nil, fmt.Errorf("%w: a descriptor of more than %d bytes", ErrAccount, maxDescriptorSize)
	}
	d, err := descriptor.Parse(text, k)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAccount, err)
	}
	a := &Account{name: name, whole: d, branches: d.Expand(), origins: d.Origins()}
	switch {
	case d.HasPrivateKeys():
		return nil, fmt.Errorf("%w: the descriptor has private keys, and only public ones are kept here", ErrAccount)
	case d.KeyCount() > maxKeys:
		return nil, fmt.Errorf("%w: %d keys, at most %d", ErrAccount, d.KeyCount(), maxKeys)
	case len(a.branches) > 2:
		return nil, fmt.Errorf("%w: %d branches; there is one for receiving, and one for change", ErrAccount, len(a.branches))
	}
	for b := range a.branches {
		script, err := a.Script(Branch(b), 0)
		if err == nil {
			_, err = taproot.EncodeAddress(k.HRP, script)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAccount, err)
		}
		a.first = append(a.first, script)
	}
	if fingerprint != nil {
		a.ours = slices.ContainsFunc(a.origins, func(o descriptor.Origin) bool { return string(o.Fingerprint[:]) == string(fingerprint) })
	}
	return a, nil
}

// checkName refuses names that would look like something else on a terminal: a number, which
// means an account too, a flag, or nothing.
func checkName(name string) error {
	printable := !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
	digits := strings.Trim(name, "0123456789") == ""
	if name == "" || len(name) > maxNameSize || !printable || digits || strings.TrimSpace(name) != name || name[0] == '-' {
		return fmt.Errorf("%w: the name %.70q: want up to %d bytes of letters and digits, and not digits alone", ErrAccount, name, maxNameSize)
	}
	return nil
}

// singleKey returns the descriptor of an account that one key owns (BIP86), of both branches.
func singleKey(fingerprint []byte, path, extended string) string {
	return fmt.Sprintf("tr([%x/%s]%s/<0;1>/*)", fingerprint, path, extended)
}

// Number is the account's place in the wallet's file, which never changes.
func (a *Account) Number() uint32 { return a.number }

// Name is what the owner calls the account.
func (a *Account) Name() string { return a.name }

// IsWatchOnly reports whether none of the account's keys is the wallet's, by the fingerprints
// in its descriptor.
func (a *Account) IsWatchOnly() bool { return !a.ours }

// Descriptor returns the descriptor of both branches with its checksum (BIP380, BIP389).
// Whoever has it sees all that the account owns, and can spend nothing with it alone. With it
// and a single private key of the account all of them can be computed (BIP32, keys that are
// not hardened), so no single key ever leaves the wallet.
func (a *Account) Descriptor() string { return a.whole.String() }

// Descriptors returns a descriptor for each branch, for programs that know no multipath.
func (a *Account) Descriptors() []string {
	list := make([]string, len(a.branches))
	for i, d := range a.branches {
		list[i] = d.String()
	}
	return list
}

// id names what the account owns. It is the same in every file that has the account, however
// hardened steps are written there.
func (a *Account) id() types.Hash {
	text, _, _ := strings.Cut(strings.ReplaceAll(a.Descriptor(), "'", "h"), "#")
	return sha256.Sum256([]byte("karat account " + text))
}

// end returns one above the last index of a branch.
func (a *Account) end(b Branch) uint32 {
	switch {
	case int(b) >= len(a.branches):
		return 0
	case !a.whole.Ranged():
		return 1
	}
	return indexEnd
}

// changeBranch returns the branch that change goes to: an account may have one only.
func (a *Account) changeBranch() Branch { return Branch(len(a.branches) - 1) }

// Script returns the output script of a place in the account. The index is below 2^31. One
// index in 2^127 has no script, and gives an error.
func (a *Account) Script(b Branch, index uint32) (scriptPubKey []byte, err error) {
	if index >= a.end(b) {
		return nil, fmt.Errorf("account %s has no key %d/%d", a.name, b, index)
	}
	scripts, err := a.branches[b].Scripts(index)
	if err != nil {
		return nil, fmt.Errorf("key %d/%d: %w", b, index, err)
	}
	if len(scripts) != 1 {
		return nil, fmt.Errorf("key %d/%d has %d scripts", b, index, len(scripts))
	}
	return scripts[0], nil
}

// Expand returns the output of a place in the account, with what is needed to spend it. It
// costs more than Script.
func (a *Account) Expand(b Branch, index uint32) (descriptor.Output, error) {
	if index >= a.end(b) {
		return descriptor.Output{}, fmt.Errorf("account %s has no key %d/%d", a.name, b, index)
	}
	outputs, err := a.branches[b].Outputs(index)
	if err == nil && len(outputs) != 1 {
		err = fmt.Errorf("it has %d scripts", len(outputs))
	}
	if err != nil {
		return descriptor.Output{}, fmt.Errorf("key %d/%d: %w", b, index, err)
	}
	return outputs[0], nil
}

// SpendWeight returns how many weight units the witness of an input that spends from the
// account has at most.
func (a *Account) SpendWeight() int {
	most := witnessWeight
	o, err := a.Expand(Receive, 0)
	if err != nil {
		return most
	}
	for i := range o.Leaves {
		if weight, err := o.Leaves[i].WitnessWeight(); err == nil {
			most = max(most, weight)
		}
	}
	return most
}
