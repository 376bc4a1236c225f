package descriptor

import "fmt"

// legacyOutput is a function whose outputs a taproot-only chain does not have: the text
// is right, and there are no scripts.
type legacyOutput struct {
	name      string
	threshold string // of multi() and sortedmulti(), with the comma
	keys      []*key
	inner     output
}

const (
	maxMultiKeys = 20 // of multi(), as OP_CHECKMULTISIG takes
	maxBareKeys  = 3  // of a multi() at the top, by policy

	maxRedeemScript = 520 // bytes of a script in sh()
)

// The words with which a function is refused in places where it cannot stand.
var misplaced = map[string]string{
	"combo":       "Can only have combo() at top level",
	"multi":       "Can only have multi/sortedmulti at top level, in sh(), or in wsh()",
	"sortedmulti": "Can only have multi/sortedmulti at top level, in sh(), or in wsh()",
	"wpkh":        "Can only have wpkh() at top level or inside sh()",
	"sh":          "Can only have sh() at top level",
	"wsh":         "Can only have wsh() at top level or inside sh()",
	"addr":        "Can only have addr() at top level",
	"tr":          "Can only have tr at top level",
	"rawtr":       "Can only have rawtr at top level",
	"raw":         "Can only have raw() at top level",
}

// legacy reads one of the older functions, where it may stand.
func (p *parser) legacy(text string, c context) (o output, branches int, err error) {
	name, arguments := function(text)
	switch {
	case name == "pk" || name == "pkh",
		name == "combo" && c == contextTop,
		name == "wpkh" && c != contextWSH:
		return p.legacyKey(name, arguments, c)
	case name == "multi" || name == "sortedmulti":
		return p.legacyMulti(name, arguments, c)
	case name == "sh" && c == contextTop:
		return p.legacyInner(name, arguments, contextSH)
	case name == "wsh" && (c == contextTop || c == contextSH):
		return p.legacyInner(name, arguments, contextWSH)
	case misplaced[name] != "":
		return nil, 0, errorf("%s", misplaced[name])
	case c == contextSH:
		return nil, 0, errorf("A function is needed within P2SH")
	case c == contextWSH:
		return nil, 0, errorf("A function is needed within P2WSH")
	}
	return nil, 0, errorf("'%s' is not a valid descriptor function", shown(text))
}

func (p *parser) legacyKey(name, text string, c context) (output, int, error) {
	if name == "wpkh" {
		c = contextWPKH
	}
	k, err := p.key(text, c)
	if err != nil {
		return nil, 0, errorf("%s(): %v", name, err)
	}
	return legacyOutput{name: name, keys: []*key{k}}, k.branches(), nil
}

func (p *parser) legacyMulti(name, text string, c context) (output, int, error) {
	threshold, keys, branches, err := p.multi(text, "multisig", maxMultiKeys, c)
	switch {
	case err != nil:
		return nil, 0, err
	case c == contextTop && len(keys) > maxBareKeys:
		return nil, 0, errorf("Cannot have %d pubkeys in bare multisig; only at most 3 pubkeys", len(keys))
	}
	size := 3
	for _, k := range keys {
		size += 1 + max(33, len(k.point))
	}
	if c == contextSH && size > maxRedeemScript {
		return nil, 0, errorf("P2SH script is too large, %d bytes is larger than %d bytes", size, maxRedeemScript)
	}
	return legacyOutput{name: name, threshold: fmt.Sprintf("%d,", threshold), keys: keys}, branches, nil
}

func (p *parser) legacyInner(name, text string, c context) (output, int, error) {
	expression, rest := cutExpression(text)
	inner, branches, err := p.legacy(expression, c)
	switch {
	case err != nil:
		return nil, 0, err
	case rest != "":
		return nil, 0, errorf("'%s' is not a valid descriptor function", shown(text))
	}
	return legacyOutput{name: name, inner: inner}, branches, nil
}

// outputs looks whether the keys are there, since a client may have forgotten them.
func (o legacyOutput) outputs(at place, spending bool) ([]Output, error) {
	for _, k := range o.keys {
		if _, err := k.at(at); err != nil {
			return nil, err
		}
	}
	if o.inner != nil {
		return o.inner.outputs(at, spending)
	}
	return nil, ErrNoOutput
}

func (o legacyOutput) print(p *printer) {
	p.WriteString(o.name + "(" + o.threshold)
	p.list(len(o.keys), func(i int) { o.keys[i].print(p) })
	if o.inner != nil {
		o.inner.print(p)
	}
	p.WriteByte(')')
}
