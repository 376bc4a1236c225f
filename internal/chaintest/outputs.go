// Package chaintest makes transactions, blocks and trees of blocks for tests.
//
// It takes nothing from the rules: what a block must look like is written here a
// second time, from the BIPs and for Bitcoin's regtest network, so that a rule that
// changes by mistake fails a test. It therefore stands below chain/consensus, whose
// own tests use it as well.
//
// A test names its blocks, draws them, and spoils at most one thing:
//
//	// genesis - a1 - a2
//	//         \ b1 - greedy
//	tree := chaintest.NewTree(genesis)
//	a := tree.Blocks("a", tree.Genesis, 2)
//	b := tree.Blocks("b", tree.Genesis, 1)
//	greedy := tree.Spoiled("greedy", b[0], consensus.ReasonCoinbaseAmount, chaintest.Greedy)
//
// Every block knows the coins after it, by a naive replay, to compare with. What a
// test cannot mean, such as a payment from an output that nobody made, panics.
package chaintest

import (
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Final is the sequence number of an input that no lock concerns.
const Final = 0xffffffff

// Anchor is pay-to-anchor: anyone can spend it, with an empty witness, and policy
// lets it pass.
var Anchor = []byte{0x51, 2, 0x4e, 0x73}

// Anyone is a witness program of a version without rules, another for each n:
// anyone can spend it, with an empty witness. Policy does not let it be spent.
func Anyone(n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x52, 4}, uint32(n)|1<<31)
}

// Key is a key that everybody knows.
func Key() *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes([]byte("a key that everybody knows......"))
	return key
}

// KeyScript pays to Key, by the key path.
func KeyScript() []byte {
	return append([]byte{0x51, 32}, schnorr.SerializePubKey(Key().PubKey())...)
}

// Output names an output of a transaction.
func Output(tx *types.Tx, index uint32) types.OutPoint {
	return types.OutPoint{TxID: tx.TxID(), Index: index}
}

// Outputs are all outputs that a test has made, in blocks or not, spent or not.
// They never become fewer.
type Outputs map[types.OutPoint]types.TxOut

// Note adds the outputs of a transaction. Whoever changes what Spend or Pay made
// notes it again before its outputs are spent.
func (o Outputs) Note(tx *types.Tx) {
	txid := tx.TxID()
	for i, out := range tx.Outputs {
		o[types.OutPoint{TxID: txid, Index: uint32(i)}] = out
	}
}

// Spend moves outputs to one of the given script, less a fee, and signs for them.
func (o Outputs) Spend(fee types.Amount, script []byte, from ...types.OutPoint) *types.Tx {
	tx := &types.Tx{Version: 2, Outputs: []types.TxOut{{Value: -fee, ScriptPubKey: script}}}
	for _, outPoint := range from {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: Final})
	}
	for _, out := range o.spent(tx) {
		tx.Outputs[0].Value += out.Value
	}
	return o.Sign(tx)
}

// Pay divides outputs among n anchors, less a fee. An output of data makes each
// payment another. It does not sign.
func (o Outputs) Pay(fee types.Amount, n int, from ...types.OutPoint) *types.Tx {
	tx := &types.Tx{Version: 2}
	total := -fee
	for _, outPoint := range from {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: Final})
	}
	for _, out := range o.spent(tx) {
		total += out.Value
	}
	each := total / types.Amount(n)
	for range n {
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: each, ScriptPubKey: Anchor})
	}
	tx.Outputs[0].Value += total - each*types.Amount(n)
	unique := binary.BigEndian.AppendUint32([]byte{0x6a, 4}, uint32(len(o)))
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: unique})
	o.Note(tx)
	return tx
}

// Sign signs the inputs that spend KeyScript, and notes the outputs.
func (o Outputs) Sign(tx *types.Tx) *types.Tx {
	spent := o.spent(tx)
	for i := range tx.Inputs {
		if string(spent[i].ScriptPubKey) != string(KeyScript()) {
			continue
		}
		message, err := taproot.NewContext(tx, spent).SignatureHash(i, taproot.SigHashDefault, nil, nil)
		if err != nil {
			panic(err) // this type of hash is defined for every input
		}
		signature, err := schnorr.Sign(Key(), message[:])
		if err != nil {
			panic(err) // the key is a constant
		}
		tx.Inputs[i].Witness = [][]byte{signature.Serialize()}
	}
	o.Note(tx)
	return tx
}

// spent returns what a transaction spends.
func (o Outputs) spent(tx *types.Tx) (spent []types.TxOut) {
	for i := range tx.Inputs {
		out, made := o[tx.Inputs[i].PreviousOutPoint]
		if !made {
			panic(fmt.Sprintf("the test spends %s, which nobody made", tx.Inputs[i].PreviousOutPoint))
		}
		spent = append(spent, out)
	}
	return spent
}
