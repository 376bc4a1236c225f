package psbt

import (
	"errors"

	"github.com/karatcoin/karat/chain/types"
)

// The flags of Packet.Modifiable (BIP370).
const (
	InputsModifiable  = 1 << 0 // inputs may be added and removed
	OutputsModifiable = 1 << 1 // outputs may be added and removed
	HasSighashSingle  = 1 << 2 // a signature ties an input to the output of its index
)

// Packet is a PSBT of either version. The fields that only one version can write are kept
// in the same place as the other's: those of version 0 come from its unsigned transaction.
type Packet struct {
	Version   uint32 // 0 (BIP174) or 2 (BIP370)
	TxVersion uint32
	// FallbackLockTime is the lock time if no input requires one. In version 0 it is the
	// transaction's. Nil is 0.
	FallbackLockTime *uint32
	Modifiable       *uint8 // flags; nil if nobody has said (version 2 only)
	XPubs            []XPub
	Inputs           []Input
	Outputs          []Output
	Proprietary      []Field
	Unknown          []Field
}

// Input is what is known of one input.
type Input struct {
	PreviousOutPoint types.OutPoint
	Sequence         *uint32 // nil is final (version 2 only)
	// MinTime and MinHeight are the lock times that the input requires, in seconds since
	// 1970 and in blocks (version 2 only).
	MinTime, MinHeight *uint32

	// NonWitnessUTXO is the transaction that is spent, which is written without its
	// witnesses, and WitnessUTXO the output alone.
	NonWitnessUTXO *types.Tx
	WitnessUTXO    *types.TxOut
	SighashType    *uint32

	PartialSigs   []PartialSig
	RedeemScript  []byte
	WitnessScript []byte
	Derivations   []Derivation
	Preimages     [preimageKinds][]Preimage // by PreimageKind

	TapKeySig      []byte // 64 bytes, or 65 with a hash type
	TapScriptSigs  []TapScriptSig
	TapScripts     []TapScript
	TapDerivations []TapDerivation
	TapInternalKey *[32]byte
	TapMerkleRoot  *[32]byte

	MuSigParticipants []MuSigParticipants
	MuSigNonces       []MuSigNonce
	MuSigPartialSigs  []MuSigPartialSig

	// FinalScriptSig and FinalWitness end it: with either, nothing that only helps to
	// sign is written.
	FinalScriptSig []byte
	FinalWitness   [][]byte

	Proprietary []Field
	Unknown     []Field
}

// Output is what is known of one output.
type Output struct {
	types.TxOut
	RedeemScript      []byte
	WitnessScript     []byte
	Derivations       []Derivation
	TapInternalKey    *[32]byte
	TapTree           []TapTreeLeaf // depth first
	TapDerivations    []TapDerivation
	MuSigParticipants []MuSigParticipants
	Proprietary       []Field
	Unknown           []Field
}

// KeyOrigin says how a key is derived from a master key (BIP32).
type KeyOrigin struct {
	Fingerprint [4]byte // of the master key
	Path        []uint32
}

// XPub is an extended public key in its encoding of 78 bytes (BIP32), and its origin.
type XPub struct {
	Key    [78]byte
	Origin KeyOrigin
}

// PartialSig is an ECDSA signature, by its public key of 33 or 65 bytes.
type PartialSig struct{ PubKey, Signature []byte }

// Derivation is the origin of a public key of 33 or 65 bytes.
type Derivation struct {
	PubKey []byte
	Origin KeyOrigin
}

// PreimageKind is the hash function of a preimage.
type PreimageKind int

// The kinds of preimages, in the order in which they are written.
const (
	RIPEMD160 PreimageKind = iota
	SHA256
	Hash160
	Hash256

	preimageKinds
)

// Preimage is a preimage by its hash.
type Preimage struct{ Hash, Preimage []byte }

// TapScriptSig is a signature of 64 or 65 bytes by a key in the leaf with a hash.
type TapScriptSig struct {
	Key, LeafHash [32]byte
	Signature     []byte
}

// TapScript is a leaf and the control blocks by which it can be spent, shortest first.
type TapScript struct {
	Script        []byte
	LeafVersion   byte
	ControlBlocks [][]byte
}

// TapDerivation is the origin of an x-only key, and the leaves in which it is.
type TapDerivation struct {
	Key        [32]byte
	LeafHashes [][32]byte // ascending
	Origin     KeyOrigin
}

// TapTreeLeaf is a leaf of an output's tree.
type TapTreeLeaf struct {
	Depth, LeafVersion byte
	Script             []byte
}

// MuSigParticipants are the keys of which an aggregate key is made, in its order.
type MuSigParticipants struct {
	Aggregate    [33]byte
	Participants [][33]byte
}

// MuSigID names a participant's part in one aggregate signature. A LeafHash of zeros
// stands for the key path.
type MuSigID struct {
	Participant, Aggregate [33]byte
	LeafHash               [32]byte
}

// MuSigNonce is a participant's public nonce of 66 bytes.
type MuSigNonce struct {
	MuSigID
	Nonce [66]byte
}

// MuSigPartialSig is a participant's partial signature.
type MuSigPartialSig struct {
	MuSigID
	Signature [32]byte
}

// Field is a field that the package only carries: its key with the type before it, and
// its value.
type Field struct{ Key, Value []byte }

// Split returns the parts of a proprietary field's key (BIP174). It reports false if the
// key is none of a proprietary field.
func (f Field) Split() (identifier []byte, subtype uint64, keyData []byte, ok bool) {
	r := reader{data: f.Key}
	if r.compactSize() != typeProprietary {
		return nil, 0, nil, false
	}
	identifier, subtype = r.varBytes(), r.compactSize()
	return identifier, subtype, r.data[r.off:], r.err == nil
}

// ErrLockTimes says that the inputs require lock times of which no one satisfies all.
var ErrLockTimes = errors.New("the inputs require lock times that exclude each other")

// New makes a PSBT of a transaction, whose witnesses and scriptSigs are left out. The
// version is 0 or 2.
func New(tx *types.Tx, version uint32) *Packet {
	lockTime := tx.LockTime
	p := &Packet{
		Version: version, TxVersion: tx.Version, FallbackLockTime: &lockTime,
		Inputs: make([]Input, len(tx.Inputs)), Outputs: make([]Output, len(tx.Outputs)),
	}
	for i := range tx.Inputs {
		sequence := tx.Inputs[i].Sequence
		p.Inputs[i].PreviousOutPoint, p.Inputs[i].Sequence = tx.Inputs[i].PreviousOutPoint, &sequence
	}
	for i := range tx.Outputs {
		p.Outputs[i].TxOut = tx.Outputs[i]
	}
	return p
}

// UnsignedTx returns the transaction without scriptSigs and witnesses. It fails with
// ErrLockTimes.
func (p *Packet) UnsignedTx() (*types.Tx, error) {
	const final = 0xffffffff
	lockTime, err := p.LockTime()
	if err != nil {
		return nil, err
	}
	tx := &types.Tx{Version: p.TxVersion, LockTime: lockTime, Inputs: make([]types.TxIn, len(p.Inputs)), Outputs: make([]types.TxOut, len(p.Outputs))}
	for i := range p.Inputs {
		tx.Inputs[i] = types.TxIn{PreviousOutPoint: p.Inputs[i].PreviousOutPoint, Sequence: valueOr(p.Inputs[i].Sequence, final)}
	}
	for i := range p.Outputs {
		tx.Outputs[i] = p.Outputs[i].TxOut
	}
	return tx, nil
}

// LockTime returns the transaction's lock time (BIP370): the greatest that an input
// requires, in blocks if all inputs that require any can do with blocks. It fails with
// ErrLockTimes.
func (p *Packet) LockTime() (uint32, error) {
	var byTime, byHeight uint32
	timeHolds, heightHolds := true, true
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if in.MinTime == nil && in.MinHeight == nil {
			continue
		}
		timeHolds, heightHolds = timeHolds && in.MinTime != nil, heightHolds && in.MinHeight != nil
		byTime, byHeight = max(byTime, valueOr(in.MinTime, 0)), max(byHeight, valueOr(in.MinHeight, 0))
	}
	switch {
	case !timeHolds && !heightHolds:
		return 0, ErrLockTimes
	case heightHolds && byHeight > 0:
		return byHeight, nil
	case timeHolds && byTime > 0:
		return byTime, nil
	}
	return valueOr(p.FallbackLockTime, 0), nil
}

// ID returns what two PSBTs of one transaction have in common: its txid, in version 2 with
// sequences of 0, since an updater may change them (BIP370). It fails with ErrLockTimes.
func (p *Packet) ID() (types.Hash, error) {
	tx, err := p.UnsignedTx()
	if err != nil {
		return types.Hash{}, err
	}
	for i := range tx.Inputs {
		if p.Version >= 2 {
			tx.Inputs[i].Sequence = 0
		}
	}
	return tx.TxID(), nil
}

// UTXO returns the output that the input spends, if the input knows it. The whole
// transaction, if it is there, has a say before the output alone, since its hash proves it.
func (in *Input) UTXO() (types.TxOut, bool) {
	if tx := in.NonWitnessUTXO; tx != nil {
		at := in.PreviousOutPoint
		if uint64(at.Index) >= uint64(len(tx.Outputs)) || tx.TxID() != at.TxID {
			return types.TxOut{}, false
		}
		return tx.Outputs[at.Index], true
	}
	if in.WitnessUTXO != nil {
		return *in.WitnessUTXO, true
	}
	return types.TxOut{}, false
}

// IsFinal reports whether the input has what the extractor takes, right or wrong.
func (in *Input) IsFinal() bool { return len(in.FinalScriptSig) > 0 || len(in.FinalWitness) > 0 }

// HasSignatures reports whether anybody has signed the input.
func (in *Input) HasSignatures() bool {
	return in.IsFinal() || len(in.PartialSigs) > 0 || len(in.TapKeySig) > 0 || len(in.TapScriptSigs) > 0 || len(in.MuSigPartialSigs) > 0
}

func valueOr(p *uint32, otherwise uint32) uint32 {
	if p == nil {
		return otherwise
	}
	return *p
}
