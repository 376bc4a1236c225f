package web

import (
	"context"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/miner/stratuminfo"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The parts of the node that pages ask, cut by what is asked. None of their methods
// changes anything. All of them may be called concurrently.

// Headers answers about the header tree, from memory.
type Headers interface {
	Tip() types.Index
	TipState() consensus.State // what the next block builds on
	BestHeader() types.Index   // of the most work, whether its block is here or not
	Info(hash types.Hash) (header.Info, bool)
	HashAt(height uint32) (types.Hash, bool) // on the best chain
	Tips() []header.Tip
}

// Blocks answers about bodies and coins. What is not stored, or not any more, is an error
// that wraps consensus.ErrNotFound.
type Blocks interface {
	Block(hash types.Hash) ([]byte, error) // its encoding (BIP144)
	// BlockUpdate is a block that was connected once, with what it spends.
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	// BlockTx is one transaction of such a block, with what it spends. It may have no answer where
	// BlockUpdate has.
	BlockTx(hash types.Hash, n int) (types.BlockTx, []types.Coin, error)
	// Coins waits for a change of the chain that is under way.
	Coins(ctx context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error)
	poke.Source // pokes after the tip has changed
}

// Index answers from the indexes, which have names (indexed.Txs, …). An error may wrap
// indexed.ErrBehind.
type Index interface {
	States() []indexed.State // of the indexes that are kept
	// Wait waits until the tip of now is in an index, if that is a matter of moments, and
	// reports whether it is.
	Wait(ctx context.Context, name string) bool
	FindTx(txid types.Hash) (types.TxPlace, error)
	// FindSpender returns what spends an output on the best chain.
	FindSpender(outPoint types.OutPoint) (indexed.Spender, error)
}

// Scripts answers from the index of scripts. An error may wrap indexed.ErrBehind or
// indexed.ErrCursor.
type Scripts interface {
	ScriptBalances(scripts []indexed.ScriptHash) (indexed.Balances, error)
	ScriptHistory(scripts []indexed.ScriptHash, page indexed.Page) (indexed.History, error)
	ScriptCoins(scripts []indexed.ScriptHash, page indexed.Page) (indexed.Coins, error)
}

// Pool answers about transactions that wait for a block. Get and SpentBy return nil if
// there is none.
type Pool interface {
	Get(txid types.Hash) *pending.Entry
	SpentBy(outPoint types.OutPoint) *pending.Entry
	Details(txid types.Hash) (pending.Details, bool)
	Info() pending.Info
	// Diagram is the whole pool's, from the origin on: a corner behind each chunk, the best first.
	Diagram() []pending.Corner
	// Select returns what a block would take, each after those that it spends.
	Select(want pending.Selection) ([]*pending.Entry, types.Index)
	Estimate(blocks int, conservative bool) pending.FeeEstimate
}

// Journal is what came into the pool and left it.
type Journal interface {
	Changes() uint64 // the position behind the last change
	// ChangesSince returns the changes from a position on, and the position to go on from; ok
	// says that none is missing.
	ChangesSince(position uint64, limit int) (changes []pending.Change, next uint64, ok bool)
	// Snapshot returns all that waits, each after those that it spends, and the position of
	// the changes that follow on it.
	Snapshot() (entries []*pending.Entry, position uint64)
	poke.Source // pokes after the pool has changed
}

// Sender takes transactions that visitors send, and passes them on. What it refuses is an error
// with the code that RPC has for it, as RPCCode() int.
type Sender interface {
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	// SubmitPackage takes a child, which is the last, with its parents. It returns JSON, as the
	// method of its name does.
	SubmitPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate, maxBurn types.Amount) ([]byte, error)
}

// Status is the node itself.
type Status interface {
	Now() time.Time
	Syncing() bool
	Peers() int // how many are connected
	// Invitation is where others can call this node, as --connect has it; empty: nowhere. One
	// that does not know its address can be called at the host by which a visitor has found it.
	Invitation(host string) string
}

// Network is the connections to others. It is asked for the operator alone.
type Network interface {
	Peers() []peerinfo.Info
	Bans() []peerinfo.Ban
	Active() bool                    // there may be peers
	Totals() (received, sent uint64) // bytes
}

// Stratum is the server of miners that connect. It is asked for the operator alone.
type Stratum interface {
	Info() stratuminfo.Info
}
