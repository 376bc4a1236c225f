package descriptor

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
)

// context is where an expression stands. It decides what may stand there.
type context byte

const (
	contextTop     context = iota
	contextSH              // inside sh()
	contextWPKH            // inside wpkh()
	contextWSH             // inside wsh()
	contextTaproot         // inside tr() and rawtr()
	contextMuSig           // inside musig()
)

// parser reads one descriptor, and counts what it costs.
type parser struct {
	k           Keys
	all         []*key // that were read, but for members of aggregates
	count       int    // of keys, with members
	steps       int    // that were derived
	expressions int    // of miniscript that were read
}

// key reads a key expression.
func (p *parser) key(text string, c context) (*key, error) {
	k, err := p.anyKey(text, c)
	if err == nil {
		p.all = append(p.all, k)
	}
	return k, err
}

func (p *parser) anyKey(text string, c context) (*key, error) {
	if p.count++; p.count > maxKeys {
		return nil, errorf("Descriptor has more than %d keys", maxKeys)
	}
	if strings.HasPrefix(text, "musig(") {
		return p.aggregate(text, c)
	}
	k := &key{}
	parts := strings.Split(text, "]")
	switch {
	case len(parts) > 2:
		return nil, errorf("Multiple ']' characters found for a single pubkey")
	case len(parts) == 1:
		return k, p.bareKey(k, text, c)
	case parts[0] == "":
		return nil, errorf("Key origin start '[ character expected but not found, got ']' instead")
	case parts[0][0] != '[':
		return nil, errorf("Key origin start '[ character expected but not found, got '%c' instead", parts[0][0])
	}
	if err := p.origin(k, parts[0][1:]); err != nil {
		return nil, err
	}
	return k, p.bareKey(k, parts[1], c)
}

// origin reads what stands in square brackets before a key.
func (p *parser) origin(k *key, text string) error {
	steps := strings.Split(text, "/")
	if len(steps[0]) != 8 {
		return errorf("Fingerprint is not 4 bytes (%d characters instead of 8 characters)", len(steps[0]))
	}
	raw, err := hex.DecodeString(steps[0])
	if err != nil {
		return errorf("Fingerprint '%s' is not hex", steps[0])
	}
	path, _, err := p.path(k, steps[1:], false)
	if err != nil {
		return err
	}
	k.origin = &origin{fingerprint: [4]byte(raw)}
	for _, s := range path {
		k.origin.path = append(k.origin.path, s[0])
	}
	return nil
}

// bareKey reads a key without its origin.
func (p *parser) bareKey(k *key, text string, c context) error {
	steps := strings.Split(text, "/")
	text, steps = steps[0], steps[1:]
	switch {
	case text == "":
		return errorf("No key provided")
	case strings.TrimSpace(text) != text:
		return errorf("Key '%s' is invalid due to whitespace", shown(text))
	}
	if len(steps) == 0 {
		if raw, err := hex.DecodeString(text); err == nil {
			return k.setPoint(raw, text, c)
		}
		if secret, compressed, ok := p.k.decodeWIF(text); ok {
			return k.setSecret(secret, compressed, text, c)
		}
	}
	extended, ok := p.k.decodeExtended(text)
	if !ok {
		return errorf("key '%s' is not valid", shown(text))
	}
	return p.extend(k, extended, text, steps)
}

// setPoint makes it a constant public key.
func (k *key) setPoint(raw []byte, text string, c context) error {
	uncompressed := len(raw) == 65
	point := raw
	if len(raw) == 32 && c == contextTaproot {
		point, k.xOnly = append([]byte{2}, raw...), true
	}
	switch {
	case uncompressed && (raw[0] == 6 || raw[0] == 7):
		return errorf("Hybrid public keys are not allowed")
	case uncompressed && raw[0] != 4, len(point) != 33 && !uncompressed:
		return errorf("Pubkey '%s' is invalid", shown(text))
	}
	if _, err := btcec.ParsePubKey(point); err != nil {
		return errorf("Pubkey '%s' is invalid", shown(text))
	}
	if uncompressed && c != contextTop && c != contextSH {
		return errorf("Uncompressed keys are not allowed")
	}
	k.point = point
	return nil
}

// setSecret makes it a constant private key.
func (k *key) setSecret(secret *btcec.PrivateKey, compressed bool, text string, c context) error {
	switch {
	case compressed:
		k.point = secret.PubKey().SerializeCompressed()
	case c != contextTop && c != contextSH:
		return errorf("Uncompressed keys are not allowed")
	default:
		k.point = secret.PubKey().SerializeUncompressed()
	}
	k.secret, k.wif, k.xOnly = secret, text, c == contextTaproot
	return nil
}

// extend makes it an extended key with the steps of a path.
func (p *parser) extend(k *key, extended *hdkeychain.ExtendedKey, text string, steps []string) (err error) {
	steps = k.cutWildcard(steps)
	if k.path, _, err = p.path(k, steps, true); err != nil {
		return err
	}
	k.public = text
	if extended.IsPrivate() {
		neuter, err := extended.Neuter()
		if err != nil {
			return errorf("key '%s' is not valid", shown(text))
		}
		k.public, k.private = neuter.String(), text
	}
	public, err := extended.ECPubKey()
	if err != nil {
		return errorf("key '%s' is not valid", shown(text))
	}
	k.fingerprint = fingerprintOf(public.SerializeCompressed())
	if p.steps += (len(k.path) + 1) * k.ownBranches(); p.steps > maxSteps {
		return errorf("Descriptor has more than %d steps from keys to others", maxSteps)
	}
	k.derivePath(extended)
	return nil
}

// sharePrivate gives a key the private half that stands elsewhere in the text.
func (p *parser) sharePrivate() {
	roots, secrets := map[string]*key{}, map[[32]byte]*key{}
	p.each(func(k *key) {
		switch {
		case k.private != "":
			roots[k.public] = k
		case k.secret != nil:
			secrets[[32]byte(k.point[1:])] = k
		}
	})
	p.each(func(k *key) {
		switch {
		case k.root != nil && k.private == "":
			if with := roots[k.public]; with != nil {
				k.private = with.private
				k.derivePath(with.root)
			}
		case k.point != nil && k.secret == nil:
			if with := secrets[[32]byte(k.point[1:])]; with != nil && bytes.Equal(with.point, k.point) {
				k.secret, k.wif = with.secret, with.wif
			}
		}
	})
}

// each visits all keys, and those in aggregates.
func (p *parser) each(visit func(*key)) {
	for _, k := range p.all {
		visit(k)
		for _, m := range k.members {
			visit(m)
		}
	}
}

// cutWildcard takes the last step off, if the index fills it in.
func (k *key) cutWildcard(steps []string) []string {
	if len(steps) == 0 {
		return steps
	}
	last := len(steps) - 1
	switch steps[last] {
	case "*":
		k.wildcard = plainWildcard
	case "*h", "*'":
		k.wildcard, k.apostrophe = hardenedWildcard, steps[last] == "*'"
	default:
		return steps
	}
	return steps[:last]
}

// path reads the steps of a path, and tells whether one is hardened. The last mark of
// one that is decides how all are written.
func (p *parser) path(k *key, texts []string, multipath bool) (path []step, hardened bool, err error) {
	path = make([]step, len(texts))
	several := false
	for i, text := range texts {
		choices := []string{text}
		if len(text) > 1 && text[0] == '<' && text[len(text)-1] == '>' {
			switch choices = strings.Split(text[1:len(text)-1], ";"); {
			case !multipath:
				return nil, false, errorf("Key path value '%s' specifies multipath in a section where multipath is not allowed", shown(text))
			case several:
				return nil, false, errorf("Multiple multipath key path specifiers found")
			case len(choices) < 2:
				return nil, false, errorf("Multipath key path specifiers must have at least two items")
			case len(choices) > maxBranches:
				return nil, false, errorf("Multipath key path specifiers have at most %d items", maxBranches)
			}
			several = true
		}
		for _, choice := range choices {
			n, err := k.stepNumber(choice)
			switch {
			case err != nil:
				return nil, false, err
			case slices.Contains(path[i], n):
				return nil, false, errorf("Duplicated key path value %d in multipath specifier", n)
			}
			path[i], hardened = append(path[i], n), hardened || n >= hardenedBit
		}
	}
	return path, hardened, nil
}

// stepNumber reads one step of a path.
func (k *key) stepNumber(text string) (uint32, error) {
	digits := text
	mark := text != "" && (text[len(text)-1] == '\'' || text[len(text)-1] == 'h')
	if mark {
		digits, k.apostrophe = text[:len(text)-1], text[len(text)-1] == '\''
	}
	n, ok := number(digits)
	switch {
	case !ok:
		return 0, errorf("Key path value '%s' is not a valid uint32", shown(digits))
	case n >= hardenedBit:
		return 0, errorf("Key path value %d is out of range", n)
	case mark:
		n |= hardenedBit
	}
	return n, nil
}
