package wallet

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// LabelType says what a label is about (BIP329).
type LabelType string

// The types of labels, by the names that BIP329 gives them.
const (
	LabelTx      LabelType = "tx"     // Ref is a txid
	LabelAddress LabelType = "addr"   // an address, of the wallet or of somebody else
	LabelPubKey  LabelType = "pubkey" // a public key of 32, 33 or 65 bytes, in hexadecimal
	LabelInput   LabelType = "input"  // TXID:INDEX
	LabelOutput  LabelType = "output" // TXID:INDEX
	LabelXPub    LabelType = "xpub"   // an extended public key (BIP32)
)

// labelTypes are all types, in the order of an export, with their byte in the database.
var labelTypes = []struct {
	name LabelType
	key  byte
}{{LabelTx, 't'}, {LabelAddress, 'a'}, {LabelPubKey, 'p'}, {LabelInput, 'i'}, {LabelOutput, 'o'}, {LabelXPub, 'x'}}

// The bounds of labels. A file of them is somebody else's, and all of them are in memory.
const (
	MaxLabel       = 255     // characters of a label, which BIP329 suggests
	maxLabels      = 100_000 // of a wallet
	maxLabelRef    = 130     // bytes of a reference: an uncompressed public key
	maxLabelOrigin = 1000    // bytes
	maxLabelLine   = 16 << 10
	// maxLabelBytes bounds all labels as an export has them: a backup holds them, in which they
	// take up to four times that, and has to be read again.
	maxLabelBytes = 32 << 20
)

// ErrLabel is wrapped by the errors about a label that cannot be.
var ErrLabel = errors.New("no such label can be")

// Label is what the owner has noted about something in the wallet: a record of BIP329.
type Label struct {
	Type LabelType
	Ref  string // what it is about: see the types
	Text string
	// Origin is the descriptor without keys of the wallet that a record from a file belongs
	// to, such as tr([d34db33f/86h/0h/0h]); empty: this one.
	Origin string
	// Spendable is false for a coin that is locked: payments leave it alone. Only outputs
	// have it; nil says nothing.
	Spendable *bool

	other map[string]json.RawMessage // fields that others have written, kept for them
}

// labelKey names a record: there is one for each thing and, beside that of this wallet, one
// for each other wallet whose records came in a file.
type labelKey struct {
	kind    LabelType
	ref     string
	foreign string // the origin, of a record of another wallet
}

// ParseLabelRef finds out what a label would be about, from what somebody typed: a txid, an
// outpoint (an output), an address of the network, a public key or an extended one. It returns
// the reference as labels have it.
func ParseLabelRef(hrp, text string) (LabelType, string, error) {
	kind := LabelAddress
	switch isHex := isHexadecimal(text); {
	case isHex && len(text) == 64:
		kind = LabelTx
	case isHex && (len(text) == 66 || len(text) == 130):
		kind = LabelPubKey
	case strings.Contains(text, ":"):
		kind = LabelOutput
	case looksExtended(text):
		kind = LabelXPub
	default:
		if _, err := taproot.DecodeAddress(hrp, text); err != nil {
			return "", "", fmt.Errorf("%w: a label is for an address, a txid or an outpoint TXID:INDEX; and as an address: %w", ErrLabel, err)
		}
	}
	ref, err := checkRef(kind, hrp, text)
	return kind, ref, err
}

// looksExtended tells an extended key from an address: it is too long for one.
func looksExtended(text string) bool { return len(text) > 100 }

func isHexadecimal(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && text != ""
}

// checkRef returns a reference in the form that the database has: the same thing is never
// written in two ways. An address of another network is taken as it is: a file of labels may
// hold those of several wallets.
func checkRef(kind LabelType, hrp, ref string) (string, error) {
	bad := func(want string) error { return fmt.Errorf("%w: %s %q: want %s", ErrLabel, kind, shortened(ref), want) }
	switch kind {
	case LabelTx:
		if len(ref) != 64 || !isHexadecimal(ref) {
			return "", bad("a txid of 64 hexadecimal digits")
		}
		return strings.ToLower(ref), nil
	case LabelPubKey:
		if n := len(ref); n != 64 && n != 66 && n != 130 || !isHexadecimal(ref) {
			return "", bad("a public key of 32, 33 or 65 bytes in hexadecimal")
		}
		return strings.ToLower(ref), nil
	case LabelInput, LabelOutput:
		txid, index, ok := strings.Cut(ref, ":")
		n, err := strconv.ParseUint(index, 10, 32)
		if !ok || len(txid) != 64 || !isHexadecimal(txid) || err != nil {
			return "", bad("TXID:INDEX")
		}
		return fmt.Sprintf("%s:%d", strings.ToLower(txid), n), nil
	case LabelXPub:
		key, err := hdkeychain.NewKeyFromString(ref)
		switch {
		case len(ref) > maxLabelRef || err != nil:
			return "", bad("an extended public key")
		case key.IsPrivate(): // never repeated: it is a secret
			return "", fmt.Errorf("%w: xpub: it is a private key, which must not be in a label", ErrLabel)
		}
		return ref, nil
	case LabelAddress:
		if script, err := taproot.DecodeAddress(hrp, ref); err == nil {
			return taproot.EncodeAddress(hrp, script)
		}
		if len(ref) < 14 || len(ref) > maxLabelRef || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", bad("an address")
		}
		return ref, nil
	}
	return "", fmt.Errorf("%w: there is no type %q", ErrLabel, shortened(string(kind)))
}

// shortened returns what is told of a text that somebody else wrote.
func shortened(text string) string {
	if len(text) > 80 {
		return text[:80] + "…"
	}
	return text
}

// checkLabelText refuses a text that a line of a table cannot hold.
func checkLabelText(text string) error {
	if n := utf8.RuneCountInString(text); n > MaxLabel {
		return fmt.Errorf("%w: it has %d characters, and the most is %d", ErrLabel, n, MaxLabel)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: it is not UTF-8", ErrLabel)
	}
	if i := strings.IndexFunc(text, notInLabel); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return fmt.Errorf("%w: it holds the character %U, which cannot be shown", ErrLabel, r)
	}
	return nil
}

// notInLabel reports whether a character has no place in one line of text: it moves the
// cursor, or lets what follows run backwards.
func notInLabel(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// MarshalJSON implements json.Marshaler: the record as BIP329 has it.
func (l Label) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read these files
	field := func(name string, value any) {
		separator := byte(',')
		if b.Len() == 0 {
			separator = '{'
		}
		b.WriteByte(separator)
		// The encoder fails for no text and no boolean; what others wrote was valid when
		// it was read. It ends each value with a new line.
		e.Encode(name)
		b.Truncate(b.Len() - 1)
		b.WriteByte(':')
		e.Encode(value)
		b.Truncate(b.Len() - 1)
	}
	field("type", l.Type)
	field("ref", l.Ref)
	if l.Text != "" {
		field("label", l.Text)
	}
	if l.Origin != "" {
		field("origin", l.Origin)
	}
	if l.Spendable != nil {
		field("spendable", *l.Spendable)
	}
	for _, name := range slices.Sorted(maps.Keys(l.other)) {
		field(name, l.other[name])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// labelKey names the record of a label in this wallet.
func (w *Wallet) labelKey(l *Label) labelKey {
	k := labelKey{kind: l.Type, ref: l.Ref}
	if l.Origin != "" && !w.isOurs(l.Origin) {
		k.foreign = l.Origin
	}
	return k
}

// isOurs reports whether an origin names a master key of the wallet by its fingerprint. Of
// whatever account and kind, what its owner has noted about a transaction is true for all.
func (w *Wallet) isOurs(origin string) bool {
	_, after, ok := strings.Cut(origin, "[")
	if !ok || len(after) < 8 || !isHexadecimal(after[:8]) {
		return false
	}
	return slices.ContainsFunc(w.accounts, func(a *watching) bool {
		return strings.Contains(a.account.Descriptor(), "["+strings.ToLower(after[:8]))
	})
}

// Label returns what was noted about something, and false if there is nothing. A Ref is
// written as ParseLabelRef returns it.
func (w *Wallet) Label(kind LabelType, ref string) (Label, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.labels[labelKey{kind: kind, ref: ref}]
	return l, ok
}

// Labels returns all labels, by type and reference.
func (w *Wallet) Labels() []Label {
	w.mu.Lock()
	defer w.mu.Unlock()
	order := map[LabelType]int{}
	for i, t := range labelTypes {
		order[t.name] = i
	}
	list := slices.Collect(maps.Values(w.labels))
	slices.SortFunc(list, func(a, b Label) int {
		return cmp.Or(cmp.Compare(order[a.Type], order[b.Type]), cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Origin, b.Origin))
	})
	return list
}

// SetLabel notes a text about something; an empty one takes it away. Whether a coin is locked
// stays as it is. Errors: ErrLabel.
func (w *Wallet) SetLabel(kind LabelType, ref, text string) error {
	ref, err := checkRef(kind, w.params.HRP, ref)
	if err == nil {
		err = checkLabelText(text)
	}
	if err != nil {
		return err
	}
	return w.changeLabel(kind, ref, func(l *Label) { l.Text = text })
}

// Lock locks a coin, or unlocks it. A coin that is locked is not chosen for a payment. It is
// the field spendable of the output's label, so that it goes with the labels into other
// wallets.
func (w *Wallet) Lock(coin types.OutPoint, locked bool) error {
	return w.changeLabel(LabelOutput, coin.String(), func(l *Label) {
		spendable := !locked
		// For a record that would hold nothing else there is no need.
		if l.Spendable = &spendable; spendable && l.Text == "" {
			l.Spendable = nil
		}
	})
}

// IsLocked reports whether a coin is locked.
func (w *Wallet) IsLocked(coin types.OutPoint) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.isLocked(coin)
}

// isLocked assumes mu.
func (w *Wallet) isLocked(coin types.OutPoint) bool {
	if len(w.labels) == 0 {
		return false
	}
	l := w.labels[labelKey{kind: LabelOutput, ref: coin.String()}]
	return l.Spendable != nil && !*l.Spendable
}

// changeLabel changes one record, and removes it if nothing is left in it.
func (w *Wallet) changeLabel(kind LabelType, ref string, change func(*Label)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := labelKey{kind: kind, ref: ref}
	l, had := w.labels[key]
	if l.Type, l.Ref = kind, ref; !had && len(w.labels) >= maxLabels {
		return fmt.Errorf("%w: the wallet has %d, which is the most", ErrLabel, maxLabels)
	}
	change(&l)
	return w.storeLabels(map[labelKey]Label{key: l})
}

// storeLabels writes records in one step. Those in which nothing is noted are removed. It
// assumes mu.
func (w *Wallet) storeLabels(changed map[labelKey]Label) error {
	s := w.db.begin()
	size := w.labelBytes
	for key, l := range changed {
		if before, had := w.labels[key]; had {
			size -= before.size()
		}
		if l.empty() {
			s.batch.Delete(key.bytes())
			continue
		}
		value, err := l.MarshalJSON()
		if err != nil {
			return err
		}
		if len(value) >= maxLabelLine { // an import would refuse it, and so that of a backup
			return fmt.Errorf("%w: with what other programs have noted it is longer than %d bytes", ErrLabel, maxLabelLine-1)
		}
		size += len(value) + 1
		s.batch.Put(key.bytes(), value)
	}
	if size > max(maxLabelBytes, w.labelBytes) {
		return fmt.Errorf("%w: all of the wallet's would have more than %d MiB", ErrLabel, maxLabelBytes>>20)
	}
	if err := s.write(); err != nil {
		return err
	}
	for key, l := range changed {
		if l.empty() {
			delete(w.labels, key)
		} else {
			w.labels[key] = l
		}
	}
	w.labelBytes = size
	return nil
}

// size returns the bytes of a record in an export.
func (l *Label) size() int {
	value, _ := l.MarshalJSON() // it was written before
	return len(value) + 1
}

func (l *Label) empty() bool { return l.Text == "" && l.Spendable == nil && len(l.other) == 0 }

// bytes returns the key of a record in the database.
func (k labelKey) bytes() []byte {
	b := []byte{keyLabel}
	for _, t := range labelTypes {
		if t.name == k.kind {
			b = append(b, t.key)
		}
	}
	b = append(b, k.ref...)
	if k.foreign != "" {
		b = append(append(b, ' '), k.foreign...) // no reference has a space
	}
	return b
}

// loadLabels reads all labels. What is not as this package writes it is damage. Labels of another
// wallet whose account has come into this one since are its own from now on, but for those of
// what it has a label of already: the owner's word counts, and the file's are gone.
func (w *Wallet) loadLabels() error {
	s := w.db.begin()
	it := w.db.db.NewIterator(util.BytesPrefix([]byte{keyLabel}), nil)
	defer it.Release()
	for it.Next() {
		l, err := parseLabel(it.Value(), w.params.HRP)
		if err != nil {
			return fmt.Errorf("%w: %w", errDatabase, err)
		}
		key := w.labelKey(&l.Label)
		if bytes.Equal(key.bytes(), it.Key()) {
			w.labels[key] = l.Label
			w.labelBytes += len(it.Value()) + 1
			continue
		}
		foreign := key
		foreign.foreign = l.Origin
		if !bytes.Equal(foreign.bytes(), it.Key()) {
			return errDatabase
		}
		s.batch.Delete(bytes.Clone(it.Key()))
		// One of the wallet's own comes before, as its key is shorter.
		if _, has := w.labels[key]; !has {
			w.labels[key] = l.Label
			w.labelBytes += len(it.Value()) + 1
			s.batch.Put(key.bytes(), bytes.Clone(it.Value()))
		}
	}
	if err := it.Error(); err != nil || s.batch.Len() == 0 {
		return err
	}
	return s.write()
}
