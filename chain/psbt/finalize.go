package psbt

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// ErrIncomplete is wrapped by the error of Extract if an input is not final, or not rightly.
var ErrIncomplete = errors.New("the PSBT is not complete")

// spender verifies inputs of a packet. Signatures commit to all outputs that are spent, so
// it has no context while one is unknown.
type spender struct {
	packet *Packet
	tx     *types.Tx
	utxos  []types.TxOut
	known  []bool // of utxos
	ctx    *taproot.Context

	aggregated, matched int                           // see maxAggregated and maxMatched
	proofs              int                           // see maxProofs
	leafSteps           int                           // that reading leaves may still take: they may be anybody's
	hashedKeys          map[int]map[[20]byte][32]byte // of inputs; see KeyOf
}

func newSpender(p *Packet) (*spender, error) {
	p.sort()
	tx, err := p.UnsignedTx()
	if err != nil {
		return nil, err
	}
	s := &spender{packet: p, leafSteps: descriptor.DecodeSteps, tx: tx, utxos: make([]types.TxOut, len(p.Inputs)), known: make([]bool, len(p.Inputs))}
	all := true
	for i := range p.Inputs {
		s.utxos[i], s.known[i] = p.Inputs[i].UTXO()
		all = all && s.known[i]
	}
	if all {
		s.ctx = taproot.NewContext(tx, s.utxos)
	}
	return s, nil
}

// verify says what is wrong with a witness of an input, and leaves it in the transaction.
// Policy counts, as in Bitcoin Core: what nobody relays is not complete.
func (s *spender) verify(i int, scriptSig []byte, witness [][]byte) error {
	if len(scriptSig)+len(witness) == 0 && s.isAnchor(i) {
		return nil // it signs nothing, so it does not matter what the others spend
	}
	if s.ctx == nil {
		return errors.New("an output that is spent is unknown")
	}
	in := &s.tx.Inputs[i]
	in.ScriptSig, in.Witness = scriptSig, witness
	if in.WitnessSize() > maxTxSize {
		return errors.New("the witness is larger than a block")
	}
	return s.ctx.VerifyInput(i, taproot.Standard, nil)
}

// verifyFinal says what is wrong with the final fields of an input.
func (s *spender) verifyFinal(i int) error {
	in := &s.packet.Inputs[i]
	return s.verify(i, in.FinalScriptSig, in.FinalWitness)
}

// isAnchor reports whether an input spends an output that anyone can spend (P2A).
func (s *spender) isAnchor(i int) bool {
	version, program, ok := types.WitnessProgram(s.utxos[i].ScriptPubKey)
	return ok && taproot.IsPayToAnchor(version, program)
}

// outputKey returns the key of the taproot output that an input spends.
func (s *spender) outputKey(i int) (key *[32]byte, ok bool) {
	version, program, ok := types.WitnessProgram(s.utxos[i].ScriptPubKey)
	if !ok || version != 1 || len(program) != 32 {
		return nil, false
	}
	return (*[32]byte)(program), true
}

// Finalize makes the witness of each input that has what it takes, and takes in the output
// that it spends. It reports whether all inputs are final now. A witness is made of the
// key path's signature if there is one, else of the leaf that is the cheapest of those that
// are satisfied without being malleable (BIP379); it is kept only if it is valid.
func (p *Packet) Finalize() bool {
	s, err := newSpender(p)
	if err != nil {
		return false
	}
	complete := true
	for i := range p.Inputs {
		complete = s.finalize(i) && complete
	}
	return complete
}

func (s *spender) finalize(i int) bool {
	in := &s.packet.Inputs[i]
	if s.verifyFinal(i) == nil {
		return true
	}
	s.tx.Inputs[i].ScriptSig, s.tx.Inputs[i].Witness = nil, nil
	witness, ok := s.satisfaction(i)
	if !ok {
		return false
	}
	s.takeUTXO(i)
	if witness == nil || s.verify(i, nil, witness) != nil {
		return false
	}
	in.FinalWitness = witness
	in.PartialSigs, in.Derivations, in.RedeemScript, in.WitnessScript = nil, nil, nil, nil
	return true
}

// takeUTXO puts the output beside the transaction that has it: for taproot it is enough.
func (s *spender) takeUTXO(i int) {
	utxo := s.utxos[i]
	s.packet.Inputs[i].WitnessUTXO = &utxo
}

// satisfaction returns the witness that the input's fields make, nil if they make none. It
// reports false if the input is none that the package can spend, has an end already, or
// has signatures of another hash type than it says.
func (s *spender) satisfaction(i int) (witness [][]byte, ok bool) {
	in := &s.packet.Inputs[i]
	if !s.known[i] || in.IsFinal() || !in.SighashAgrees(valueOr(in.SighashType, taproot.SigHashDefault)) {
		return nil, false
	}
	if _, ok := s.outputKey(i); !ok {
		return nil, false
	}
	s.aggregate(i)
	if len(in.TapKeySig) > 0 {
		return [][]byte{in.TapKeySig}, true
	}
	return s.cheapestLeaf(i), true
}

// cheapestLeaf returns the smallest witness of a leaf that is satisfied.
func (s *spender) cheapestLeaf(input int) [][]byte {
	var best types.TxIn
	in := &s.packet.Inputs[input]
	for i := range in.TapScripts {
		leaf := &in.TapScripts[i]
		if leaf.LeafVersion != taproot.LeafVersionTapscript || len(leaf.ControlBlocks) == 0 {
			continue
		}
		stack, ok := s.satisfy(input, leaf)
		if !ok {
			continue
		}
		candidate := types.TxIn{Witness: append(stack, leaf.Script, leaf.ControlBlocks[0])}
		if best.Witness == nil || candidate.WitnessSize() < best.WitnessSize() {
			best = candidate
		}
	}
	return best.Witness
}

// SighashAgrees reports whether all signatures have a hash type, which 64 bytes have if it
// is the default.
func (in *Input) SighashAgrees(hashType uint32) bool {
	if len(in.TapKeySig) > 0 && !agrees(in.TapKeySig, hashType) {
		return false
	}
	for i := range in.TapScriptSigs {
		if !agrees(in.TapScriptSigs[i].Signature, hashType) {
			return false
		}
	}
	for i := range in.PartialSigs {
		sig := in.PartialSigs[i].Signature
		if hashType != taproot.SigHashDefault && uint32(sig[len(sig)-1]) != hashType {
			return false
		}
	}
	return true
}

// Extract returns the transaction with the final scriptSigs and witnesses, each of which
// is verified. It fails with ErrIncomplete, or with ErrLockTimes.
func (p *Packet) Extract() (*types.Tx, error) {
	s, err := newSpender(p)
	if err != nil {
		return nil, err
	}
	for i := range p.Inputs {
		if err := s.verifyFinal(i); err != nil {
			return nil, fmt.Errorf("%w: input %d: %w", ErrIncomplete, i, err)
		}
	}
	return s.tx, nil
}
