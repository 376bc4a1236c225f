package rpc

import (
	"context"
	"time"

	"github.com/karatcoin/karat/chain/coinhistory"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/miner/stratuminfo"
	"github.com/karatcoin/karat/node/doctor"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The parts of the node that methods ask. They are cut by what is asked and not by
// who answers, so that a test fakes only the part that it is about. All of them may
// be called concurrently.

// Headers answers about the header tree, from memory: it never waits.
type Headers interface {
	Tip() types.Index
	TipState() consensus.State // what the next block builds on
	BestHeader() types.Index   // of the most work, whether its block is here or not
	Info(hash types.Hash) (header.Info, bool)
	HashAt(height uint32) (types.Hash, bool) // on the best chain
	Tips() []header.Tip
	// HeadersAfter returns headers of the best chain above the first block of the
	// locator that is on it, up to stop if that comes first.
	HeadersAfter(locator []types.Hash, stop types.Hash, limit int) []types.Header
}

// Blocks answers about bodies and coins, and follows the chain. What is not stored,
// or not any more, is an error that wraps consensus.ErrNotFound.
type Blocks interface {
	Block(hash types.Hash) ([]byte, error) // its encoding (BIP144)
	// BlockPart reads some bytes of the encoding alone, and checks nothing of them.
	BlockPart(hash types.Hash, offset, size uint32) ([]byte, error)
	// BlockUpdate is a block that was connected once, with what it spends.
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	// Coins waits for a change of the chain that is under way. The state is that of
	// the tip with which the coins were found.
	Coins(ctx context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error)
	// UpdatesSince is the way from a block to the tip: first blocks to revert, from
	// there downwards, then blocks to apply, upwards.
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	poke.Source // pokes after the tip has changed
}

// Operator changes the chain, or reads all of it. Each may take long.
type Operator interface {
	// AddBlock, AddHeaders and Propose wrap a *consensus.RuleError if what they are given
	// is refused. Propose says what AddBlock would of a block on the tip, but for its
	// proof of work, and stores nothing.
	AddBlock(ctx context.Context, raw []byte) error
	AddHeaders(headers []types.Header) error
	Propose(ctx context.Context, raw []byte) error
	// Want has the body of a block stored once more that was pruned, when it is added.
	Want(block types.Hash)
	Invalidate(ctx context.Context, hash types.Hash) error
	Reconsider(ctx context.Context, hash types.Hash) error
	Precious(ctx context.Context, hash types.Hash) error
	// Verify checks the last blocks again, depth of them (0: all), at a level of
	// Core's verifychain. The error says what is damaged.
	Verify(ctx context.Context, depth uint32, level int) error
	// PruneTo removes old blocks up to a height, as far as nobody needs them.
	PruneTo(ctx context.Context, height uint32) error
	// FirstSince returns the lowest block of the best chain whose time is the given one,
	// in seconds since 1970, or later.
	FirstSince(seconds uint32) (first types.Index, ok bool)
	CoinsOnDisk() int64                  // bytes of the database
	CacheBytes() (database, coins int64) // memory for what is read of it
	// CoinSet walks over all coins, and says at which block they were these. Hashes are
	// computed if they are asked for.
	CoinSet(ctx context.Context, muhash, serialized bool) (types.Index, coinstats.Stats, error)
	// ForEachCoin visits all coins of a moment in the order of their outpoints, and says
	// of which block they are. Blocks come in meanwhile. The visitor's error ends it.
	ForEachCoin(ctx context.Context, each func(types.OutPoint, *types.Coin) error) (types.Index, error)
	// SizeOnDisk is that of all block files, in bytes.
	SizeOnDisk() int64
}

// Index answers from the indexes, which have names (indexed.Txs, …). An error may wrap
// indexed.ErrBehind: the index has not come that far, is made anew, or does not keep such
// things. States tells which.
type Index interface {
	States() []indexed.State // of the indexes that are kept
	// Wait waits until the tip of now is in an index, if that is a matter of moments, and
	// reports whether it is.
	Wait(ctx context.Context, name string) bool
	Filter(block types.Hash) (filter []byte, header types.Hash, err error)
	FindTx(txid types.Hash) (types.TxPlace, error)
	// FindSpender returns what spends an output on the best chain. If nothing does, that is
	// indexed.ErrBehind too: whoever asks knows by Wait that the index is not behind.
	FindSpender(outPoint types.OutPoint) (indexed.Spender, error)
	// CoinsAt returns the statistics of the coins after a block.
	CoinsAt(block types.Hash) (coinhistory.Record, error)
}

// Scripts answers from the index of scripts. Each answer is of one moment, and says of
// which block. An error may wrap indexed.ErrBehind or indexed.ErrCursor.
type Scripts interface {
	ScriptBalances(scripts []indexed.ScriptHash) (indexed.Balances, error)
	ScriptHistory(scripts []indexed.ScriptHash, page indexed.Page) (indexed.History, error)
	ScriptCoins(scripts []indexed.ScriptHash, page indexed.Page) (indexed.Coins, error)
}

// Pool answers about transactions that wait for a block, as of the chain's tip: it
// follows the chain before it answers, which may take a moment. Only the last five do
// not, of which subscriptions live. Get, SpentBy and GetByWitness return nil if there is
// no such transaction.
type Pool interface {
	// Accept takes a transaction that pays at most a feerate; 0 is no limit. It wraps a
	// *consensus.RuleError if the transaction is refused.
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	// AcceptPackage takes a child with its parents, each of which pays at most a feerate. It
	// tells what became of each, also with an error that wraps a *pending.Refusal.
	AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error)
	// Try says what Accept would of each, in order, and changes nothing.
	Try(ctx context.Context, txs []*types.Tx) ([]pending.Verdict, error)
	Get(txid types.Hash) *pending.Entry
	SpentBy(outPoint types.OutPoint) *pending.Entry
	Details(txid types.Hash) (pending.Details, bool)
	AllDetails(txids []types.Hash) []pending.Details // of those that are there
	Entries() []*pending.Entry
	Info() pending.Info
	// Prioritise adds to what a transaction counts for as a fee, whether it is there or not.
	// It reports false if too many have such a delta. Prioritised returns all deltas.
	Prioritise(txid types.Hash, delta types.Amount) bool
	Prioritised() []pending.Delta
	// Listing returns all transactions, and the sequence number that the
	// next change will have.
	Listing() (entries []*pending.Entry, sequence uint64)
	// Cluster returns the chunks of a transaction's cluster, none if it is not there.
	Cluster(txid types.Hash) []pending.Chunk
	Diagram() []pending.Corner // the whole pool's, from the origin on
	// Save writes a file, and Import takes what is in one, besides what is here.
	Save(path string) error
	Import(ctx context.Context, path string, o pending.Import) error
	// Estimate returns the feerate with which a transaction would be in one of the
	// next blocks, probably, or very probably if it is conservative.
	Estimate(blocks int, conservative bool) pending.FeeEstimate
	// Accepted returns the witness ids of the transactions that were taken from a
	// position on, and the position to go on from, which is the end for one behind it.
	Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64)
	GetByWitness(wtxid types.Hash) *pending.Entry
	// ChangesSince returns what came and left from a position on, and the position to go on
	// from; ok says that no change is missing. Snapshot returns all transactions, each
	// after those that it spends, and the position of the changes that follow.
	ChangesSince(position uint64, limit int) (changes []pending.Change, next uint64, ok bool)
	Snapshot() (entries []*pending.Entry, position uint64)
	poke.Source // pokes after the pool has changed
}

// Miner makes blocks.
type Miner interface {
	// Generate mines up to n blocks that pay to a script. It tries at most so many
	// nonces for each; fewer blocks for that reason are no error.
	Generate(ctx context.Context, n int, scriptPubKey []byte, maxTries uint64) ([]types.Hash, error)
	// Template returns the best block that can be built on the tip now, the same one until
	// the tip or the pool has changed. Last returns the one that was made last, for
	// whomever, nil if none was.
	Template() *template.Template
	Last() *template.Template
	// Coinbase returns a coinbase of a template that pays to a script. None is like
	// another.
	Coinbase(t *template.Template, scriptPubKey []byte) types.Tx
}

// Stratum is the server of miners that connect.
type Stratum interface {
	Info() stratuminfo.Info
}

// Network is the connections to others. Addresses are [ID@]HOST:PORT.
type Network interface {
	Peers() []peerinfo.Info
	Orphans() []peerinfo.Orphan
	// Advance lets what is repeated now and then be due earlier, as if time had passed.
	Advance(by time.Duration)
	NodeID() peerinfo.NodeID
	Listening() []string
	// Reach tells of each network how it is reached, and External where others can reach
	// this node.
	Reach() []peerinfo.Reach
	External() []peerinfo.External
	// SetActive turns the network on or off. While it is off there are no peers.
	SetActive(active bool)
	Active() bool
	Totals() (received, sent uint64) // bytes
	UploadTarget() peerinfo.UploadTarget
	Budgets() peerinfo.Budgets
	// AddNode keeps a connection to a peer, RemoveNode ends that, TryNode connects
	// once. None waits for the peer.
	AddNode(address string) error
	RemoveNode(address string) error
	TryNode(address string) error
	AddedNodes() []string
	Disconnect(addressOrID string) error
	Ping()
	// FetchBlock asks the peer of a number for a block, and does not wait for it. An
	// error has Bitcoin Core's words, with a small letter first.
	FetchBlock(peer int, block types.Hash) error
	// SetBan keeps peers out until a time. The error may be peerinfo.ErrBanned. LiftBan
	// lets them in again, or returns peerinfo.ErrNotBanned.
	SetBan(who peerinfo.Selector, until time.Time) error
	LiftBan(who peerinfo.Selector) error
	ClearBans() error
	Bans() []peerinfo.Ban
	// KnownAddresses returns where other nodes were seen, in a random order. BookCounts
	// counts the addresses of each network, by peerinfo.NetworkOf, and BookPlaces tells of
	// every place of their tables. AddAddress takes one in, unless there is no place for it.
	KnownAddresses(limit int) []peerinfo.Address
	BookCounts() map[string]peerinfo.BookCount
	BookPlaces() []peerinfo.BookPlace
	AddAddress(a peerinfo.Address, tried bool) error
}

// Doctor says what is wrong with the node. Each takes less than two seconds.
type Doctor interface {
	Diagnose(ctx context.Context) []doctor.Finding
	// DiagnoseTx says why a transaction is not in a block. It may be given as a whole, or else is nil.
	DiagnoseTx(ctx context.Context, txid types.Hash, given *types.Tx) ([]doctor.Finding, error)
}

// Logs is the node's log.
type Logs interface {
	Path() string // of its file; empty: it goes elsewhere
	// Categories are those of LogCategories, and whether debug lines of each are written.
	Categories() map[string]bool
	SetCategory(name string, on bool) bool // false: there is no such category
}

// Control is the node itself.
type Control interface {
	Now() time.Time
	// SetTime stops the clock at a time in seconds since 1970; 0 lets it go on.
	SetTime(seconds int64)
	Stop() // returns at once
	Uptime() time.Duration
	Syncing() bool
	Warnings() []string  // what the operator should know, as it is shown; never nil
	MempoolFile() string // where the pool is saved
	// Pruned tells whether old blocks are removed, the height from which they are
	// there, and how many bytes they may take; 0: they go when a client asks for it.
	Pruned() (pruned bool, height uint32, target int64)
}
