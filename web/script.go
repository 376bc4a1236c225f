package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// What of a script and of a witness is shown. What is behind that can be read in the raw
// transaction.
const (
	maxOps      = 120 // opcodes that are written
	maxPush     = 80  // bytes of what one pushes
	maxScanned  = 2000
	maxElements = 12  // of a witness
	maxElement  = 160 // bytes of each
	maxDataText = 400 // characters of a message
)

// Output is what is said of a scriptPubKey.
type Output struct {
	Kind    string // in words
	Address string // empty: it has none
	Text    string // of data: what can be read
	Asm     string
	Coin    bool // somebody can spend it
}

// describeOutput says in words what an output's script asks for.
func (s *Server) describeOutput(script []byte) Output {
	o := Output{Asm: disassemble(script), Coin: consensus.IsSpendable(script)}
	o.Address, _ = taproot.EncodeAddress(s.Params.HRP, script)
	version, program, ok := types.WitnessProgram(script)
	switch {
	case ok && version == 1 && len(program) == 32:
		o.Kind = "taproot"
	case ok && taproot.IsPayToAnchor(version, program):
		o.Kind = "anchor: anyone can spend it"
	case ok && version > 0:
		o.Kind = fmt.Sprintf("witness version %d, which has no rules yet: anyone can spend it", version)
	case len(script) > 0 && script[0] == taproot.OpReturn:
		o.Kind, o.Text = "data, which nobody can spend", message(script[1:], 3, maxDataText)
	default:
		o.Kind, o.Address = "a script that nobody can spend here", ""
	}
	return o
}

// disassemble writes a script in opcodes, up to a length.
func disassemble(script []byte) string {
	var b []byte
	for at, n := 0, 0; at < len(script); n++ {
		if n > 0 {
			b = append(b, ' ')
		}
		if n == maxOps {
			return string(b) + "…"
		}
		op, data, next, ok := taproot.NextOp(script, at)
		switch {
		case !ok:
			return string(b) + "[the script ends in the middle of a push]"
		case len(data) > maxPush:
			b = append(b, fmt.Sprintf("%s(%d bytes)", hexed(data, maxPush), len(data))...)
		default:
			b = taproot.AppendWord(b, op, data)
		}
		at = next
	}
	return string(b)
}

// Spend is how an input spends a taproot output.
type Spend struct {
	Kind     string   // in words
	Words    []string // of a script path: what its leaf asks for
	Asm      string   // of the leaf
	Internal string   // key of a script path
	Depth    int      // of the leaf in its tree
	Leaf     string   // its version in hexadecimal
	Annex    bool
	Elements []string
	More     int // elements that are not shown
	Size     int // bytes of the witness
}

// describeSpend says in words what a witness shows.
func describeSpend(in *types.TxIn) Spend {
	s := Spend{Size: in.WitnessSize()}
	stack := in.Witness
	for i, element := range stack {
		if i == maxElements {
			s.More = len(stack) - i
			break
		}
		text := hexed(element, maxElement)
		if len(element) > maxElement {
			text += fmt.Sprintf(" (%d bytes)", len(element))
		}
		if text == "" {
			text = "(empty)"
		}
		s.Elements = append(s.Elements, text)
	}
	if n := len(stack); n >= 2 && len(stack[n-1]) > 0 && stack[n-1][0] == 0x50 { // BIP341
		s.Annex, stack = true, stack[:n-1]
	}
	switch n := len(stack); {
	case n == 0:
		s.Kind = "no witness"
	case n == 1:
		s.Kind = "key path: one signature, " + hashType(stack[0])
	default:
		control, leaf := stack[n-1], stack[n-2]
		if len(control) < 33 || (len(control)-33)%32 != 0 {
			s.Kind = "a witness of an unknown kind"
			break
		}
		s.Kind = "script path"
		s.Internal = hexed(control[1:33], 32)
		s.Depth = (len(control) - 33) / 32
		s.Leaf = fmt.Sprintf("%x", control[0]&0xfe)
		s.Asm = disassemble(leaf)
		if control[0]&0xfe == 0xc0 {
			s.Words = leafWords(leaf)
		} else {
			s.Words = []string{"a version of script that has no rules yet: anyone can spend it"}
		}
	}
	return s
}

// hashType says what a signature is for.
func hashType(signature []byte) string {
	if len(signature) != 65 {
		return "for the whole transaction"
	}
	what := map[byte]string{1: "for the whole transaction", 2: "for its inputs, whatever the outputs", 3: "for its inputs and the output beside it"}[signature[64]&3]
	if signature[64]&0x80 != 0 {
		what += ", whoever else pays in"
	}
	return what
}

// leafReader reads a leaf from the left, and says what each piece asks for.
type leafReader struct {
	words  []string
	nested int
	keys   int    // of a group of signatures that has not ended
	number int64  // what was pushed just now; -1: no number
	hash   string // the hash function whose result is compared next
}

// leafWords says in words what a leaf asks for, piece by piece.
func leafWords(script []byte) []string {
	r := leafReader{number: -1}
	for at, n := 0, 0; at < len(script); n++ {
		op, data, next, ok := taproot.NextOp(script, at)
		if !ok || n == maxScanned || len(r.words) >= 20 {
			r.say("and more, as the script says")
			break
		}
		r.take(op, data)
		at = next
	}
	r.signatures(r.keys)
	if len(r.words) == 0 {
		return []string{"what the script says"}
	}
	return r.words
}

func (r *leafReader) say(words string) {
	r.words = append(r.words, strings.Repeat("· ", min(r.nested, 8))+words)
}

func (r *leafReader) take(op byte, data []byte) {
	number, isNumber := smallNumber(op, data)
	before := r.number
	if r.number = -1; isNumber {
		r.number = number
		return
	}
	switch op {
	case taproot.OpCheckSigAdd:
		r.keys++
		return
	case taproot.OpNumEqual, taproot.OpNumEqualVerify, taproot.OpGreaterThanOrEqual:
		if before >= 0 {
			r.signatures(int(before))
		}
		return
	}
	if len(data) == 32 {
		return // a key, or a hash: what follows says which
	}
	r.signatures(r.keys) // a group that has ended without a number
	switch op {
	case taproot.OpCheckSig:
		r.keys = 1
	case taproot.OpCheckSigVerify:
		r.keys = 1
		r.signatures(1)
	case taproot.OpCheckLockTimeVerify:
		if before >= 0 {
			r.say(lockTimeWords(uint32(before)))
		}
	case taproot.OpCheckSequenceVerify:
		if before >= 0 {
			r.say(relativeWords(uint32(before)))
		}
	case taproot.OpSHA256, taproot.OpHash160, taproot.OpHash256, taproot.OpRipeMD160:
		r.hash = string(taproot.AppendWord(nil, op, nil))[len("OP_"):]
	case taproot.OpEqual, taproot.OpEqualVerify:
		if r.hash != "" {
			r.say("the secret whose " + r.hash + " the script has")
		}
		r.hash = ""
	case taproot.OpIf, taproot.OpNotIf:
		r.say("either")
		r.nested++
	case taproot.OpElse:
		r.nested = max(r.nested-1, 0)
		r.say("or")
		r.nested++
	case taproot.OpEndIf:
		r.nested = max(r.nested-1, 0)
	}
}

// signatures ends a group of keys of which so many must sign.
func (r *leafReader) signatures(required int) {
	switch {
	case r.keys == 0:
		return
	case r.keys == 1:
		r.say("a signature by one key")
	default:
		r.say(fmt.Sprintf("signatures by %d of %d keys", required, r.keys))
	}
	r.keys = 0
}

// smallNumber reads a push as a number, if it may be one.
func smallNumber(op byte, data []byte) (int64, bool) {
	switch {
	case op == 0:
		return 0, true
	case op >= taproot.Op1 && op <= taproot.Op16:
		return int64(op-taproot.Op1) + 1, true
	case len(data) == 0 || len(data) > 5:
		return 0, false
	}
	var n int64
	for i, b := range data {
		if i == len(data)-1 {
			if b&0x80 != 0 {
				return 0, false
			}
		}
		n |= int64(b) << (8 * i)
	}
	return n, n < 1<<32
}

// lockTimeWords says when a lock time ends.
func lockTimeWords(lock uint32) string {
	if lock < types.LockTimeThreshold {
		return fmt.Sprintf("not before block %d", lock)
	}
	return "not before " + time.Unix(int64(lock), 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

// relativeWords says when a relative lock ends (BIP68).
func relativeWords(sequence uint32) string {
	const disabled, seconds, mask = 1 << 31, 1 << 22, 0xffff
	n := sequence & mask
	switch {
	case sequence&disabled != 0:
		return ""
	case sequence&seconds != 0:
		return "at least " + span(time.Duration(n)*512*time.Second) + " after the coin's block"
	}
	return fmt.Sprintf("at least %d blocks after the coin's", n)
}
