package descriptor

import (
	"errors"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
)

// Keys says how a network writes keys and addresses.
type Keys struct {
	HRP  string // of addresses
	Test bool   // extended keys are tpub and tprv, as on all networks of play money
}

// KeysOf returns how a network writes them: the network "main" has xpub and xprv.
func KeysOf(name, hrp string) Keys { return Keys{HRP: hrp, Test: name != "main"} }

// ErrNoPrivateKey is returned where a script can only be derived with a private key that
// the descriptor does not hold.
//
//lint:ignore ST1005 the words are Core's
var ErrNoPrivateKey = errors.New("Cannot derive script without private keys")

// ErrNoOutput is returned for the scripts of a function that makes outputs which a
// taproot-only chain does not have.
var ErrNoOutput = errors.New("this network has taproot outputs only: use tr() or rawtr()")

// Descriptor is a descriptor that was read. It does not change, and may be used by
// several goroutines. It holds the private keys that its text had.
type Descriptor struct {
	top      output
	keys     []*key // in the order of the text
	branches int    // alternatives of the multipath, 1 if there is none
	branch   int    // which of them this is; -1 is all
}

// output is the function at the top.
type output interface {
	// outputs returns what it stands for at a place.
	outputs(at place, spending bool) ([]Output, error)
	print(p *printer)
}

// place is where scripts are derived.
type place struct {
	branch int
	index  uint32
}

// Output is a script that a descriptor stands for. All but the script is what a spender
// has to know, and there for tr() alone; rawtr() has its key.
type Output struct {
	ScriptPubKey []byte
	Internal     [32]byte // the internal key, x only
	MerkleRoot   []byte   // of the tree; none if there is no tree
	Leaves       []Leaf   // from left to right
	Keys         []Derived
	Aggregates   []Aggregate
}

// Aggregate is a key that several make together, before any step of its own path.
type Aggregate struct {
	Public  [33]byte  // compressed
	Members []Derived // in the order in which they are aggregated (BIP327's KeySort)
}

// Leaf is a script of a tree.
type Leaf struct {
	Script       []byte // its leaf version is tapscript's
	Hash         [32]byte
	Depth        int
	ControlBlock []byte
}

// Derived is a key of an output, with where it comes from. The internal key is in no
// leaf. Of musig() it is the aggregate.
type Derived struct {
	Public      [33]byte // compressed
	Fingerprint [4]byte  // of the master key, or the first that is known: what an origin says is not proven
	Path        []uint32 // from there on
	// Root is the key that stands in the text, compressed, of which Public is a child or which
	// it is; of musig() the aggregate before any step. Whoever wrote the origin did not make it.
	Root    [33]byte
	Private *btcec.PrivateKey
	Leaves  [][32]byte // hashes of the leaves that it is in
}

// Parse reads a descriptor. A checksum may be missing; one that is there must be right.
// An error is for the client, and has Core's words.
func Parse(text string, k Keys) (*Descriptor, error) { return parse(text, k, false) }

// ParseSummed reads a descriptor that must have a checksum.
func ParseSummed(text string, k Keys) (*Descriptor, error) { return parse(text, k, true) }

func parse(text string, k Keys, summed bool) (*Descriptor, error) {
	if len(text) > maxTextSize {
		return nil, errorf("Descriptor has %d characters, at most %d are read", len(text), maxTextSize)
	}
	text, err := cutChecksum(text, summed)
	if err != nil {
		return nil, err
	}
	p := parser{k: k}
	expression, rest := cutExpression(text)
	top, branches, err := p.output(expression, contextTop)
	switch {
	case err != nil:
		return nil, err
	case rest != "":
		return nil, errorf("'%s' is not a valid descriptor function", shown(text))
	}
	p.sharePrivate()
	d := &Descriptor{top: top, keys: p.all, branches: branches, branch: -1}
	if branches == 1 {
		d.branch = 0
	}
	return d, nil
}

// cutChecksum checks and removes the checksum.
func cutChecksum(text string, summed bool) (string, error) {
	payload, sum, given := strings.Cut(text, "#")
	want := Checksum(payload)
	switch {
	case strings.Contains(sum, "#"):
		return "", errorf("Multiple '#' symbols")
	case !given && summed:
		return "", errorf("Missing checksum")
	case given && len(sum) != checksumSize:
		return "", errorf("Expected 8 character checksum, not %d characters", len(sum))
	case want == "":
		return "", errorf("Invalid characters in payload")
	case given && sum != want:
		return "", errorf("Provided checksum %s does not match computed checksum '%s'", quoted(sum), want)
	}
	return payload, nil
}

// quoted shows a checksum, which may be any bytes.
func quoted(sum string) string {
	return "'" + strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, sum) + "'"
}

// Ranged reports whether there is a script for each index, and not just one.
func (d *Descriptor) Ranged() bool {
	for _, k := range d.keys {
		if k.ranged() {
			return true
		}
	}
	return false
}

// KeyCount is the number of keys in the text. What a script costs is in proportion to it.
func (d *Descriptor) KeyCount() int { return len(d.keys) }

// HasPrivateKeys reports whether a private key is in the text.
func (d *Descriptor) HasPrivateKeys() bool {
	for _, k := range d.keys {
		if k.hasPrivate() {
			return true
		}
	}
	return false
}

// Solvable reports whether the descriptor says how to spend, and not only what.
func (d *Descriptor) Solvable() bool {
	_, known := d.top.(scriptOutput)
	return !known
}

// Expand returns the descriptors without multipath for which one with multipath stands
// (BIP389), in order; else itself alone.
func (d *Descriptor) Expand() []*Descriptor {
	if d.branch >= 0 {
		return []*Descriptor{d}
	}
	list := make([]*Descriptor, d.branches)
	for i := range list {
		one := *d
		one.branch = i
		list[i] = &one
	}
	return list
}

// Scripts returns the scripts of an index, one for each alternative of a multipath. The
// index counts for ranged descriptors alone, and is below 2^31. The error may be
// ErrNoPrivateKey or ErrNoOutput.
func (d *Descriptor) Scripts(index uint32) ([][]byte, error) {
	outputs, err := d.at(index, false)
	if err != nil {
		return nil, err
	}
	scripts := make([][]byte, len(outputs))
	for i := range outputs {
		scripts[i] = outputs[i].ScriptPubKey
	}
	return scripts, nil
}

// Outputs returns what Scripts does, and what is needed to spend. It costs more.
func (d *Descriptor) Outputs(index uint32) ([]Output, error) { return d.at(index, true) }

func (d *Descriptor) at(index uint32, spending bool) (all []Output, err error) {
	if index >= hardenedBit {
		return nil, errorf("Index %d is out of range", index)
	}
	for _, one := range d.Expand() {
		outputs, err := one.top.outputs(place{one.branch, index}, spending)
		if err != nil {
			return nil, err
		}
		all = append(all, outputs...)
	}
	return all, nil
}

// String returns the text with its checksum, without private keys.
func (d *Descriptor) String() string { return d.print(&printer{branch: d.branch}) }

// PrivateString returns the text with its checksum and with the private keys that it has.
func (d *Descriptor) PrivateString() string {
	return d.print(&printer{branch: d.branch, private: true})
}

// Derived returns the text of an index, in which keys stand in place of extended keys, each
// with its origin. It has no multipath: of one, the branch counts.
func (d *Descriptor) Derived(branch int, index uint32) (string, error) {
	p := &printer{branch: max(branch, d.branch), derived: true, index: index}
	text := d.print(p)
	return text, p.problems
}

func (d *Descriptor) print(p *printer) string {
	d.top.print(p)
	return p.String() + "#" + Checksum(p.String())
}
