package doctor

import (
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// Facts are what was found out. A part that nobody could look at is nil.
type Facts struct {
	Outside     *Outside
	Inside      *Inside
	Machine     *Machine
	Transaction *Transaction
}

// Inside is what a node that runs knows of itself.
type Inside struct {
	Now     time.Time // of the clock by which its rules go
	Uptime  time.Duration
	Mocked  bool // that clock was set by a client, and stands still
	Chain   Chain
	Network Network
	Pool    pending.Info
	Mining  Mining
	Indexes []indexed.State
	Clients Clients
	Faucet  *faucetinfo.Status // nil: there is none
}

// Chain is the chain of a node.
type Chain struct {
	Problem   string        // why it does nothing more; empty: it works
	Spacing   time.Duration // of blocks, as the network wants
	Fixed     bool          // its difficulty is fixed: blocks come when somebody likes
	Tip       types.Index
	TipTime   time.Time     // that its header tells
	Unchanged time.Duration // for which the tip has been the same, since the start at most
	Headers   types.Index   // of the best header that is known
	Syncing   bool
	Pruned    bool
	Target    int64 // bytes that blocks may take, of one that is pruned; 0: by hand
	Size      int64 // bytes on disk of blocks and coins
	// Unknown are bits of versions by which blocks say that they go by rules that this program
	// does not know. RefusedAhead says that a chain of more work was refused.
	Unknown      []int
	RefusedAhead bool
}

// Network is the connections of a node.
type Network struct {
	Off        bool             // the operator has switched it off
	Wanted     bool             // there is somebody to call: in the network's file, by --connect, or who was met before
	Bootstrap  []string         // of the network's file: ids and addresses, and names
	Listening  bool             // at an address that others can reach
	Announced  []netip.AddrPort // where the operator, or the router, says that others reach it
	MapPort    bool             // the router was asked to forward the port
	Mapped     bool             // and does
	Proxy      string           // HOST:PORT; empty: none
	ProxyError string           // why it does not answer; empty: it does
	Peers      []peerinfo.Info
	Calls      []peerinfo.Call // the last ones, the latest first
	Callers    uint64          // who have called and were let in, since the start
	Twin       string          // where another node with this node's key was met; empty: nowhere
	Upload     peerinfo.UploadTarget
	Budgets    peerinfo.Budgets
}

// Mining is what is made of blocks here.
type Mining struct {
	Mines    bool              // by its own threads
	Stratum  *stratuminfo.Info // nil: there is no server
	Template string            // why a block from here would be refused; empty: it would not
	Empty    bool              // the pool is behind the chain, so templates have no transactions
}

// Clients are those of RPC.
type Clients struct {
	Open        []string  // addresses beyond this machine where they are spoken to without TLS
	Locked      []string  // users who may call nothing
	Certificate time.Time // until when it is good; zero: there is none
}

// Machine is what the node runs on.
type Machine struct {
	DataDir string
	Memory  Memory
	Disk    Disk
	Files   Files
	// Budgets are the bytes that the node may take, by what for.
	Budgets []Budget
}

// Budget is memory that a part of the node may take.
type Budget struct {
	Flag  string // that sets it
	Bytes uint64
}

// Memory is the machine's, or that of the container that the program runs in.
type Memory struct {
	Total     uint64 // bytes
	Available uint64 // bytes that programs can get without swapping
	Mine      uint64 // bytes that the node takes of it
}

// Disk is a file system.
type Disk struct {
	Total, Free        uint64 // bytes; Free is what an ordinary user may still write
	Inodes, FreeInodes uint64 // files that it can hold, and can hold more
	ReadOnly           bool
}

// Files are those that the node has open, sockets among them.
type Files struct{ Open, Limit uint64 }

// Outside is what a command finds without a node.
type Outside struct {
	NetworkFile string // why it cannot be used; empty: it can
	Options     string // what is wrong with the configuration file or the command line

	// Of the data directory. A text says why something is wrong; empty: nothing is.
	DataDir      string
	NoParent     string   // what it is to be in does not exist
	Access       string   // this user cannot use it
	New          bool     // it has no data yet
	Damaged      string   // its database cannot be opened
	BadFile      string   // a key, or another small file, cannot be used
	OtherNetwork string   // its data are of another network
	Locked       bool     // a process has the data open
	PID          int      // of the node that was started there last; 0: it is not known
	Taken        []Port   // where another program listens
	Exposed      []string // secret files that others can read
	Crashed      bool     // the node ended without an end

	// Of asking a node:
	RPC      string // where it was asked; empty: it was not
	Answers  bool   // there is an answer of a node
	Starting string // what it says while it is not ready
	Refused  string // why it does not let this user in
	NoCookie string // why the cookie cannot be read
	NotNode  string // what answers is something else
	Silent   string // why nothing answers
}

// Port is where a node would listen.
type Port struct{ Flag, Address, Problem string }

// Transaction is one that somebody asks about.
type Transaction struct {
	TxID          types.Hash
	Now           time.Time
	Confirmations uint32           // 0: it is in no block of the best chain
	Pending       *pending.Details // nil: it does not wait here
	Orphan        *peerinfo.Orphan // nil: it does not wait for what it spends
	Missing       []types.OutPoint // of the orphan: what nobody here knows
	// Of what waits:
	InNext      bool          // the next block would take it
	Ahead       int           // virtual bytes of what a miner takes before
	BlockVSize  int           // virtual bytes that a block takes
	NextMin     types.FeeRate // the least that the next block takes; 0: everything
	BlockMin    types.FeeRate // what templates of this node take at least
	Refusal     string        // of one that was given as a whole: why the pool refuses it
	TipTime     time.Time
	Spacing     time.Duration
	Peers       []peerinfo.Info
	PoolMin     types.FeeRate
	NoIndex     bool // whether it is in a block can be told of the last blocks alone
	Given       bool // it was given as a whole
	WouldAccept bool // and the pool would take it
}
