package descriptor

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// TestMiniscriptVectors has the cases of Core's own test: which expressions are right,
// what their types tell, what their scripts are, and how much they need of the stack.
func TestMiniscriptVectors(t *testing.T) {
	var all []struct {
		Text, Script string
		Modes        []string
		Stack        int
	}
	vectors.ReadJSON(t, "descriptor/miniscript.json", &all)
	for _, v := range all {
		has := func(mode string) bool { return slices.Contains(v.Modes, "TESTMODE_"+mode) }
		r := miniscriptReader{p: &parser{k: bitcoin}}
		n := r.expression(v.Text, 0)
		if n != nil {
			n.complete()
		}
		valid := n != nil && n.is.has("B")
		if want := !has("INVALID") && !has("TAPSCRIPT_INVALID"); valid != want {
			t.Errorf("%s: valid %v, want %v", v.Text, valid, want)
		}
		if !valid || has("INVALID") || has("TAPSCRIPT_INVALID") {
			continue
		}
		if n.is.has("m") != has("NONMAL") || n.is.has("s") != has("NEEDSIG") || n.is.has("k") == has("TIMELOCKMIX") {
			t.Errorf("%s: types %b, want %v", v.Text, n.is, v.Modes)
		}
		script, err := n.script(place{})
		if got := hex.EncodeToString(script); err != nil || v.Script != "" && got != v.Script {
			t.Errorf("%s: script %s, want %s, %v", v.Text, got, v.Script, err)
		}
		if m, err := decodeScript(script); err != nil || m.root.is != n.is {
			t.Errorf("%s: read from its script as %v, %v", v.Text, m, err)
		}
		if v.Stack > 0 && n.stack.sat.most+1 != v.Stack {
			t.Errorf("%s: %d elements on the stack, want %d", v.Text, n.stack.sat.most+1, v.Stack)
		}
		p := &printer{}
		n.print(p)
		again := miniscriptReader{p: &parser{k: bitcoin}}
		if m := again.expression(p.String(), 0); m == nil {
			t.Errorf("%s is written as %s", v.Text, p)
		} else if m.complete(); m.is != n.is {
			t.Errorf("%s becomes %s", v.Text, p)
		}
	}
	vectors.Ran(t, len(all), "expressions of miniscript")
}

// TestInsane: what is no safe script is refused, in Core's words.
func TestInsane(t *testing.T) {
	pkA, pkB := "pk("+keyB+")", "pk("+keyC+")"
	for text, want := range map[string]string{
		"and_v(v:" + pkA + "," + pkB + ")":                            "",
		"and_v(" + pkA + "," + pkB + ")":                              " is invalid",
		"pk_k(" + keyB + ")":                                          " is not sane",
		"or_d(" + pkA + ",older(9))":                                  " is not sane: witnesses without signature exist",
		"or_i(" + pkA + ",and_v(v:older(9),or_i(older(3),older(4))))": "or_i(older(3),older(4)) is not sane: malleable witnesses exist",
		"and_v(v:" + pkA + "," + pkA + ")":                            " is not sane: contains duplicate public keys",
		"and_v(and_v(v:" + pkA + ",v:older(9)),older(4194305))":       " is not sane: contains mixes of timelocks expressed in blocks and seconds",
		"and_v(v:" + pkA + ",0)":                                      " is not satisfiable",
		"and_v(v:" + pkA + "," + pkB + "":                             "' is not a valid descriptor function",
		"or_x(" + pkA + "," + pkB + ")":                               "' is not a valid descriptor function",
		"and_v(v:pk(02),older(1))":                                    "Pubkey '02' is invalid",
		"older(1,2)":                                                  "' is not a valid descriptor function",
		"thresh(3," + pkA + ",s:" + pkB + ")":                         "' is not a valid descriptor function",
		"multi(1," + keyB + ")":                                       "Can only have multi/sortedmulti at top level, in sh(), or in wsh()",
	} {
		_, err := Parse("tr("+keyA+","+text+")", bitcoin)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
