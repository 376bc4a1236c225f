package taproot

import (
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// Claims takes down equations to be checked later, as *secp.Batch does. A method must
// copy what it is given before it returns.
type Claims interface {
	// AddSignature records that sig is a BIP340 signature of msg by pubKey.
	AddSignature(pubKey, msg *[32]byte, sig *[64]byte)
	// AddTweak records that output commits to tweak: the point with the x coordinate
	// internal and an even y, plus tweak times G, has the x coordinate output and a y
	// of the given parity.
	AddTweak(output *[32]byte, parity byte, internal, tweak *[32]byte)
}

// Flags are rules of policy that a script must keep besides those of consensus. Most
// refuse what a later soft fork may give a meaning: a node that is not upgraded would
// otherwise relay what upgraded ones call invalid. They have the names of Bitcoin
// Core's script verification flags.
type Flags uint32

const (
	// DiscourageUpgradableWitnessProgram refuses witness programs that have no meaning
	// yet: version 1 unless it has 32 bytes, versions 2 to 16. It lets pay-to-anchor
	// with an empty witness pass.
	DiscourageUpgradableWitnessProgram Flags = 1 << iota
	// DiscourageUpgradableTaprootVersion refuses leaf versions other than
	// tapscript's.
	DiscourageUpgradableTaprootVersion
	// DiscourageOpSuccess refuses scripts that hold an OP_SUCCESSx.
	DiscourageOpSuccess
	// DiscourageUpgradablePubKey refuses signature operations with keys that
	// are neither empty nor of 32 bytes.
	DiscourageUpgradablePubKey
	// DiscourageUpgradableNops refuses the execution of OP_NOP1 and OP_NOP4 to
	// OP_NOP10.
	DiscourageUpgradableNops
	// MinimalData requires the shortest form of every executed push and of
	// every number.
	MinimalData

	// Consensus is no policy at all: the rules of a block.
	Consensus Flags = 0
	// Standard is all of the policy.
	Standard = DiscourageUpgradableWitnessProgram | DiscourageUpgradableTaprootVersion |
		DiscourageOpSuccess | DiscourageUpgradablePubKey | DiscourageUpgradableNops | MinimalData
)

const (
	// AnnexTag begins an annex, which is the last of at least two elements of a
	// taproot witness (BIP341).
	AnnexTag = 0x50

	// BIP342's budget lets a script check a signature for every 50 bytes of its
	// witness, and one more. So the signatures of a block are bounded by its weight,
	// and nothing has to be counted across scripts.
	budgetOffset   = 50
	budgetPerCheck = 50
)

// VerifyInput verifies that an input may spend its prevout. With nil claims the answer
// is final. Otherwise signatures and the taproot commitment are recorded as claims and
// assumed to hold. The input is valid if VerifyInput returns nil and its claims hold.
// Claims that were recorded before an error do not matter.
//
// A verdict against the input is a *ScriptError. ErrContext and ErrNotSpendable are the
// caller's faults.
func (c *Context) VerifyInput(index int, flags Flags, claims Claims) error {
	if err := c.checkIndex(index); err != nil {
		return err
	}
	version, program, ok := types.WitnessProgram(c.prevouts[index].ScriptPubKey)
	if !ok || version == 0 {
		return ErrNotSpendable
	}
	if verdict := c.verifyProgram(index, version, program, flags, claims); verdict != nil {
		return verdict
	}
	return nil
}

// verifyProgram returns a *ScriptError and not an error, because a nil pointer in an
// interface would not be nil. VerifyInput makes the error.
func (c *Context) verifyProgram(index, version int, program []byte, flags Flags, claims Claims) *ScriptError {
	in := &c.tx.Inputs[index]
	// To older rules the script is nothing but a push, which must leave a true value.
	// Whatever the version, a program of zeros cannot be spent.
	if !isTrue(program) {
		return errEvalFalse
	}
	if len(in.ScriptSig) != 0 {
		return errWitnessMalleated
	}
	if version != 1 || len(program) != 32 {
		isAnchor := IsPayToAnchor(version, program) && len(in.Witness) == 0
		if flags&DiscourageUpgradableWitnessProgram != 0 && !isAnchor {
			return errUpgradableProgram
		}
		return nil
	}
	stack := in.Witness
	if len(stack) == 0 {
		return errWitnessEmpty
	}
	s := &c.spend
	*s = spend{index: index, flags: flags, claims: claims}
	if n := len(stack); n >= 2 && len(stack[n-1]) > 0 && stack[n-1][0] == AnnexTag {
		s.annexHash, s.hasAnnex = c.hashAnnex(stack[n-1]), true
		stack = stack[:n-1]
	}
	key := (*[32]byte)(program)
	if len(stack) == 1 {
		return c.checkSignature(s, nil, key, stack[0])
	}
	return c.verifyScriptPath(s, key, stack)
}

// spend is what the parts of one input's verification share. It lies in the Context,
// so that it is not allocated for each input.
type spend struct {
	index     int
	flags     Flags
	claims    Claims // nil to check at once
	hasAnnex  bool
	annexHash [32]byte
}

// verifyScriptPath checks that the output commits to the script that the witness shows,
// and runs it if its leaf version is tapscript's.
func (c *Context) verifyScriptPath(s *spend, output *[32]byte, stack [][]byte) *ScriptError {
	n := len(stack)
	script, control := stack[n-2], stack[n-1]
	if !isControlSize(len(control)) {
		return errControlSize
	}
	version := control[0] & LeafVersionMask
	leaf, buf := leafHash(c.buf, version, script)
	c.buf = buf
	root := rootOf(control, leaf)
	internal, parity := (*[32]byte)(control[1:]), control[0]&1
	c.tweak = TweakHash(*internal, root[:])
	if s.claims != nil {
		s.claims.AddTweak(output, parity, internal, &c.tweak)
	} else if !secp.VerifyTweak(output, parity, internal, &c.tweak) {
		return errProgramMismatch
	}
	if version != LeafVersionTapscript {
		if s.flags&DiscourageUpgradableTaprootVersion != 0 {
			return errUpgradableLeaf
		}
		return nil
	}
	budget := c.tx.Inputs[s.index].WitnessSize() + budgetOffset
	return c.vm.run(c, s, script, leaf, stack[:n-2], budget)
}

// checkSignature checks a signature, or records it as a claim. The path is nil for the
// key path. In a script an empty signature is no signature and does not come here; on
// the key path it is one of a wrong size.
func (c *Context) checkSignature(s *spend, path *ScriptPath, key *[32]byte, signature []byte) *ScriptError {
	hashType := byte(SigHashDefault)
	switch len(signature) {
	case 64:
	case 65:
		// One signature would have two forms if the default could be spelled out.
		if hashType = signature[64]; hashType == SigHashDefault {
			return errSigHashType
		}
	default:
		return errSigSize
	}
	var annexHash *[32]byte
	if s.hasAnnex {
		annexHash = &s.annexHash
	}
	if !c.hashForSignature(s.index, hashType, annexHash, path) {
		return errSigHashType
	}
	sig := (*[64]byte)(signature)
	if s.claims != nil {
		s.claims.AddSignature(key, &c.message, sig)
		return nil
	}
	if !secp.Verify(key, c.message[:], sig) {
		return errSig
	}
	return nil
}
