package header

import (
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// Record is what is stored of every block of the header tree. All else about the tree
// is computed from the records at the start.
type Record struct {
	Header  types.Header
	Hash    types.Hash // of the header
	Height  uint32
	TxCount uint32 // transactions; 0 until the body was seen
	Status  Status
}

// Status is what is known of a block: a set of flags. They are stored on the disks of
// all nodes, so the values never change.
type Status uint8

const (
	// StatusBody says that the block's body is stored.
	StatusBody Status = 1
	// StatusUndo says that the block's undo data is stored, without which the block
	// cannot be disconnected.
	StatusUndo Status = 2
	// StatusValid says that the block was connected once, so that it keeps all rules.
	// A pruned block is still valid.
	StatusValid Status = 4
	// StatusInvalid says that the block itself breaks a rule, or that the
	// operator has ruled it out.
	StatusInvalid Status = 8
	// StatusInvalidAncestor says that a block below had StatusInvalid when it was refused.
	// It ends when the operator reconsiders the block, one above or one below it.
	StatusInvalidAncestor Status = 16
)

// Has reports whether all given flags are set.
func (s Status) Has(flags Status) bool { return s&flags == flags }

// Refused reports whether the block or one below it breaks a rule, or was ruled out.
func (s Status) Refused() bool { return s&(StatusInvalid|StatusInvalidAncestor) != 0 }

// Info is what the header tree tells of a block at the moment of asking.
type Info struct {
	Record
	Work        consensus.Uint256 // of the chain up to and with the block
	MedianTime  uint32            // median time past of the block, seconds since 1970
	OnBestChain bool              // it is the tip or an ancestor of it
	Next        types.Hash        // the block above on the best chain; zero: none
	ChainTxs    uint64            // transactions of the chain up to and with the block; 0: not known
}

// Tip is a block without descendants.
type Tip struct {
	Index        types.Index
	BranchLength uint32 // blocks above the best chain
	// Status is a word of Bitcoin Core's getchaintips: active, invalid,
	// headers-only, valid-fork or valid-headers.
	Status string
}

// Result is what became of one block that the chain was given.
type Result struct {
	Block types.Index // the height is 0 if the parent is unknown
	Txs   int         // transactions, 0 if the block could not be read
	// Err is nil for a block that was accepted (now or before, on the best chain
	// or beside it), else a consensus.ErrInvalid or ErrNotYet.
	Err error
}
