package consensus

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// CoinbaseHeight returns the bytes with which the script of the coinbase begins in a
// block at the height (BIP34).
func CoinbaseHeight(height uint32) []byte { return appendScriptNumber(nil, int64(height)) }

// Commit finishes a block that is being made. It gives the coinbase an output that
// commits to the witnesses of the others, and a reserved value of zeros (BIP141). It
// then gives the header the merkle root. The coinbase must not have such an output
// yet.
func Commit(block *types.Block) {
	wtxids := make([]types.Hash, len(block.Txs))
	for i := 1; i < len(wtxids); i++ {
		wtxids[i] = block.Txs[i].WTxID()
	}
	root, _ := types.MerkleRoot(wtxids)
	reserved := make([]byte, types.HashSize)
	commitment := commitTo(root, reserved)
	coinbase := &block.Txs[0]
	coinbase.Inputs[0].Witness = [][]byte{reserved}
	coinbase.Outputs = append(coinbase.Outputs, types.TxOut{
		ScriptPubKey: slices.Concat(commitmentPrefix, commitment[:]),
	})
	txids := make([]types.Hash, len(block.Txs))
	for i := range txids {
		txids[i] = block.Txs[i].TxID()
	}
	block.Header.MerkleRoot, _ = types.MerkleRoot(txids)
}
