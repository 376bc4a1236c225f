package oracle

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// spend is one input to verify: the transaction, the outputs that it spends, and
// which input.
type spend struct {
	tx       types.Tx
	prevouts []types.TxOut
	index    int
}

// clone copies everything that a mutation may change.
func (s *spend) clone() *spend {
	c := &spend{tx: s.tx, index: s.index}
	c.tx.Inputs = append([]types.TxIn(nil), s.tx.Inputs...)
	c.tx.Outputs = append([]types.TxOut(nil), s.tx.Outputs...)
	c.prevouts = append([]types.TxOut(nil), s.prevouts...)
	in := &c.tx.Inputs[c.index]
	in.Witness = append([][]byte(nil), in.Witness...)
	return c
}

const btcdConsensus = txscript.ScriptBip16 | txscript.ScriptVerifyDERSignatures | txscript.ScriptStrictMultiSig |
	txscript.ScriptVerifyCheckLockTimeVerify | txscript.ScriptVerifyCheckSequenceVerify |
	txscript.ScriptVerifyWitness | txscript.ScriptVerifyTaproot

// btcdTx converts a transaction field by field, so that the scripts' comparison
// does not rest on the encodings'.
func btcdTx(tx *types.Tx) *wire.MsgTx {
	m := &wire.MsgTx{Version: int32(tx.Version), LockTime: tx.LockTime}
	for i := range tx.Inputs {
		in := &tx.Inputs[i]
		m.TxIn = append(m.TxIn, &wire.TxIn{
			PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash(in.PreviousOutPoint.TxID), Index: in.PreviousOutPoint.Index},
			SignatureScript:  in.ScriptSig,
			Sequence:         in.Sequence,
			Witness:          in.Witness,
		})
	}
	for i := range tx.Outputs {
		m.TxOut = append(m.TxOut, &wire.TxOut{Value: int64(tx.Outputs[i].Value), PkScript: tx.Outputs[i].ScriptPubKey})
	}
	return m
}

// prevoutFetcher gives btcd the outputs that are spent.
type prevoutFetcher map[wire.OutPoint]*wire.TxOut

// FetchPrevOutput implements txscript.PrevOutputFetcher.
func (f prevoutFetcher) FetchPrevOutput(op wire.OutPoint) *wire.TxOut { return f[op] }

// verifyBTCD runs btcd's engine. A panic is an error of its own kind.
func verifyBTCD(s *spend, standard bool) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", errPanic, fault)
		}
	}()
	flags := txscript.ScriptFlags(btcdConsensus)
	if standard {
		flags = txscript.StandardVerifyFlags
	}
	tx, fetcher := btcdTx(&s.tx), prevoutFetcher{}
	for i := range s.prevouts {
		fetcher[tx.TxIn[i].PreviousOutPoint] = &wire.TxOut{Value: int64(s.prevouts[i].Value), PkScript: s.prevouts[i].ScriptPubKey}
	}
	own := &s.prevouts[s.index]
	vm, err := txscript.NewEngine(own.ScriptPubKey, tx, s.index, flags, nil,
		txscript.NewTxSigHashes(tx, fetcher), int64(own.Value), fetcher)
	if err != nil {
		return err
	}
	return vm.Execute()
}

var errPanic = errors.New("panic")

// verifyKarat runs karat's engine at once and with claims, which must agree.
func verifyKarat(c *taproot.Context, batch *secp.Batch, s *spend, standard bool) error {
	flags := taproot.Consensus
	if standard {
		flags = taproot.Standard
	}
	c.Reset(&s.tx, s.prevouts)
	batch.Reset()
	deferred := c.VerifyInput(s.index, flags, batch)
	if deferred != nil {
		// A claim that does not hold may be met before the error, so the
		// verdict, not the error, must be the same at once; that it is an error
		// needs no second run.
		return deferred
	}
	if batch.Len() > 0 && !batch.Verify() {
		err := c.VerifyInput(s.index, flags, nil)
		if err == nil {
			return fmt.Errorf("%w: at once the input is valid, its claims are not", errDeferred)
		}
		return err
	}
	return nil
}

var errDeferred = errors.New("claims and checking at once disagree")

// difference compares the verdicts on a spend. It returns nil if they agree,
// or if the difference is a listed one, whose name it returns.
func (e *engines) difference(s *spend, standard bool) (known string, err error) {
	ours, theirs := verifyKarat(&e.context, &e.batch, s, standard), verifyBTCD(s, standard)
	var verdict *taproot.ScriptError
	if ours != nil && !errors.As(ours, &verdict) {
		return "", fmt.Errorf("karat: %w", ours)
	}
	e.count(ours)
	if (ours == nil) == (theirs == nil) && !errors.Is(theirs, errPanic) {
		return "", nil
	}
	if name := listedScriptDifference(s, standard, verdict, theirs); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("karat: %v; btcd: %v; standard %v; input %d of %x, prevouts %x", ours, theirs, standard,
		s.index, s.tx.AppendTo(nil), encodeOuts(s.prevouts))
}

func encodeOuts(outs []types.TxOut) [][]byte {
	list := make([][]byte, len(outs))
	for i := range outs {
		list[i] = outs[i].AppendTo(nil)
	}
	return list
}

// engines is the reusable state of a run and what it has seen.
type engines struct {
	context  taproot.Context
	batch    secp.Batch
	verdicts map[string]int // by karat's name of the verdict
}

func (e *engines) count(err error) {
	name := "OK"
	var verdict *taproot.ScriptError
	if errors.As(err, &verdict) {
		name = verdict.Name
	}
	if e.verdicts == nil {
		e.verdicts = map[string]int{}
	}
	e.verdicts[name]++
}
