package node

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool"
)

// The defaults of Config.
const (
	DefaultMaxPeers     = 114 // that connected to us
	DefaultMempoolBytes = mempool.DefaultMaxBytes
	DefaultMinFeeRate   = mempool.DefaultMinRelay
)

// Config is what a node is made from. The first part is all that Open needs;
// the rest is for Run.
type Config struct {
	DataDir    string            // of the network; made if it does not exist
	Params     *consensus.Params // of the network
	CacheBytes int64             // budget of the coin cache; 0: store.DefaultCacheBytes
	PruneBytes int64             // keep about this much of old blocks; 0: keep all
	Filters    bool              // keep block filters (BIP157)
	TxIndex    bool              // keep an index of all transactions
	Logger     *slog.Logger      // nil: discard

	Listen      string   // HOST:PORT for peers; empty: none
	Connect     []string // [ID@]HOST:PORT of peers to stay connected to
	AllowPeers  []string // IDs of the only peers to let in; empty: all
	MaxPeers    int      // that connect to us
	NoDiscovery bool     // connect to nobody else

	RPCListen   string   // HOST:PORT for clients; empty: none
	RPCAuth     []string // NAME:SALT$HASH
	RPCAllow    []string // NAME:METHOD+METHOD…: all that the user may call
	RPCUser     string   // with RPCPassword; empty: none
	RPCPassword string

	MempoolBytes int64         // 0: DefaultMempoolBytes
	MinFeeRate   types.FeeRate // of transactions that are taken and relayed

	Mine         bool
	MineTo       []byte        // script that mined blocks pay to
	MineInterval time.Duration // on fixed-difficulty networks; 0: the network's spacing
	Threads      int           // 0: one a processor

	// Now, Dial and NewListener replace the machine's clock and network in tests.
	Now         func() time.Time
	Dial        func(ctx context.Context, address string) (net.Conn, error)
	NewListener func(address string) (net.Listener, error)
}
