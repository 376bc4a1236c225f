package psbt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// The errors of Combine, Join and the Add methods.
var (
	ErrOtherTransaction = errors.New("the PSBTs are of different transactions, or of different versions")
	ErrNotModifiable    = errors.New("the PSBT does not say that it may be changed so")
	ErrOtherVersion     = errors.New("the PSBTs have different versions")
	ErrTwice            = errors.New("the input is there already")
)

// Combine returns a PSBT with all fields of several of one transaction. Of a field that
// has another value in each, it has the first one. The PSBTs themselves stay as they were.
// It fails with ErrOtherTransaction. There must be at least one.
//
// Two things are taken over that Bitcoin Core drops (BIP174 asks for all fields): a hash
// type that only a later one has, and control blocks of a script that the first has too.
func Combine(parts []*Packet) (*Packet, error) {
	id, err := parts[0].ID()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOtherTransaction, err)
	}
	p := parts[0].clone()
	for _, other := range parts[1:] {
		if otherID, err := other.ID(); err != nil || otherID != id || other.Version != p.Version {
			return nil, ErrOtherTransaction
		}
		p.merge(other)
	}
	p.sort()
	return p, nil
}

// clone copies the lists of inputs and outputs. What they refer to is never written to.
func (p *Packet) clone() *Packet {
	q := *p
	q.Inputs, q.Outputs = slices.Clone(p.Inputs), slices.Clone(p.Outputs)
	return &q
}

func (p *Packet) merge(q *Packet) {
	for i := range p.Inputs {
		p.Inputs[i].merge(&q.Inputs[i])
	}
	for i := range p.Outputs {
		p.Outputs[i].merge(&q.Outputs[i])
	}
	p.XPubs = unionXPubs(p.XPubs, q.XPubs)
	p.FallbackLockTime = first(p.FallbackLockTime, q.FallbackLockTime)
	if p.Modifiable != nil || q.Modifiable != nil {
		a, b := flags(p.Modifiable), flags(q.Modifiable)
		both := a&b&^HasSighashSingle | (a|b)&HasSighashSingle
		p.Modifiable = &both
	}
	p.Proprietary, p.Unknown = union(p.Proprietary, q.Proprietary, compareField), union(p.Unknown, q.Unknown, compareField)
}

func flags(p *uint8) uint8 {
	if p == nil {
		return 0
	}
	return *p
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func filled(a, b []byte) []byte {
	if len(a) > 0 {
		return a
	}
	return b
}

func (in *Input) merge(q *Input) {
	in.NonWitnessUTXO, in.WitnessUTXO = first(in.NonWitnessUTXO, q.NonWitnessUTXO), first(in.WitnessUTXO, q.WitnessUTXO)
	in.SighashType, in.Sequence = first(in.SighashType, q.SighashType), first(in.Sequence, q.Sequence)
	in.MinTime, in.MinHeight = first(in.MinTime, q.MinTime), first(in.MinHeight, q.MinHeight)
	in.PartialSigs = slices.Concat(in.PartialSigs, q.PartialSigs) // sorted at the end
	in.RedeemScript, in.WitnessScript = filled(in.RedeemScript, q.RedeemScript), filled(in.WitnessScript, q.WitnessScript)
	in.Derivations = union(in.Derivations, q.Derivations, compareDerivation)
	for kind := range in.Preimages {
		in.Preimages[kind] = union(in.Preimages[kind], q.Preimages[kind], comparePreimage)
	}
	in.TapKeySig = filled(in.TapKeySig, q.TapKeySig)
	in.TapScriptSigs = union(in.TapScriptSigs, q.TapScriptSigs, compareTapScriptSig)
	in.TapScripts = unionTapScripts(in.TapScripts, q.TapScripts)
	in.TapDerivations = union(in.TapDerivations, q.TapDerivations, compareTapDerivation)
	in.TapInternalKey, in.TapMerkleRoot = first(in.TapInternalKey, q.TapInternalKey), first(in.TapMerkleRoot, q.TapMerkleRoot)
	in.MuSigParticipants = union(in.MuSigParticipants, q.MuSigParticipants, compareParticipants)
	in.MuSigNonces = union(in.MuSigNonces, q.MuSigNonces, compareNonce)
	in.MuSigPartialSigs = union(in.MuSigPartialSigs, q.MuSigPartialSigs, comparePartial)
	in.FinalScriptSig = filled(in.FinalScriptSig, q.FinalScriptSig)
	if len(in.FinalWitness) == 0 {
		in.FinalWitness = q.FinalWitness
	}
	in.Proprietary, in.Unknown = union(in.Proprietary, q.Proprietary, compareField), union(in.Unknown, q.Unknown, compareField)
}

func (out *Output) merge(q *Output) {
	out.RedeemScript, out.WitnessScript = filled(out.RedeemScript, q.RedeemScript), filled(out.WitnessScript, q.WitnessScript)
	out.Derivations = union(out.Derivations, q.Derivations, compareDerivation)
	out.TapInternalKey = first(out.TapInternalKey, q.TapInternalKey)
	if len(out.TapTree) == 0 {
		out.TapTree = q.TapTree
	}
	out.TapDerivations = union(out.TapDerivations, q.TapDerivations, compareTapDerivation)
	out.MuSigParticipants = union(out.MuSigParticipants, q.MuSigParticipants, compareParticipants)
	out.Proprietary, out.Unknown = union(out.Proprietary, q.Proprietary, compareField), union(out.Unknown, q.Unknown, compareField)
}

// AddInput adds an input at the end. In version 0 its signatures are left out, as they
// cannot be of the new transaction. In version 2 the PSBT must say that inputs may be
// added, and the lock time must not change under signatures. It fails with ErrTwice,
// ErrNotModifiable or ErrLockTimes.
func (p *Packet) AddInput(in Input) error {
	for i := range p.Inputs {
		if p.Inputs[i].PreviousOutPoint == in.PreviousOutPoint {
			return ErrTwice
		}
	}
	if p.Version < 2 {
		p.Inputs = append(p.Inputs, in.unsigned())
		return nil
	}
	if flags(p.Modifiable)&InputsModifiable == 0 {
		return ErrNotModifiable
	}
	before, err := p.LockTime()
	if err != nil {
		return err
	}
	more := p.clone()
	more.Inputs = append(more.Inputs, in)
	after, err := more.LockTime()
	if err != nil {
		return err
	}
	if after != before && slices.ContainsFunc(p.Inputs, func(in Input) bool { return in.HasSignatures() }) {
		return ErrNotModifiable
	}
	p.Inputs = more.Inputs
	return nil
}

// unsigned returns the input without signatures that everything else must not change for.
func (in Input) unsigned() Input {
	in.PartialSigs, in.FinalScriptSig, in.FinalWitness = nil, nil, nil
	return in
}

// AddOutput adds an output at the end. In version 2 the PSBT must say that outputs may be
// added, or it fails with ErrNotModifiable.
func (p *Packet) AddOutput(out Output) error {
	if p.Version >= 2 && flags(p.Modifiable)&OutputsModifiable == 0 {
		return ErrNotModifiable
	}
	p.Outputs = append(p.Outputs, out)
	return nil
}

// JoinError is the input that is in more than one of the PSBTs that Join was given.
type JoinError struct{ OutPoint types.OutPoint }

// Error returns Bitcoin Core's words.
func (e *JoinError) Error() string {
	return fmt.Sprintf("Input %s exists in multiple PSBTs", e.OutPoint)
}

// Join makes one PSBT of version 0 of several: a transaction with the inputs and outputs of
// all, the highest of their versions and the lowest of their lock times. shuffle is given
// the number of inputs, then that of outputs, and brings them into an order that does not
// show which came from whom. It fails with ErrOtherVersion if one is not of version 0, and
// with a *JoinError.
func Join(parts []*Packet, shuffle func(n int, swap func(i, j int))) (*Packet, error) {
	lockTime := uint32(0xffffffff)
	p := &Packet{TxVersion: 1, FallbackLockTime: &lockTime}
	seen := map[types.OutPoint]bool{}
	for _, part := range parts {
		if part.Version != 0 {
			return nil, ErrOtherVersion
		}
		p.TxVersion, lockTime = max(p.TxVersion, part.TxVersion), min(lockTime, valueOr(part.FallbackLockTime, 0))
		for i := range part.Inputs {
			in := &part.Inputs[i]
			if seen[in.PreviousOutPoint] {
				return nil, &JoinError{in.PreviousOutPoint}
			}
			seen[in.PreviousOutPoint] = true
			p.Inputs = append(p.Inputs, in.unsigned())
		}
		p.Outputs = append(p.Outputs, part.Outputs...)
		p.XPubs = unionXPubs(p.XPubs, part.XPubs)
		p.Proprietary, p.Unknown = union(p.Proprietary, part.Proprietary, compareField), union(p.Unknown, part.Unknown, compareField)
	}
	shuffle(len(p.Inputs), func(i, j int) { p.Inputs[i], p.Inputs[j] = p.Inputs[j], p.Inputs[i] })
	shuffle(len(p.Outputs), func(i, j int) { p.Outputs[i], p.Outputs[j] = p.Outputs[j], p.Outputs[i] })
	return p, nil
}
