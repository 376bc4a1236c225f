package psbt

import (
	"bytes"
	"crypto/sha256"
	"slices"

	//lint:ignore SA1019 Bitcoin hashes with it, however old it is
	"golang.org/x/crypto/ripemd160"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Spending is what somebody knows of a taproot output that is his.
type Spending struct {
	InternalKey [32]byte
	MerkleRoot  *[32]byte // nil if there is no tree
	Scripts     []TapScript
	Tree        []TapTreeLeaf // depth first
	Derivations []TapDerivation
	MuSig       []MuSigParticipants
}

// SpendingOf is what a descriptor knows of an output. The keys that make an aggregate have
// the leaves of no key: they sign nothing by themselves (BIP373).
func SpendingOf(out *descriptor.Output) *Spending {
	k := &Spending{InternalKey: out.Internal}
	if len(out.MerkleRoot) > 0 {
		root := [32]byte(out.MerkleRoot)
		k.MerkleRoot = &root
	}
	for _, leaf := range out.Leaves {
		k.Scripts = append(k.Scripts, TapScript{Script: leaf.Script, LeafVersion: taproot.LeafVersionTapscript, ControlBlocks: [][]byte{leaf.ControlBlock}})
		k.Tree = append(k.Tree, TapTreeLeaf{Depth: byte(leaf.Depth), LeafVersion: taproot.LeafVersionTapscript, Script: leaf.Script})
	}
	slices.Reverse(k.Tree) // from right to left, as Core writes it
	add := func(key *descriptor.Derived) {
		k.Derivations = append(k.Derivations, TapDerivation{
			Key: [32]byte(key.Public[1:]), LeafHashes: key.Leaves, Origin: KeyOrigin{Fingerprint: key.Fingerprint, Path: key.Path},
		})
	}
	for i := range out.Keys {
		add(&out.Keys[i])
	}
	for _, a := range out.Aggregates {
		m := MuSigParticipants{Aggregate: a.Public}
		for i := range a.Members {
			m.Participants = append(m.Participants, a.Members[i].Public)
			add(&a.Members[i])
		}
		k.MuSig = append(k.MuSig, m)
	}
	return k
}

// Learn adds what is known of the output that the input spends.
func (in *Input) Learn(k *Spending) {
	if k.InternalKey != [32]byte{} {
		in.TapInternalKey = &k.InternalKey
	}
	in.TapMerkleRoot = first(k.MerkleRoot, in.TapMerkleRoot)
	in.TapScripts = sortedTapScripts(slices.Concat(in.TapScripts, k.Scripts))
	in.TapDerivations = union(in.TapDerivations, k.Derivations, compareTapDerivation)
	in.MuSigParticipants = union(in.MuSigParticipants, k.MuSig, compareParticipants)
}

// Learn adds what is known of the output.
func (out *Output) Learn(k *Spending) {
	if k.InternalKey != [32]byte{} {
		out.TapInternalKey = &k.InternalKey
	}
	if len(k.Tree) > 0 {
		out.TapTree = k.Tree
	}
	out.TapDerivations = union(out.TapDerivations, k.Derivations, compareTapDerivation)
	out.MuSigParticipants = union(out.MuSigParticipants, k.MuSig, compareParticipants)
}

// TakeUTXOs puts the output that is spent beside the transaction that has it, in all inputs
// that spend taproot outputs and are not final, and makes signatures of MuSig2's parts
// where all are there. It fails with ErrLockTimes.
func (p *Packet) TakeUTXOs() error {
	s, err := newSpender(p)
	if err != nil {
		return err
	}
	for i := range p.Inputs {
		if _, ok := s.outputKey(i); ok && !p.Inputs[i].IsFinal() {
			s.takeUTXO(i)
			s.aggregate(i)
		}
	}
	return nil
}

// DropTransactions drops the transactions whose outputs are spent, if all inputs have the
// output itself, of witness version 1 or later, and none is signed for with ANYONECANPAY:
// signatures commit to what is spent (BIP341), so nobody can lie about it.
func (p *Packet) DropTransactions() {
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if in.WitnessUTXO == nil || valueOr(in.SighashType, 0)&taproot.SigHashAnyoneCanPay != 0 {
			return
		}
		if version, _, ok := types.WitnessProgram(in.WitnessUTXO.ScriptPubKey); !ok || version == 0 {
			return
		}
	}
	for i := range p.Inputs {
		p.Inputs[i].NonWitnessUTXO = nil
	}
}

// AddPreimage adds a preimage of 32 bytes if a script of the input asks for it, by any hash
// function. It reports whether one does.
func (in *Input) AddPreimage(preimage []byte) (wanted bool) {
	once := sha256.Sum256(preimage)
	twice := sha256.Sum256(once[:])
	h := ripemd160.New()
	h.Write(preimage)
	id := KeyID(preimage) // which is HASH160
	for kind, hash := range map[PreimageKind][]byte{SHA256: once[:], Hash256: twice[:], RIPEMD160: h.Sum(nil), Hash160: id[:]} {
		for i := range in.TapScripts {
			if bytes.Contains(in.TapScripts[i].Script, append([]byte{byte(len(hash))}, hash...)) {
				in.Preimages[kind] = union(in.Preimages[kind], []Preimage{{Hash: hash, Preimage: preimage}}, comparePreimage)
				wanted = true
			}
		}
	}
	return wanted
}
