package oracle

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/chain/types"
)

// randomTx is a transaction of any shape, valid or not.
func randomTx(r *rand.Rand) *types.Tx {
	tx := &types.Tx{Version: r.Uint32(), LockTime: r.Uint32()}
	hasWitness := chance(r, 2)
	inputs := 1 + r.IntN(3)
	if chance(r, 100) {
		inputs = 0
	}
	for range inputs {
		in := types.TxIn{ScriptSig: randomBytes(r, pick(r, 0, 0, 3, 30)), Sequence: r.Uint32()}
		in.PreviousOutPoint = types.OutPoint{TxID: types.Hash(randomBytes(r, 32)), Index: r.Uint32()}
		if hasWitness {
			for range r.IntN(4) {
				in.Witness = append(in.Witness, randomBytes(r, pick(r, 0, 1, 33, 64, 252, 253, 300)))
			}
		}
		tx.Inputs = append(tx.Inputs, in)
	}
	for range r.IntN(4) {
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(r.Uint64()), ScriptPubKey: randomBytes(r, pick(r, 0, 22, 34, 42, 253))})
	}
	return tx
}

func randomBlock(r *rand.Rand) []byte {
	b := types.Block{Header: types.Header{Version: int32(r.Uint32()), PrevBlock: types.Hash(randomBytes(r, 32)),
		MerkleRoot: types.Hash(randomBytes(r, 32)), Timestamp: r.Uint32(), Bits: r.Uint32(), Nonce: r.Uint32()}}
	for range r.IntN(4) {
		b.Txs = append(b.Txs, *randomTx(r))
	}
	return b.AppendTo(nil)
}

// oddTx encodes what no encoder should: BIP144's form without any witness, with
// other flags, or without inputs.
func oddTx(r *rand.Rand) []byte {
	tx := randomTx(r)
	for i := range tx.Inputs {
		tx.Inputs[i].Witness = nil
	}
	if chance(r, 4) {
		tx.Inputs = nil
	}
	stripped := tx.AppendStripped(nil)
	b := append([]byte(nil), stripped[:4]...)
	b = append(b, 0, pick(r, 1, 1, 1, 0, 2, byte(r.Uint32())))
	b = append(b, stripped[4:len(stripped)-4]...)
	b = append(b, make([]byte, len(tx.Inputs))...) // empty witnesses
	return append(b, stripped[len(stripped)-4:]...)
}

// decodeBTCD decodes with btcd, all of b. A panic is an error.
func decodeBTCD(b []byte, decode func(*bytes.Reader) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", errPanic, fault)
		}
	}()
	reader := bytes.NewReader(b)
	if err := decode(reader); err != nil {
		return err
	}
	if reader.Len() > 0 {
		return fmt.Errorf("%d bytes left over", reader.Len())
	}
	return nil
}

// txDifference decodes a transaction with both and compares verdict, encoding
// and ids.
func txDifference(b []byte) (known string, accepted bool, err error) {
	ours, ourErr := types.DecodeTx(b)
	var theirs wire.MsgTx
	theirErr := decodeBTCD(b, func(r *bytes.Reader) error { return theirs.Deserialize(r) })
	if (ourErr == nil) != (theirErr == nil) {
		if name := listedEncodingDifference(decodedTx(ours), ourErr, theirErr); name != "" {
			return name, ourErr == nil, nil
		}
		return "", false, fmt.Errorf("transaction %x: karat %v; btcd %v", b, ourErr, theirErr)
	}
	if ourErr != nil {
		return "", false, nil
	}
	if err := sameTx(ours, &theirs); err != nil {
		return "", true, fmt.Errorf("transaction %x: %w", b, err)
	}
	if again := ours.AppendTo(nil); !bytes.Equal(again, b) {
		return "", true, fmt.Errorf("transaction %x: encodes again as %x", b, again)
	}
	return "", true, nil
}

func sameTx(ours *types.Tx, theirs *wire.MsgTx) error {
	var encoded bytes.Buffer
	if err := theirs.Serialize(&encoded); err != nil {
		return err
	}
	switch {
	case !bytes.Equal(encoded.Bytes(), ours.AppendTo(nil)):
		return fmt.Errorf("btcd encodes %x, karat %x", encoded.Bytes(), ours.AppendTo(nil))
	case types.Hash(theirs.TxHash()) != ours.TxID():
		return fmt.Errorf("btcd's txid is %v, karat's %v", theirs.TxHash(), ours.TxID())
	case types.Hash(theirs.WitnessHash()) != ours.WTxID():
		return fmt.Errorf("btcd's wtxid is %v, karat's %v", theirs.WitnessHash(), ours.WTxID())
	case theirs.SerializeSize() != ours.Size(), theirs.SerializeSizeStripped() != ours.StrippedSize():
		return fmt.Errorf("btcd's sizes are %d and %d, karat's %d and %d", theirs.SerializeSize(), theirs.SerializeSizeStripped(), ours.Size(), ours.StrippedSize())
	}
	return nil
}

// blockDifference is txDifference for blocks.
func blockDifference(b []byte) (known string, accepted bool, err error) {
	ours, ourErr := types.DecodeBlock(b)
	var theirs wire.MsgBlock
	theirErr := decodeBTCD(b, func(r *bytes.Reader) error { return theirs.Deserialize(r) })
	if (ourErr == nil) != (theirErr == nil) {
		if name := listedEncodingDifference(decodedTxs(ours), ourErr, theirErr); name != "" {
			return name, ourErr == nil, nil
		}
		return "", false, fmt.Errorf("block %x: karat %v; btcd %v", b, ourErr, theirErr)
	}
	if ourErr != nil {
		return "", false, nil
	}
	if types.Hash(theirs.BlockHash()) != ours.Hash() || len(theirs.Transactions) != len(ours.Txs) {
		return "", true, fmt.Errorf("block %x: btcd's hash is %v, karat's %v", b, theirs.BlockHash(), ours.Hash())
	}
	for i := range ours.Txs {
		if err := sameTx(&ours.Txs[i], theirs.Transactions[i]); err != nil {
			return "", true, fmt.Errorf("block %x: transaction %d: %w", b, i, err)
		}
	}
	if again := ours.AppendTo(nil); !bytes.Equal(again, b) {
		return "", true, fmt.Errorf("block %x: encodes again as %x", b, again)
	}
	return "", true, nil
}

func decodedTx(tx *types.Tx) []types.Tx {
	if tx == nil {
		return nil
	}
	return []types.Tx{*tx}
}

func decodedTxs(b *types.Block) []types.Tx {
	if b == nil {
		return nil
	}
	return b.Txs
}
