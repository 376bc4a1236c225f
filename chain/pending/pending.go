// Package pending holds what is said of transactions that wait for a block: the
// pool makes these values, and the miner, peers and RPC clients are handed them as
// they are.
//
// They are snapshots. An Entry never changes and may be kept for as long as anyone
// likes; the others were true when the pool was asked, and the next transaction or
// block may make them history. So nothing here has a lock, and whoever needs two
// facts that fit together asks for both at once.
package pending

import (
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The reasons, of those for which a pool refuses, on which its callers act. They are
// Bitcoin Core's words, and consensus.ErrPolicy.
const (
	// ReasonConfirmed is a transaction that a block has already.
	ReasonConfirmed consensus.Reason = "txn-already-known"
	// ReasonMaxFee is one that pays more than its sender wants to.
	ReasonMaxFee consensus.Reason = "max-fee-exceeded"
	// ReasonMaxFeeRate is that of a package.
	ReasonMaxFeeRate consensus.Reason = "max feerate exceeded"
	// The others are of one that pays too little by itself: for its size, for the room that
	// it takes, or for what it replaces, itself or with a child of its parent. A child may
	// pay for it (Reconsiderable).
	ReasonMinRelayFee            consensus.Reason = "min relay fee not met"
	ReasonMempoolMinFee          consensus.Reason = "mempool min fee not met"
	ReasonFull                   consensus.Reason = "mempool full"
	ReasonInsufficientFee        consensus.Reason = "insufficient fee"
	ReasonInsufficientSiblingFee consensus.Reason = "insufficient fee (including sibling eviction)"
	ReasonNotImproved            consensus.Reason = "replacement-failed"
)

// Reconsiderable reports whether a transaction was refused for nothing but its fee, so
// that it may come in together with a child that pays for both.
func Reconsiderable(err error) bool {
	var rule *consensus.RuleError
	if !errors.As(err, &rule) {
		return false
	}
	switch rule.Reason {
	case ReasonMinRelayFee, ReasonMempoolMinFee, ReasonFull, ReasonInsufficientFee, ReasonInsufficientSiblingFee, ReasonNotImproved:
		return true
	}
	return false
}

// Entry is a transaction that the pool has, or would have. It is never changed.
type Entry struct {
	Tx     *types.Tx
	Raw    []byte // the encoding (BIP144), to which Tx refers
	TxID   types.Hash
	WTxID  types.Hash
	Fee    types.Amount
	Weight int
	VSize  int       // virtual bytes; signature operations never count for more
	Time   time.Time // when it came, in whole seconds
	Height uint32    // of the tip when it came
	Work   Work      // what it cost to take it
}

// Exceeds reports whether the transaction pays more than a limit that its sender has
// set. A limit of 0 is none.
func (e *Entry) Exceeds(limit types.FeeRate) bool { return limit > 0 && e.Fee > limit.Fee(e.VSize) }

// Total sums transactions up.
type Total struct {
	Count  int
	Weight int
	VSize  int // the sum of virtual sizes, each rounded up
	Fees   types.Amount
}

// Add counts one more transaction.
func (t *Total) Add(e *Entry) {
	t.Count++
	t.Weight += e.Weight
	t.VSize += e.VSize
	t.Fees += e.Fee
}

// Family is a transaction with its ancestors or its descendants. The total counts
// the transaction itself, as Bitcoin Core does; the ids leave it out.
type Family struct {
	Total
	TxIDs []types.Hash // parents first
}

// Details is a transaction with its place among the others.
type Details struct {
	*Entry
	// Modified is what the transaction counts for as a fee: what it pays, and what the
	// operator adds. The totals below have such fees.
	Modified    types.Amount
	Depends     []types.Hash // ids of the transactions of the pool that it spends
	SpentBy     []types.Hash // ids of those that spend it
	Ancestors   Family
	Descendants Family
	Chunk       Total // the set with which a miner would take it
	// Unbroadcast says that a client of ours brought it and that no peer has asked for it.
	Unbroadcast bool
}

// Chunk is transactions that a miner would take together.
type Chunk struct {
	Fees   types.Amount // modified
	Weight int
	TxIDs  []types.Hash // in the order in which a miner takes them
}

// Corner is a corner of a feerate diagram: what fees the best chunks pay up to a weight.
type Corner struct {
	Weight int64
	Fees   types.Amount // modified
}

// Selection is what a miner wants for a block.
type Selection struct {
	MaxWeight  int           // of all transactions together, in weight units
	MinFeeRate types.FeeRate // of each chunk: what pays less is left out, even if there is room
}

// Delta is what the operator adds to what a transaction counts for as a fee.
type Delta struct {
	TxID     types.Hash
	Delta    types.Amount // negative: it counts for less
	InPool   bool
	Modified types.Amount // the fee with the delta, if it is in the pool
}

// FeeEstimate is what a transaction should pay.
type FeeEstimate struct {
	FeeRate types.FeeRate
	// Known says that enough blocks were seen to tell how much the next ones will take, and
	// how much will come before them. If not, the feerate only outbids what waits now.
	Known bool
}

// Import is what is taken from a file of transactions besides themselves.
type Import struct {
	Times       bool // when each came; else it comes now
	Deltas      bool // fee deltas, which add up with those that are here
	Unbroadcast bool // which ones no peer has asked for
}

// Verdict is what became of a transaction that was given to the pool with others, or what
// would become of one that is only tried. If neither Entry nor an error is set, it was not
// looked at to the end, because another one of its list was refused.
type Verdict struct {
	// Entry is what the pool has, or would have. Its witness may be another one, if the
	// pool had the transaction before (Present).
	Entry      *Entry
	Err        error // why it is refused
	PackageErr error // why a list that is tried is refused as a whole; all its verdicts have it
	Present    bool
	// FeeRate is what it was judged by, that of all transactions whose witness ids are in
	// With; not of one that was there before.
	FeeRate types.FeeRate
	With    []types.Hash
}

// Package is what became of transactions that were given to a pool together.
type Package struct {
	Verdicts []Verdict    // in the order in which they were given; none if nothing was looked at
	Replaced []types.Hash // ids of those that had to leave for them
}

// Info is the state of the pool.
type Info struct {
	Policy
	Position    types.Index   // the block on which everything in the pool is valid next
	Loaded      bool          // the pool's file was read to the end
	Count       int           // transactions
	VSize       int           // sum of their virtual sizes
	Usage       int           // bytes of memory
	TotalFee    types.Amount  // of all transactions
	Unbroadcast int           // transactions for which no peer has asked yet, of those that clients of ours brought
	MinFeeRate  types.FeeRate // the least that a transaction must pay now
	Sequence    uint64        // grows with each transaction that comes or goes
}
