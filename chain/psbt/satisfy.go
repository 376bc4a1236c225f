package psbt

import (
	"encoding/binary"
	"slices"

	"github.com/karatcoin/karat/chain/taproot"
)

// satisfy returns the stack that satisfies a leaf, bottom first, of what the input knows. It
// understands leaves that ask for several things one after the other, each of which is a
// signature (pk), some of many (multi_a), a lock (older, after) or a preimage: what the
// descriptors pk, multi_a and and_v make. Whether the locks hold is for the verification.
func (in *Input) satisfy(leaf *TapScript) (stack [][]byte, ok bool) {
	s := satisfier{in: in, script: leaf.Script, leafHash: taproot.LeafHash(leaf.LeafVersion, leaf.Script)}
	for !s.failed && s.at < len(s.script) {
		s.term()
	}
	if s.failed || !s.ended {
		return nil, false
	}
	slices.Reverse(s.stack) // the first term takes from the top
	return s.stack, true
}

// satisfier reads a script term by term. stack is upside down.
type satisfier struct {
	in       *Input
	script   []byte
	at       int
	leafHash [32]byte
	stack    [][]byte
	failed   bool
	ended    bool // by a term that leaves its result on the stack
}

// next reads an instruction, of which data is what it pushes.
func (s *satisfier) next() (op byte, data []byte) {
	if s.at >= len(s.script) {
		s.failed = true
		return 0, nil
	}
	op, data, next, ok := taproot.NextOp(s.script, s.at)
	s.failed = s.failed || !ok
	s.at = next
	return op, data
}

// term reads and satisfies one term. Behind one that leaves its result there is no other.
func (s *satisfier) term() {
	if s.ended {
		s.failed = true
		return
	}
	op, data := s.next()
	switch {
	case op == 32:
		s.keys(data)
	case op == taproot.OpSize:
		s.preimage()
	case op <= 5 || op >= taproot.Op1 && op <= taproot.Op16:
		s.lock()
	default:
		s.failed = true
	}
}

// end reads how a term ends whose opcode has a form that verifies.
func (s *satisfier) end(op, plain, verifying byte) {
	switch op {
	case plain:
		// The verifying form of OP_CHECKSIG and OP_EQUAL is an opcode of its own. With
		// locks it is OP_VERIFY.
		s.ended = true
	case verifying:
	default:
		s.failed = true
	}
}

// lock reads what stands behind a number: older or after. Verifying it is OP_VERIFY, or
// OP_DROP as people write it.
func (s *satisfier) lock() {
	op, _ := s.next()
	if op != taproot.OpCheckLockTimeVerify && op != taproot.OpCheckSequenceVerify {
		s.failed = true
		return
	}
	s.ended = s.at >= len(s.script)
	if !s.ended {
		op, _ = s.next()
		s.failed = s.failed || op != taproot.OpVerify && op != taproot.OpDrop
	}
}

// keys reads what stands behind a key: pk, or the rest of multi_a.
func (s *satisfier) keys(first []byte) {
	keys := [][]byte{first}
	op, _ := s.next()
	if op == taproot.OpCheckSig && s.at < len(s.script) {
		keys = append(keys, s.moreKeys()...)
	}
	if len(keys) == 1 {
		s.end(op, taproot.OpCheckSig, taproot.OpCheckSigVerify)
		sig := s.in.tapSignature(first, s.leafHash)
		s.stack, s.failed = append(s.stack, sig), s.failed || sig == nil
		return
	}
	op, data := s.next()
	wanted := number(op, data)
	op, _ = s.next()
	s.end(op, taproot.OpNumEqual, taproot.OpNumEqualVerify)
	s.some(keys, wanted)
}

// moreKeys reads the further keys of multi_a, each with its OP_CHECKSIGADD.
func (s *satisfier) moreKeys() (keys [][]byte) {
	for !s.failed && s.at < len(s.script) && s.script[s.at] == 32 {
		_, key := s.next()
		if op, _ := s.next(); op != taproot.OpCheckSigAdd {
			s.failed = true
		}
		keys = append(keys, key)
	}
	return keys
}

// some gives signatures of as many keys as are wanted, and nothing for the others. Of more
// signatures than are wanted it takes those of the last keys, as Bitcoin Core does.
func (s *satisfier) some(keys [][]byte, wanted int) {
	given := make([][]byte, len(keys))
	for i := len(keys) - 1; i >= 0 && wanted > 0; i-- {
		if given[i] = s.in.tapSignature(keys[i], s.leafHash); given[i] != nil {
			wanted--
		}
	}
	s.stack, s.failed = append(s.stack, given...), s.failed || wanted != 0
}

// preimage reads SIZE 32 EQUALVERIFY HASH h EQUAL.
func (s *satisfier) preimage() {
	size, length := s.next()
	check, _ := s.next()
	function, _ := s.next()
	kind, ok := map[byte]PreimageKind{
		taproot.OpRipeMD160: RIPEMD160, taproot.OpSHA256: SHA256, taproot.OpHash160: Hash160, taproot.OpHash256: Hash256,
	}[function]
	_, hash := s.next()
	op, _ := s.next()
	s.end(op, taproot.OpEqual, taproot.OpEqualVerify)
	at, found := slices.BinarySearchFunc(s.in.Preimages[kind], Preimage{Hash: hash}, comparePreimage)
	if !ok || !found || check != taproot.OpEqualVerify || number(size, length) != 32 {
		s.failed = true
		return
	}
	s.stack = append(s.stack, s.in.Preimages[kind][at].Preimage)
}

// number is the number that an instruction pushes, 0 for none.
func number(op byte, data []byte) int {
	if op >= taproot.Op1 && op <= taproot.Op16 {
		return int(op) - taproot.Op1 + 1
	}
	if len(data) > 3 {
		return 0
	}
	var b [4]byte
	copy(b[:], data)
	return int(binary.LittleEndian.Uint32(b[:]))
}

// tapSignature returns the signature by a key in a leaf, or nil. The list is sorted.
func (in *Input) tapSignature(key []byte, leafHash [32]byte) []byte {
	at, ok := slices.BinarySearchFunc(in.TapScriptSigs, TapScriptSig{Key: [32]byte(key), LeafHash: leafHash}, compareTapScriptSig)
	if !ok {
		return nil
	}
	return in.TapScriptSigs[at].Signature
}
