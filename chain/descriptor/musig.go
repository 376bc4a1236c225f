package descriptor

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
)

// aggregateChainCode is the chain code of every aggregate, so that children can be
// derived from it (BIP328). It is in hexadecimal.
const aggregateChainCode = "868087ca02a6f974c4598924c36b57762d32cb45717167e300622c7167e38965"

// aggregate reads musig(KEY,KEY,…) and the path behind it (BIP390).
func (p *parser) aggregate(text string, c context) (*key, error) {
	if c != contextTaproot {
		return nil, errorf("musig() is only allowed in tr() and rawtr()")
	}
	end := strings.IndexByte(text, ')')
	if end < 0 {
		return nil, errorf("Invalid musig() expression")
	}
	members, rest := text[len("musig("):end], text[end+1:]
	if strings.Contains(rest, ")") {
		return nil, errorf("Too many ')' in musig() expression")
	}
	if members == "" {
		return nil, errorf("musig(): Must contain key expressions")
	}
	k := &key{}
	for _, member := range strings.Split(members, ",") {
		m, err := p.anyKey(member, contextMuSig)
		if err != nil {
			return nil, errorf("musig(): %v", err)
		}
		k.members = append(k.members, m)
	}
	if steps, derives := strings.CutPrefix(rest, "/"); derives {
		if err := p.aggregatePath(k, strings.Split(steps, "/")); err != nil {
			return nil, err
		}
	} else if rest != "" {
		return nil, errorf("Invalid musig() expression")
	}
	lengths := []int{}
	for _, m := range k.members {
		lengths = append(lengths, m.branches())
	}
	if _, ok := commonBranches(lengths...); !ok {
		return nil, errorf("musig(): Multipath derivation paths have mismatched lengths")
	}
	return k, nil
}

// aggregatePath reads the path behind the brackets, along which the aggregate is derived.
func (p *parser) aggregatePath(k *key, steps []string) error {
	extended := func(m *key) bool { return m.root != nil }
	several := func(m *key) bool { return m.branches() > 1 }
	switch {
	case !all(k.members, extended):
		return errorf("musig(): derivation requires all participants to be xpubs or xprvs")
	case slices.ContainsFunc(k.members, (*key).ranged):
		return errorf("musig(): Cannot have ranged participant keys if musig() also has derivation")
	}
	steps = k.cutWildcard(steps)
	if k.wildcard == hardenedWildcard {
		return errorf("musig(): Cannot have hardened child derivation")
	}
	path, hardened, err := p.path(k, steps, true)
	switch {
	case err != nil:
		return errorf("musig(): %v", err)
	case hardened:
		return errorf("musig(): cannot have hardened derivation steps")
	}
	if k.path = path; k.ownBranches() > 1 && slices.ContainsFunc(k.members, several) {
		return errorf("musig(): Cannot have multipath participant keys if musig() is also multipath")
	}
	if p.steps += (len(path) + 1) * k.ownBranches(); p.steps > maxSteps {
		return errorf("Descriptor has more than %d steps from keys to others", maxSteps)
	}
	return nil
}

func all(keys []*key, is func(*key) bool) bool {
	return !slices.ContainsFunc(keys, func(k *key) bool { return !is(k) })
}

// sum returns the aggregate of the members' keys, which are sorted first (BIP327).
func (k *key) sum(at place) (*btcec.PublicKey, error) {
	publics := make([]*btcec.PublicKey, len(k.members))
	for i, m := range k.members {
		point, err := m.at(at)
		if err != nil {
			return nil, err
		}
		if publics[i], err = btcec.ParsePubKey(point); err != nil {
			return nil, err
		}
	}
	sum, _, _, err := musig2.AggregateKeys(publics, true)
	if err != nil {
		return nil, err
	}
	return sum.FinalKey, nil
}

// aggregateAt returns the aggregate at a place, after the steps of its path.
func (k *key) aggregateAt(at place) ([]byte, error) {
	sum, err := k.sum(at)
	if err != nil {
		return nil, err
	}
	if len(k.path) == 0 && k.wildcard == noWildcard {
		return sum.SerializeCompressed(), nil
	}
	chainCode, err := hex.DecodeString(aggregateChainCode)
	if err != nil {
		return nil, err
	}
	version := []byte{versionXpub >> 24, versionXpub >> 16 & 0xff, versionXpub >> 8 & 0xff, versionXpub & 0xff}
	child := hdkeychain.NewExtendedKey(version, sum.SerializeCompressed(), chainCode, make([]byte, 4), 0, 0, false)
	path := make([]uint32, 0, len(k.path)+1)
	for _, s := range k.path {
		path = append(path, s.choose(at.branch))
	}
	if k.wildcard == plainWildcard {
		path = append(path, at.index)
	}
	for _, n := range path {
		if child, err = child.Derive(n); err != nil {
			return nil, ErrNoPrivateKey
		}
	}
	public, err := child.ECPubKey()
	if err != nil {
		return nil, err
	}
	return public.SerializeCompressed(), nil
}

// aggregates returns those of some keys that are aggregates, each once.
func aggregates(keys []*key, at place) (list []Aggregate, err error) {
	for _, k := range keys {
		if k.members == nil {
			continue
		}
		sum, err := k.sum(at)
		if err != nil {
			return nil, err
		}
		a := Aggregate{Public: [33]byte(sum.SerializeCompressed())}
		if slices.ContainsFunc(list, func(b Aggregate) bool { return b.Public == a.Public }) {
			continue
		}
		for _, m := range k.members {
			d, err := m.derived(at)
			if err != nil {
				return nil, err
			}
			a.Members = append(a.Members, d)
		}
		slices.SortFunc(a.Members, func(a, b Derived) int { return bytes.Compare(a.Public[:], b.Public[:]) })
		list = append(list, a)
	}
	return list, nil
}
