package rpc

import (
	"context"
	"time"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// Headers answers about the header tree.
type Headers interface {
	Tip() types.Index
	TipState() consensus.State
	BestHeader() types.Index
	Info(hash types.Hash) (header.Info, bool)
	HashAt(height uint32) (types.Hash, bool)
	Tips() []header.Tip
	HeadersAfter(locator []types.Hash, stop types.Hash, limit int) []types.Header
}

// Blocks answers about bodies and coins, and follows the chain.
type Blocks interface {
	Block(hash types.Hash) ([]byte, error)
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	Coins(ctx context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	poke.Source // pokes after the tip has changed
}

// Operator changes the chain.
type Operator interface {
	AddBlock(ctx context.Context, raw []byte) error
	Invalidate(ctx context.Context, hash types.Hash) error
	Reconsider(ctx context.Context, hash types.Hash) error
	Precious(ctx context.Context, hash types.Hash) error
	// Verify checks the last blocks again, as Core's verifychain.
	Verify(ctx context.Context, depth uint32, level int) error
	// CoinSet walks over all coins.
	CoinSet(ctx context.Context) (types.Index, coinstats.Stats, error)
	// SizeOnDisk is that of all block files, in bytes.
	SizeOnDisk() int64
}

// The names of indexes, which are Bitcoin Core's.
const (
	IndexOfFilters = "basic block filter index"
	IndexOfTxs     = "txindex"
)

// Index answers from the indexes. What it has not come to is an error that wraps
// consensus.ErrNotFound.
type Index interface {
	Filter(block types.Hash) (filter []byte, header types.Hash, err error)
	FindTx(txid types.Hash) (block types.Hash, err error)
	// Position is the block up to which everything is indexed, and whether that
	// is the tip. The names are of those indexes that are kept.
	Position() (at types.Index, synced bool)
	// Wait waits until the tip of now is indexed, if that is a matter of moments.
	Wait(ctx context.Context)
	Names() []string
}

// Pool answers about transactions that wait for a block. Get, GetByWitness and
// SpentBy return nil if there is no such transaction.
type Pool interface {
	// Accept takes a transaction that pays at most a feerate; 0 is no limit.
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	Test(ctx context.Context, txs []*types.Tx) ([]pending.Verdict, error)
	Get(txid types.Hash) *pending.Entry
	GetByWitness(wtxid types.Hash) *pending.Entry
	SpentBy(outPoint types.OutPoint) *pending.Entry
	Details(txid types.Hash) (pending.Details, bool)
	Entries() []*pending.Entry
	Info() pending.Info
	// Estimate returns the feerate with which a transaction would be in one of the
	// next blocks.
	Estimate(blocks int) types.FeeRate
	// Accepted returns the witness ids of the transactions that were taken from a
	// position on, and the position to go on from, which is the end for one behind it.
	Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64)
	poke.Source // pokes after the pool has changed
}

// Miner makes blocks.
type Miner interface {
	Generate(ctx context.Context, n int, scriptPubKey []byte, maxTries uint64) ([]types.Hash, error)
	// Template counts the transactions and the weight of the next block.
	Template() (txs, weight int)
}

// Network is the connections to others.
type Network interface {
	Peers() []peerinfo.Info
	NodeID() peerinfo.NodeID
	Listening() []string
	Totals() (received, sent uint64)
	// AddNode keeps a connection to a peer, RemoveNode ends that, TryNode
	// connects once.
	AddNode(address string) error
	RemoveNode(address string) error
	TryNode(address string) error
	AddedNodes() []string
	Disconnect(addressOrID string) error
	Ping()
	KnownAddresses(limit int) []peerinfo.Address
}

// Control is the node itself.
type Control interface {
	Now() time.Time
	// SetTime stops the clock at a time in seconds since 1970; 0 lets it go on.
	SetTime(seconds int64)
	Stop()
	Uptime() time.Duration
	Syncing() bool
	Pruned() (pruned bool, height uint32, target int64)
}
