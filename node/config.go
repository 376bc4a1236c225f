package node

import (
	"context"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/miner/stratum"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

// The defaults of Config.
const (
	DefaultMaxPeers            = 114                      // that connected to us
	DefaultMaxPerAddress       = p2p.DefaultMaxPerAddress // of them, from one address of the internet
	DefaultPeerBytes           = p2p.DefaultMaxMemory
	DefaultMaxMiners           = stratum.DefaultMaxConnections
	DefaultMaxMinersPerAddress = stratum.DefaultMaxPerAddress

	DefaultBlockReservedWeight = miner.DefaultReservedWeight
	DefaultBlockMinFeeRate     = types.FeeRate(1) // as Bitcoin Core: nothing that pays nothing
)

// DefaultPolicy is the policy of a node whose operator has set nothing.
func DefaultPolicy() pending.Policy { return mempool.DefaultPolicy() }

// prunes reports that old blocks may be gone.
func (c *Config) prunes() bool { return c.Prune || c.PruneBytes > 0 }

// Others is what users of RPC may call who have no list of methods.
type Others int

// The values of Others.
const (
	OthersByLists Others = iota // everything while nobody has a list, then nothing
	OthersAll
	OthersNone
)

// Config is what a node is made from. The first part is all that Open needs;
// the rest is for Run.
type Config struct {
	DataDir    string            // of the network; made if it does not exist
	Params     *consensus.Params // of the network
	CacheBytes int64             // budget of the coin cache; 0: store.DefaultCacheBytes
	PruneBytes int64             // keep about this much of old blocks; 0: keep all
	Prune      bool              // old blocks go when a client asks for it, and only then
	LoadBlocks []string          // files and folders of blocks that are read at the start
	StopAt     uint32            // end when the best chain has this height; 0: never
	FileBytes  uint32            // of a full file of blocks; 0: as the store likes
	Indexes    []string          // names of those that are kept (indexed.Txs, …)
	Logger     *slog.Logger      // nil: discard
	LogLevel   *slog.LevelVar    // of Logger, which Reload changes; nil: it cannot be changed
	LogPath    string            // the file that the log goes to, as clients are told; empty: none

	Listen        string   // HOST:PORT for peers; empty: none
	Connect       []string // [ID@]HOST:PORT of peers to stay connected to
	AllowPeers    []string // IDs of the only peers to let in; empty: all
	TrustPeers    []string // IDs, addresses or subnets of peers that have places of their own and are not banned
	MaxPeers      int      // that connect to us
	MaxPerAddress int      // of them; 0: DefaultMaxPerAddress, and half of MaxPeers on our own network
	MaxUpload     uint64   // bytes a day beyond which no old blocks are sent to peers; 0: no limit
	NoDiscovery   bool     // connect to nobody else
	PeerBytes     int64    // that may wait because of all peers together; 0: DefaultPeerBytes

	Proxy     string           // HOST:PORT of a SOCKS5 proxy for all connections to peers; empty: none
	Onion     string           // HOST:PORT of one for onion addresses; empty: Proxy
	OneStream bool             // the proxy is not told to keep connections apart
	External  []netip.AddrPort // where peers can reach this node; empty: they find out
	MapPort   bool             // ask the router to forward the port of Listen

	RPCListen   []string // HOST:PORT for clients
	RPCAuth     []string // NAME:SALT$HASH
	RPCAllow    []string // NAME:METHOD+METHOD…: all that the user may call; roles (@read) among them
	RPCOthers   Others   // what users without a list may call
	RPCUser     string   // with RPCPassword; empty: none
	RPCPassword string

	RPCHosts      []string       // names and addresses by which clients may call, beside those of this machine
	RPCAllowIP    []netip.Prefix // of clients; none: all
	RPCTLS        *tls.Config    // that clients are spoken to with; nil: none
	RPCOwnTLS     bool           // with a certificate that the node makes, if RPCTLS is nil
	RPCNoCookie   bool           // users are those of RPCAuth and RPCUser alone
	RPCCookieMode fs.FileMode    // of the cookie file; 0: its owner's alone
	RPCLimits     rpc.Limits     // of each user
	RPCIdle       time.Duration  // that a connection may be without requests; 0: rpc.DefaultIdleTimeout

	Policy    pending.Policy // which transactions are kept and relayed; the zero value: DefaultPolicy()
	NoPersist bool           // what waits for a block is neither read from a file nor saved

	Mine         bool
	MineTo       []byte        // script that mined blocks pay to; empty: the faucet's, if there is one
	MineInterval time.Duration // on fixed-difficulty networks; 0: the network's spacing
	Threads      int           // 0: one a processor
	MineRate     float64       // hashes a second of all threads at most; 0: as many as they can

	// Of blocks that are put together here, for whoever mines them. BlockMaxWeight is 0 for
	// what the rules allow, BlockReservedWeight for DefaultBlockReservedWeight.
	BlockMaxWeight, BlockReservedWeight int           // weight units
	BlockMinFeeRate                     types.FeeRate // of what comes into one

	Web          string // HOST:PORT for pages that people read; empty: none
	WebAnyPort   bool   // if that port is taken, another one will do
	WebBase      string // path under which a proxy has the pages; empty: none
	WebOperator  bool   // whoever opens them on this machine may see peers and miners
	WebForwarded bool   // visitors come by a proxy, which names them in X-Forwarded-For

	Profiles bool // let users of RPC who may call everything take profiles

	REST   bool               // answer Bitcoin Core's REST to anybody who reaches RPCListen
	ZMQ    []zmqinfo.Endpoint // where to publish blocks and transactions
	Notify Notify

	Events events.Config // a stream of events; without servers there is none

	Faucet        bool         // give coins away on the pages
	FaucetAmount  types.Amount // to each who asks
	FaucetPerHour types.Amount // to all together

	Lab rpc.Lab // the network in this process that the node is of; nil: none
	Dev *Dev    // a developer's workbench; nil: none. Params are of fixed difficulty then

	Metrics string // HOST:PORT for monitors; empty: none

	Stratum    string      // HOST:PORT for miners; empty: none
	StratumTLS *tls.Config // that miners are spoken to with; nil: none
	MaxMiners  int         // that connect; 0: DefaultMaxMiners

	// Now, Dial, Resolve and NewListener replace the machine's clock and network in
	// tests. Dial gets the proxy's address where there is one.
	Now         func() time.Time
	Dial        func(ctx context.Context, address string) (net.Conn, error)
	Resolve     func(ctx context.Context, host string) ([]netip.Addr, error)
	NewListener func(address string) (net.Listener, error)
}
