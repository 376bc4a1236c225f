package rpc

import (
	"context"
	"time"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// Headers answers about the header tree.
type Headers interface {
	Tip() types.Index
	TipState() consensus.State
	BestHeader() types.Index
	Info(hash types.Hash) (consensus.BlockInfo, bool)
	HashAt(height uint32) (types.Hash, bool)
	Tips() []consensus.ChainTip
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

// PoolEntry is a transaction of the pool.
type PoolEntry struct {
	Tx          *types.Tx
	TxID        types.Hash
	WTxID       types.Hash
	Fee         types.Amount
	VirtualSize int
	Weight      int
	Time        time.Time
	Height      uint32 // of the tip when it came
}

// PoolFamily counts a transaction and its ancestors or descendants.
type PoolFamily struct {
	TxIDs       []types.Hash // without the transaction itself
	Count       int
	VirtualSize int
	Fees        types.Amount
}

// PoolRelations is a transaction of the pool with what is around it.
type PoolRelations struct {
	PoolEntry
	Parents, Children      []types.Hash
	Ancestors, Descendants PoolFamily
	ChunkWeight            int // of the set with which a miner would take it
	ChunkFees              types.Amount
}

// PoolInfo is the state of the pool.
type PoolInfo struct {
	Count                           int
	VirtualSize                     int
	Usage, MaxBytes                 int64
	Fees                            types.Amount
	MinFeeRate, RelayFeeRate, Extra types.FeeRate // now, at all, and for a replacement
	MaxClusterCount                 int
	MaxClusterVSize                 int // virtual bytes
	MaxDataSize                     int // bytes of data in a transaction
}

// PoolVerdict says whether a transaction would be taken.
type PoolVerdict struct {
	Entry      PoolEntry // if it would be taken
	Err        error
	PackageErr error // of the list as a whole, of which nothing was looked at then
	Undecided  bool  // another transaction of the list was refused
}

// Pool answers about transactions that wait for a block.
type Pool interface {
	Accept(ctx context.Context, tx *types.Tx) error
	Test(ctx context.Context, txs []*types.Tx) ([]PoolVerdict, error)
	Get(txid types.Hash) (PoolEntry, bool)
	Relations(txid types.Hash) (PoolRelations, bool)
	Entries() []PoolEntry
	SpentBy(outPoint types.OutPoint) (types.Hash, bool)
	Info() PoolInfo
}

// PoolFeed tells of new transactions of the pool.
type PoolFeed interface {
	poke.Source // pokes after the pool has changed
	// Accepted returns the transactions that were taken from a position on, and
	// the position to go on from, which is the end for one behind it.
	Accepted(since uint64, limit int) (entries []PoolEntry, next uint64)
}

// Miner makes blocks.
type Miner interface {
	Generate(ctx context.Context, n int, scriptPubKey []byte, maxTries uint64) ([]types.Hash, error)
	// Template counts the transactions and the weight of the next block.
	Template() (txs, weight int)
}

// Peer is a connection, with what Core's getpeerinfo tells of one.
type Peer struct {
	ID                   int
	Address              string
	LocalAddress         string
	NodeID               string
	Inbound              bool
	ConnectionType       string // inbound, manual, outbound-full-relay
	Version              uint32
	UserAgent            string
	Full                 bool // has all blocks
	RelayTxs             bool
	Connected            time.Time
	LastSend, LastRecv   time.Time
	LastBlock, LastTx    time.Time
	BytesSent, BytesRecv uint64
	Ping, MinPing        time.Duration
	TimeOffset           time.Duration
	StartingHeight       uint32
	BestHeight           uint32 // of the blocks that it is known to have
	InFlight             []uint32
	WantsCompact         bool // it hears of new blocks by compact blocks
	MinFeeRate           types.FeeRate
}

// Network is the connections to others.
type Network interface {
	Peers() []Peer
	NodeID() string
	Listening() []string
	Totals() (received, sent uint64)
	// AddNode keeps a connection to a peer, RemoveNode ends that, TryNode
	// connects once.
	AddNode(address string) error
	RemoveNode(address string) error
	TryNode(address string) error
	AddedNodes() []string
}

// Hangup ends connections and asks questions of all.
type Hangup interface {
	Disconnect(addressOrID string) error
	Ping()
	KnownAddresses(limit int) []KnownAddress
}

// KnownAddress is where a node can be reached.
type KnownAddress struct {
	NodeID   string
	Host     string
	Port     uint16
	LastSeen time.Time
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
