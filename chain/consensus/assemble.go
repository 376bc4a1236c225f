package consensus

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// CoinbaseHeight returns the bytes with which the script of the coinbase begins in a
// block at the height (BIP34).
func CoinbaseHeight(height uint32) []byte { return appendScriptNumber(nil, int64(height)) }

// CommitmentScript returns the scriptPubKey of the coinbase's output that commits to
// the witnesses of a block (BIP141), whose reserved value is 32 zero bytes. The
// coinbase has the zero hash for its own witness id.
func CommitmentScript(wtxids []types.Hash) []byte {
	root, _ := types.MerkleRoot(wtxids)
	commitment := commitTo(root, make([]byte, types.HashSize))
	return slices.Concat(commitmentPrefix, commitment[:])
}
