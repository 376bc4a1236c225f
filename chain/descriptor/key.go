package descriptor

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	//lint:ignore SA1019 Bitcoin hashes keys with it, however old it is
	"golang.org/x/crypto/ripemd160"
)

const hardenedBit = hdkeychain.HardenedKeyStart

// key is a key expression (BIP380): a constant key, an extended key with a path, or an
// aggregate of keys (BIP390).
type key struct {
	origin     *origin
	apostrophe bool // hardened steps are written with ' and not with h

	point  []byte // of a constant key: 33 bytes, or 65 where such may be
	xOnly  bool   // it is written with 32 bytes
	secret *btcec.PrivateKey
	wif    string // the secret as text

	fingerprint [4]byte                 // of the root
	root        *hdkeychain.ExtendedKey // of an extended key, with its private half if that is there
	public      string                  // the root's public half as text
	private     string                  // as text, empty if it is not there
	path        []step
	wildcard    wildcard
	bases       []*hdkeychain.ExtendedKey // the end of the path, for each branch; nil if it takes a private key

	members []*key // of an aggregate, which has no origin
}

// origin is where a key comes from: the fingerprint of a master key, and the path from it.
type origin struct {
	fingerprint [4]byte
	path        []uint32
}

// step is a step of a path, or several to choose from (BIP389).
type step []uint32

// wildcard is the last step, which the index fills in.
type wildcard byte

const (
	noWildcard wildcard = iota
	plainWildcard
	hardenedWildcard
)

func (k *key) ranged() bool {
	return k.wildcard != noWildcard || slices.ContainsFunc(k.members, (*key).ranged)
}

func (k *key) hasPrivate() bool {
	return k.secret != nil || k.private != "" || slices.ContainsFunc(k.members, (*key).hasPrivate)
}

// branches is the number of alternatives, 1 if there is no multipath.
func (k *key) branches() int {
	n := 1
	for _, s := range k.path {
		n = max(n, len(s))
	}
	for _, m := range k.members {
		n = max(n, m.branches())
	}
	return n
}

// choose returns the step of a branch.
func (s step) choose(branch int) uint32 {
	if len(s) == 1 {
		return s[0]
	}
	return s[branch]
}

// derivePath walks from the root to the ends of the path. What takes a private key that is
// not there has no end.
func (k *key) derivePath(root *hdkeychain.ExtendedKey) {
	k.root, k.bases = root, make([]*hdkeychain.ExtendedKey, k.ownBranches())
	for branch := range k.bases {
		at := root
		for _, s := range k.path {
			var err error
			if at, err = at.Derive(s.choose(branch)); err != nil {
				at = nil
				break
			}
		}
		k.bases[branch] = at
	}
}

func (k *key) ownBranches() int {
	n := 1
	for _, s := range k.path {
		n = max(n, len(s))
	}
	return n
}

// extended returns the extended key at a place.
func (k *key) extended(at place) (*hdkeychain.ExtendedKey, error) {
	base := k.bases[0]
	if len(k.bases) > 1 {
		base = k.bases[at.branch]
	}
	if base == nil {
		return nil, ErrNoPrivateKey
	}
	child, err := base, error(nil)
	switch k.wildcard {
	case plainWildcard:
		child, err = base.Derive(at.index)
	case hardenedWildcard:
		child, err = base.Derive(at.index | hardenedBit)
	}
	if err != nil { // a public key has no hardened child; one in 2^127 has none of that index
		return nil, ErrNoPrivateKey
	}
	return child, nil
}

// at returns the key at a place, compressed unless it is a constant that is not.
func (k *key) at(at place) ([]byte, error) {
	if k.point != nil {
		return k.point, nil
	}
	if k.members != nil {
		return k.aggregateAt(at)
	}
	child, err := k.extended(at)
	if err != nil {
		return nil, err
	}
	public, err := child.ECPubKey()
	if err != nil {
		return nil, ErrNoPrivateKey
	}
	return public.SerializeCompressed(), nil
}

// xAt returns the x coordinate of the key at a place.
func (k *key) xAt(at place) (x [32]byte, err error) {
	point, err := k.at(at)
	if err == nil {
		copy(x[:], point[1:33])
	}
	return x, err
}

// derived returns the key at a place with all that is known of it.
func (k *key) derived(at place) (d Derived, err error) {
	point, err := k.at(at)
	if err != nil {
		return d, err
	}
	copy(d.Public[:], point)
	if d.Root, err = k.rootAt(at); err != nil {
		return d, err
	}
	d.Private = k.secret
	if k.root != nil && k.private != "" {
		child, err := k.extended(at)
		if err != nil {
			return d, err
		}
		if d.Private, err = child.ECPrivKey(); err != nil {
			return d, ErrNoPrivateKey
		}
	}
	d.Fingerprint, d.Path = k.from(at, point)
	return d, nil
}

// rootAt returns the key that stands in the text, or the aggregate of those.
func (k *key) rootAt(at place) (root [33]byte, err error) {
	switch {
	case k.point != nil:
		copy(root[:], k.point)
		return root, nil
	case k.members != nil:
		sum, err := k.sum(at)
		if err == nil {
			copy(root[:], sum.SerializeCompressed())
		}
		return root, err
	}
	public, err := k.root.ECPubKey()
	if err == nil {
		copy(root[:], public.SerializeCompressed())
	}
	return root, err
}

// from returns the fingerprint of the first key that is known, and the path from there.
func (k *key) from(at place, point []byte) (fingerprint [4]byte, path []uint32) {
	switch {
	case k.origin != nil:
		fingerprint, path = k.origin.fingerprint, slices.Clone(k.origin.path)
	case k.root != nil:
		fingerprint = k.fingerprint
	case k.members != nil && len(k.path)+int(k.wildcard) > 0:
		if sum, err := k.sum(at); err == nil {
			fingerprint = fingerprintOf(sum.SerializeCompressed())
		}
	default:
		fingerprint = fingerprintOf(point)
	}
	for _, s := range k.path {
		path = append(path, s.choose(at.branch))
	}
	switch k.wildcard {
	case plainWildcard:
		path = append(path, at.index)
	case hardenedWildcard:
		path = append(path, at.index|hardenedBit)
	}
	return fingerprint, path
}

// fingerprintOf returns the beginning of a key's HASH160 (BIP32).
func fingerprintOf(point []byte) [4]byte { return [4]byte(hash160(point)) }

func hash160(b []byte) []byte {
	digest := sha256.Sum256(b)
	h := ripemd160.New()
	h.Write(digest[:])
	return h.Sum(nil)
}

// print writes the key.
func (k *key) print(p *printer) {
	if p.derived {
		k.printDerived(p)
		return
	}
	if k.origin != nil {
		p.WriteString("[" + k.origin.text(k.apostrophe) + "]")
	}
	switch {
	case k.members != nil:
		p.WriteString("musig(")
		p.list(len(k.members), func(i int) { k.members[i].print(p) })
		p.WriteString(")")
	case k.root == nil && p.private && k.wif != "":
		p.WriteString(k.wif)
	case k.root == nil && k.xOnly:
		p.WriteString(hex.EncodeToString(k.point[1:]))
	case k.root == nil:
		p.WriteString(hex.EncodeToString(k.point))
	case p.private && k.private != "":
		p.WriteString(k.private)
	default:
		p.WriteString(k.public)
	}
	for _, s := range k.path {
		p.WriteByte('/')
		k.printStep(p, s)
	}
	if k.wildcard != noWildcard {
		p.WriteString("/*")
	}
	if k.wildcard == hardenedWildcard {
		p.WriteString(hardenedMark(k.apostrophe))
	}
}

func (k *key) printStep(p *printer, s step) {
	if len(s) > 1 && p.branch < 0 {
		texts := make([]string, len(s))
		for i, n := range s {
			texts[i] = stepText(n, k.apostrophe)
		}
		p.WriteString("<" + strings.Join(texts, ";") + ">")
		return
	}
	p.WriteString(stepText(s.choose(p.branch), k.apostrophe))
}

// printDerived writes the key at a place with its origin.
func (k *key) printDerived(p *printer) {
	at := place{max(p.branch, 0), p.index}
	point, err := k.at(at)
	if err != nil {
		p.problems = err
		return
	}
	from := origin{}
	from.fingerprint, from.path = k.from(at, point)
	if !p.whole {
		point = point[1:33]
	}
	p.WriteString("[" + from.text(false) + "]" + hex.EncodeToString(point))
}

func (o *origin) text(apostrophe bool) string {
	text := hex.EncodeToString(o.fingerprint[:])
	for _, n := range o.path {
		text += "/" + stepText(n, apostrophe)
	}
	return text
}

func stepText(n uint32, apostrophe bool) string {
	if n < hardenedBit {
		return fmt.Sprint(n)
	}
	return fmt.Sprint(n-hardenedBit) + hardenedMark(apostrophe)
}

func hardenedMark(apostrophe bool) string {
	if apostrophe {
		return "'"
	}
	return "h"
}

// The version bytes of keys as text (BIP32), and of single private keys.
const (
	versionXpub = 0x0488b21e
	versionXprv = 0x0488ade4
	versionTpub = 0x043587cf
	versionTprv = 0x04358394
	versionWIF  = 0x80
	versionTest = 0xef

	maxKeyText = 120 // characters of such texts; an extended key has 111
)

// decodeExtended reads an extended key of the network.
func (n Keys) decodeExtended(text string) (*hdkeychain.ExtendedKey, bool) {
	if len(text) > maxKeyText { // base58 takes time by the square of the length
		return nil, false
	}
	extended, err := hdkeychain.NewKeyFromString(text)
	if err != nil || extended.Depth() == 0 && (extended.ChildIndex() != 0 || extended.ParentFingerprint() != 0) {
		return nil, false // a master key has no parent
	}
	public, private := uint32(versionXpub), uint32(versionXprv)
	if n.Test {
		public, private = versionTpub, versionTprv
	}
	version := binary.BigEndian.Uint32(extended.Version())
	return extended, version == public && !extended.IsPrivate() || version == private && extended.IsPrivate()
}

// decodeWIF reads a private key in the wallet import format.
func (n Keys) decodeWIF(text string) (secret *btcec.PrivateKey, compressed, ok bool) {
	if len(text) > maxKeyText {
		return nil, false, false
	}
	raw, version, err := base58.CheckDecode(text)
	want := byte(versionWIF)
	if n.Test {
		want = versionTest
	}
	if err != nil || version != want || len(raw) != 32 && (len(raw) != 33 || raw[32] != 1) {
		return nil, false, false
	}
	var scalar btcec.ModNScalar
	if scalar.SetByteSlice(raw[:32]) || scalar.IsZero() {
		return nil, false, false
	}
	return btcec.PrivKeyFromScalar(&scalar), len(raw) == 33, true
}
