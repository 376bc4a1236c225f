// Package template holds what a miner works on: a block that lacks its coinbase and
// its proof of work.
//
// One template serves many miners. It has what is dear to find out, which is the same
// for all of them: the transactions and the hashes that lead from the coinbase to the
// merkle root. What tells the miners apart is the coinbase, which each makes with a
// script and an extra nonce of its own. Then a few hashes give the header that it
// searches:
//
//	coinbase := t.Coinbase(scriptPubKey, data)
//	header := t.Header
//	header.MerkleRoot = t.Root(coinbase.TxID())
//	… // find a nonce
//	block := t.Block(header, coinbase)
//
// A template is a value of the pure layer: the miner makes it, and the search, the
// Stratum server and RPC clients are handed it as it is.
package template

import (
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Version is the version of the headers: no version bit is in use (BIP9).
const Version = 0x20000000

// MaxScriptSig is how many bytes the script of a coinbase may have. It begins with
// the height, which takes at most six.
const MaxScriptSig = 100

// Template is a block that lacks its coinbase and its proof of work. It is never
// changed once it is made, and so may be read by many.
type Template struct {
	Height uint32
	// Header has Version, PrevBlock, Timestamp and Bits. The time is that at which the
	// template was made, so whoever uses it later sets a new one: see HeaderAt.
	Header        types.Header
	MinTime       uint32           // the least timestamp: one second above the median time past
	Entries       []*pending.Entry // the transactions behind the coinbase, in order
	Fees          types.Amount     // of Entries
	CoinbaseValue types.Amount     // subsidy and fees: what the coinbase may pay
	Commitment    []byte           // scriptPubKey that commits to the witnesses, for a reserved value of 32 zero bytes (BIP141)
	Branch        []types.Hash     // the merkle branch of the coinbase, lowest first
	// Weight is that of the block in weight units, with all the room that was reserved for
	// the header and the coinbase.
	Weight      int
	PoolChanges uint64 // the pool's sequence when the transactions were chosen
	PoolBehind  bool   // the pool was of another tip, so that the block is empty
}

// New returns a template of a block on parent with the transactions, which are valid
// there in this order. reserved is the weight that is set aside for the header and the
// coinbase.
func New(p *consensus.Params, parent *consensus.State, entries []*pending.Entry, reserved int, now time.Time) *Template {
	t := &Template{
		Height: parent.Index.Height + 1,
		Header: types.Header{Version: Version, PrevBlock: parent.Index.Hash, Bits: consensus.NextBits(p, parent)},
		// The rules want a time above the median, whatever the clock says.
		MinTime: parent.MedianTimePast() + 1,
		Entries: entries, Weight: reserved,
	}
	t.Header = t.HeaderAt(now)
	txids, wtxids := make([]types.Hash, len(entries)+1), make([]types.Hash, len(entries)+1)
	for i, e := range entries {
		txids[i+1], wtxids[i+1] = e.TxID, e.WTxID
		t.Fees += e.Fee
		t.Weight += e.Weight
	}
	t.CoinbaseValue = consensus.Subsidy(p, t.Height) + t.Fees
	// The two trees are nearly all of the work.
	var wg sync.WaitGroup
	wg.Go(func() { t.Commitment = consensus.CommitmentScript(wtxids) })
	t.Branch = branchOf(txids)
	wg.Wait()
	return t
}

// HeaderAt returns the header with the time, or with the least time that the rules
// allow if that is later.
func (t *Template) HeaderAt(now time.Time) types.Header {
	header := t.Header
	header.Timestamp = uint32(max(now.Unix(), int64(t.MinTime)))
	return header
}

// Coinbase returns a coinbase that pays all to one script. Its own script is the height
// (BIP34) and then data, of at least one byte and at most what MaxScriptSig leaves:
// extra nonces, which make it differ from all others, and whatever the miner wants to
// say. It commits to the witnesses and has the reserved value as its own (BIP141). As
// Bitcoin Core's, it is locked until the block before: no coinbase of another height
// can then be the same (BIP54).
func (t *Template) Coinbase(scriptPubKey, data []byte) types.Tx {
	return types.Tx{
		Version: 2, LockTime: min(t.Height, types.LockTimeThreshold) - 1, // more would be a time
		Inputs: []types.TxIn{{
			PreviousOutPoint: types.OutPoint{Index: types.NullIndex},
			ScriptSig:        slices.Concat(consensus.CoinbaseHeight(t.Height), data),
			Sequence:         types.SequenceFinal - 1, // the lock time counts
			Witness:          [][]byte{make([]byte, types.HashSize)},
		}},
		Outputs: []types.TxOut{{Value: t.CoinbaseValue, ScriptPubKey: scriptPubKey}, {ScriptPubKey: t.Commitment}},
	}
}

// Root returns the merkle root of the block with a coinbase of the given id. It takes
// one hash for each level of the tree, however many transactions there are.
func (t *Template) Root(coinbaseTxID types.Hash) types.Hash {
	root := coinbaseTxID
	for _, sibling := range t.Branch {
		root = pairHash(root, sibling)
	}
	return root
}

// Block returns the block with the header and the coinbase, as they are. Its
// transactions are those of Entries and must not be changed.
func (t *Template) Block(header types.Header, coinbase types.Tx) *types.Block {
	txs := make([]types.Tx, 1, len(t.Entries)+1)
	txs[0] = coinbase
	for _, e := range t.Entries {
		txs = append(txs, *e.Tx)
	}
	return &types.Block{Header: header, Txs: txs}
}

// branchOf returns the hashes that lead from the first leaf to the merkle root, lowest
// first. The first leaf itself does not matter. It uses the leaves up.
func branchOf(level []types.Hash) []types.Hash {
	var branch []types.Hash
	for len(level) > 1 {
		branch = append(branch, level[1]) // the sibling of what the coinbase's hash goes into
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		next := level[:0]
		for i := 0; i < len(level); i += 2 {
			next = append(next, pairHash(level[i], level[i+1]))
		}
		level = next
	}
	return branch
}

func pairHash(a, b types.Hash) types.Hash {
	var both [2 * types.HashSize]byte
	return types.DoubleSHA256(append(append(both[:0], a[:]...), b[:]...))
}
