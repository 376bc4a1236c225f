package descriptor

import (
	"fmt"
	"strconv"
	"strings"
)

// What a text may cost. A multi_a of 999 extended keys with their origins fits.
const (
	maxTextSize    = 256 << 10 // bytes
	maxKeys        = 2_000
	maxSteps       = 10_000 // from keys to their children, all together
	maxExpressions = 4_000  // of miniscript, without wrappers
	maxBranches    = 256    // of a multipath
	maxNesting     = 256    // of expressions in each other; Core has no bound but the script's size
	maxShown       = 1_000  // characters of a text that an error repeats
)

// syntaxError says what is wrong with a text.
type syntaxError string

// Error returns Core's words.
func (e syntaxError) Error() string { return string(e) }

func errorf(format string, args ...any) error {
	return syntaxError(fmt.Sprintf(format, args...))
}

// shown is as much of a text as an error repeats. The checksum has refused what is not
// printable.
func shown(text string) string { return text[:min(len(text), maxShown)] }

// cutExpression splits off what stands before the first comma or closing bracket that is
// outside of brackets.
func cutExpression(text string) (expression, rest string) {
	level := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '(' || c == '{':
			level++
		case level > 0 && (c == ')' || c == '}'):
			level--
		case level == 0 && (c == ')' || c == '}' || c == ','):
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// inside returns what stands in the brackets of a function, if the text is that function.
func inside(name, text string) (arguments string, ok bool) {
	text, ok = strings.CutPrefix(text, name)
	if !ok || len(text) < 2 || text[0] != '(' || text[len(text)-1] != ')' {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// number reads a decimal number of 32 bits, without a sign.
func number(text string) (uint32, bool) {
	if strings.HasPrefix(text, "+") {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// printer writes a descriptor.
type printer struct {
	strings.Builder
	branch   int  // which of a multipath; -1 writes the multipath itself
	private  bool // with private keys where they are there
	derived  bool // with the keys of an index in place of extended keys
	index    uint32
	whole    bool  // derived keys are written with all 33 bytes
	problems error // the first of what could not be written
}

// list writes parts with commas between them.
func (p *printer) list(n int, part func(i int)) {
	for i := range n {
		if i > 0 {
			p.WriteByte(',')
		}
		part(i)
	}
}
