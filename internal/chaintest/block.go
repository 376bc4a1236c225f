package chaintest

import (
	"bytes"
	"maps"
	"math/big"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// HeightScript pushes a height as a coinbase must (BIP34).
func HeightScript(height uint32) []byte {
	if height == 0 {
		return []byte{0}
	}
	if height <= 16 {
		return []byte{0x50 + byte(height)}
	}
	var number []byte // little endian, its highest bit a sign
	for rest := uint64(height); rest > 0; rest >>= 8 {
		number = append(number, byte(rest))
	}
	if number[len(number)-1] >= 0x80 {
		number = append(number, 0)
	}
	return append([]byte{byte(len(number))}, number...)
}

// Coinbase makes a coinbase. Those of equal height differ by the tag, of 1 to 75
// bytes.
func Coinbase(height uint32, tag []byte, outputs ...types.TxOut) types.Tx {
	return types.Tx{
		Version: 2,
		Inputs: []types.TxIn{{
			PreviousOutPoint: types.OutPoint{Index: 0xffffffff}, Sequence: Final,
			ScriptSig: slices.Concat(HeightScript(height), []byte{byte(len(tag))}, tag),
			Witness:   [][]byte{make([]byte, 32)}, // BIP141's reserved value
		}},
		Outputs: outputs,
	}
}

// NewBlock makes a block on a parent, of its difficulty and a minute after it,
// without proof of work.
func NewBlock(parent *types.Header, coinbase types.Tx, txs ...*types.Tx) *types.Block {
	block := &types.Block{
		Header: types.Header{
			Version: 0x20000000, PrevBlock: parent.Hash(), Timestamp: parent.Timestamp + 60, Bits: parent.Bits,
		},
		Txs: []types.Tx{coinbase},
	}
	for _, tx := range txs {
		block.Txs = append(block.Txs, *tx)
	}
	Commit(block)
	return block
}

// commitmentPrefix begins the output that commits to the witnesses (BIP141).
var commitmentPrefix = []byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}

// Commit makes the coinbase commit to the witnesses, in the output that does so
// already or in one more, and sets the merkle root.
func Commit(block *types.Block) {
	wtxids := make([]types.Hash, len(block.Txs)) // the coinbase counts as zero
	for i := range block.Txs[1:] {
		wtxids[i+1] = block.Txs[i+1].WTxID()
	}
	root, _ := types.MerkleRoot(wtxids)
	commitment := types.DoubleSHA256(append(root[:], make([]byte, 32)...))
	script := slices.Concat(commitmentPrefix, commitment[:])
	outputs := &block.Txs[0].Outputs
	if last := len(*outputs) - 1; bytes.HasPrefix((*outputs)[last].ScriptPubKey, commitmentPrefix) {
		(*outputs)[last].ScriptPubKey = script
	} else {
		*outputs = append(*outputs, types.TxOut{ScriptPubKey: script})
	}
	SetMerkleRoot(block)
}

// SetMerkleRoot lets the header say which transactions there are.
func SetMerkleRoot(block *types.Block) {
	txids := make([]types.Hash, len(block.Txs))
	for i := range block.Txs {
		txids[i] = block.Txs[i].TxID()
	}
	block.Header.MerkleRoot, _ = types.MerkleRoot(txids)
}

// HasWork reports whether a header has the proof of work that its bits ask for.
func HasWork(header *types.Header) bool {
	hash := header.Hash()
	slices.Reverse(hash[:])
	target := big.NewInt(int64(header.Bits & 0x7fffff))
	target.Lsh(target, 8*uint(header.Bits>>24-3))
	return new(big.Int).SetBytes(hash[:]).Cmp(target) <= 0
}

// Mine finds the proof of work that the block's bits ask for.
func Mine(block *types.Block) *types.Block {
	for !HasWork(&block.Header) {
		block.Header.Nonce++
	}
	return block
}

// Coins is a set of coins.
type Coins map[types.OutPoint]types.Coin

// After returns the coins that are left when a block of the height has spent some
// and made others.
func (c Coins) After(block *types.Block, height uint32) Coins {
	after := maps.Clone(c)
	for i := range block.Txs {
		for _, in := range block.Txs[i].Inputs {
			delete(after, in.PreviousOutPoint)
		}
		txid := block.Txs[i].TxID()
		for j := range block.Txs[i].Outputs {
			if out := &block.Txs[i].Outputs[j]; isSpendable(out.ScriptPubKey) {
				// What the genesis block allocates does not have to mature.
				coin, _ := types.NewCoin(out, height, i == 0 && height > 0)
				after[types.OutPoint{TxID: txid, Index: uint32(j)}] = coin
			}
		}
	}
	return after
}

// isSpendable reports whether a script is a witness program of version 1 to 16.
func isSpendable(script []byte) bool {
	return len(script) >= 4 && len(script) <= 42 && script[0] >= 0x51 && script[0] <= 0x60 && int(script[1]) == len(script)-2
}
