package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/logswitch"
	"github.com/karatcoin/karat/internal/threadtime"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/miner/stratum"
	"github.com/karatcoin/karat/node/dev"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/node/monitor"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/p2p/dial"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/portmap"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/rpc/zeromq"
	"github.com/karatcoin/karat/web"
	"github.com/karatcoin/karat/web/faucet"
)

// services are what Run runs, and the listeners that they are given.
type services struct {
	pool      *mempool.Pool
	miner     *miner.Miner
	peers     *p2p.Manager
	server    *rpc.Server
	mapper    *portmap.Mapper   // nil: no router is asked
	stratum   *stratum.Server   // nil: no miner is let in
	publisher *zeromq.Publisher // nil: nothing is published by ZeroMQ
	events    *events.Publisher // nil: no stream of events is written
	faucet    *faucet.Faucet    // nil: nothing is given away
	web       *web.Server       // nil: there are no pages
	bench     *dev.Bench        // nil: this is no developer's workbench

	peerListener    net.Listener // nil: none
	minerListener   net.Listener // nil: none
	webListener     net.Listener // nil: none
	monitorListener net.Listener // nil: none
	rpcListeners    []net.Listener
	fingerprint     string    // of the certificate for RPC clients; empty: no TLS
	certificateEnd  time.Time // of that certificate
	auth            *rpc.Auth
	locked          atomic.Pointer[[]string] // users of RPC who may call nothing
	removeCookie    func() error

	listens atomic.Bool // everything has started
}

// close closes the listeners of services that will not run.
func (s *services) close() {
	for _, l := range append([]net.Listener{s.peerListener, s.minerListener, s.webListener, s.monitorListener}, s.rpcListeners...) {
		if l != nil {
			l.Close()
		}
	}
}

// assemble builds what Run runs. It opens the listeners, so that a port that is taken
// is told before anything begins. Nothing runs yet, and with an error nothing is left
// open.
func (n *Node) assemble() (s *services, err error) {
	s = &services{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	key, err := noise.LoadOrCreateKey(filepath.Join(n.config.DataDir, keyFile))
	if err != nil {
		return s, err
	}
	if n.config.Faucet && len(n.config.MineTo) == 0 { // what this node mines is for the faucet, then
		if n.config.MineTo, err = FaucetScript(n.config.DataDir); err != nil {
			return s, err
		}
	}
	s.pool = mempool.New(mempool.Options{
		Policy: n.config.Policy, Params: n.config.Params, Chain: n.chain, Now: n.clock.now, Logger: n.log.With(logswitch.Category("mempool")),
	})
	s.miner = miner.New(miner.Options{
		Params: n.config.Params, Chain: n.chain, Pool: currentPool{s.pool}, ScriptPubKey: n.config.MineTo, Threads: n.config.Threads, MaxRate: n.config.MineRate,
		MaxWeight: n.config.BlockMaxWeight, MinFeeRate: n.config.BlockMinFeeRate, ReservedWeight: n.config.BlockReservedWeight,
		Interval: n.config.MineInterval, ExtraNonce: rand.Uint64(), Tag: UserAgent, Now: n.clock.now, Logger: n.log,
	})
	n.newBench(s)
	if s.peerListener, err = n.listen(n.config.Listen, "peers", "--listen"); err != nil {
		return s, err
	}
	if err := n.newMapper(s); err != nil {
		return s, err
	}
	if s.peers, err = n.newPeers(key, s); err != nil {
		return s, err
	}
	if s.minerListener, err = n.listen(n.config.Stratum, "miners", "--stratum"); err != nil {
		return s, err
	}
	n.newStratum(s)
	if s.monitorListener, err = n.listen(n.config.Metrics, "monitors", "--metrics"); err != nil {
		return s, err
	}
	if err := n.newPublisher(s); err != nil {
		return s, err
	}
	if err := n.newEvents(s, key); err != nil {
		return s, err
	}
	if err := n.newWeb(s); err != nil {
		return s, err
	}
	for _, address := range n.config.RPCListen {
		l, err := n.listen(address, "RPC clients", "--rpc-listen")
		if err != nil {
			return s, err
		}
		s.rpcListeners = append(s.rpcListeners, l)
	}
	return s, n.newServer(s)
}

// newStratum makes the server of miners that connect, if there is to be one.
func (n *Node) newStratum(s *services) {
	if s.minerListener == nil {
		return
	}
	s.stratum = stratum.New(stratum.Options{
		Params: n.config.Params, Templates: s.miner, Chain: n.chain, Pool: s.pool, Listener: s.minerListener, TLS: n.config.StratumTLS,
		PayTo: n.config.MineTo, Tag: UserAgent, MaxConnections: n.config.MaxMiners,
		Now: n.clock.now, Clock: n.clock.real, Logger: n.log.With(logswitch.Category("stratum")), OwnLogger: n.ownLog,
	})
}

// newMonitor makes what monitors read.
func (n *Node) newMonitor(s *services) *monitor.Server {
	o := monitor.Options{
		Version: karat.Version, Params: n.config.Params, Chain: n.chain, Pool: s.pool, Network: s.peers, Clients: s.server, Store: n.store,
		Started: s.listens.Load, Now: n.clock.real,
	}
	if s.stratum != nil {
		o.Miners = s.stratum
	}
	if s.events != nil {
		o.Events = s.events
	}
	return monitor.New(o)
}

// newPublisher makes what publishes by ZeroMQ, if anything is to be published.
func (n *Node) newPublisher(s *services) (err error) {
	if len(n.config.ZMQ) > 0 {
		s.publisher, err = zeromq.New(zeromq.Options{Endpoints: n.config.ZMQ, Chain: n.chain, Pool: s.pool, Syncing: n.syncing, Logger: n.log})
	}
	return err
}

// newEvents makes what writes the stream of events, if there is to be one. A hash of the
// node's id is the name under which it writes: the id itself is nothing that readers need.
func (n *Node) newEvents(s *services, key noise.Key) (err error) {
	if n.config.Events.Servers == "" {
		return nil
	}
	if n.config.Events.Readable() {
		n.log.Warn("the password of --events goes through a network unencrypted: tls:// in its place hides it")
	}
	id := key.ID()
	name := taproot.TaggedHash("karat/events", id[:])
	s.events, err = events.New(events.Options{
		Config: n.config.Events, Params: n.config.Params, Chain: n.chain, Writer: hex.EncodeToString(name[:8]), Board: n.warnings, Logger: n.log,
	})
	if err != nil {
		return fmt.Errorf("--events: %w", err)
	}
	return nil
}

// listen opens a listener at an address; none for an empty one. The error names the
// flag with which it can be mended.
func (n *Node) listen(address, whom, flag string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	open := n.config.NewListener
	if open == nil {
		open = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	l, err := open(address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s at %s: %w (is another node running? choose another address with %s)", whom, address, err, flag)
	}
	return l, nil
}

// CheckPeer checks the form of a peer's address, [ID@]HOST:PORT.
func CheckPeer(address string) error { return p2p.ParseAddress(address) }

// newPeers makes the connections to peers. It checks all addresses first: one that is
// wrong is the operator's mistake, and is told at once, with the flag, and not while it
// is dialled.
func (n *Node) newPeers(key noise.Key, s *services) (*p2p.Manager, error) {
	dialer := dial.New(dial.Options{
		Proxy: n.config.Proxy, Onion: n.config.Onion, Isolate: !n.config.OneStream, Direct: n.config.Dial, Lookup: n.config.Resolve,
	})
	for _, address := range n.config.Connect {
		err := CheckPeer(address)
		if err == nil {
			err = dialer.Check(address[strings.LastIndexByte(address, '@')+1:])
		}
		if err != nil {
			return nil, fmt.Errorf("--connect: %w", err)
		}
	}
	allow, trust, err := n.config.lists()
	if err != nil {
		return nil, err
	}
	// The port that peers are told; 0: we take no connections. They put it to the address
	// that they see, which is not ours behind a proxy.
	port := uint16(0)
	if s.peerListener != nil && n.config.Proxy == "" {
		if address, ok := s.peerListener.Addr().(*net.TCPAddr); ok {
			port = uint16(address.Port)
		}
	}
	return p2p.New(p2p.Options{
		Params: n.config.Params, Key: key, Headers: n.chain, Blocks: n.chain, Pool: s.pool,
		UserAgent: UserAgent, Pruned: n.config.prunes(), Listener: s.peerListener, ListenPort: port,
		Dial: dialer.Dial, Resolve: dialer.Resolve, ByName: dialer.ByName, Check: dialer.Check, Reach: dialer.Reach, External: s.external(n.config.External),
		Connect: n.config.Connect, Allow: allow, Discover: !n.config.NoDiscovery, MaxInbound: n.config.MaxPeers, MaxPerAddress: n.config.MaxPerAddress, ThreadTime: threadtime.Now, Trust: trust, BlocksOnly: p2p.DefaultBlocksOnly, MaxUpload: n.config.MaxUpload, MaxMemory: n.config.PeerBytes,
		File: filepath.Join(n.config.DataDir, "peers.json"), BanFile: filepath.Join(n.config.DataDir, "banlist.json"), Now: n.clock.real, Logger: n.log.With(logswitch.Category("net")),
	}), nil
}

// lists reads whom the operator lets in alone, and whom he trusts.
func (c *Config) lists() (allow []peerinfo.NodeID, trust []peerinfo.Selector, err error) {
	for _, text := range c.AllowPeers {
		id, err := peerinfo.ParseNodeID(text)
		if err != nil {
			return nil, nil, fmt.Errorf("--allow-peer: %w", err)
		}
		allow = append(allow, id)
	}
	for _, text := range c.TrustPeers {
		who, err := peerinfo.ParseSelector(text)
		if err != nil {
			return nil, nil, fmt.Errorf("--trust-peer: %w", err)
		}
		trust = append(trust, who)
	}
	return allow, trust, nil
}

// newMapper makes what asks the router for a port, if it is to be asked.
func (n *Node) newMapper(s *services) error {
	if !n.config.MapPort {
		return nil
	}
	port, ok := listenPort(s.peerListener)
	switch {
	case n.config.Proxy != "":
		return errors.New("--map-port: a router would tell where the node is, which --proxy hides; leave one of them out")
	case !ok:
		return errors.New("--map-port: the node listens where no router can reach it; see --listen")
	}
	s.mapper = portmap.New(portmap.Options{Port: port, Name: "karat " + n.config.Params.Name, Logger: n.log.With(logswitch.Category("net"))})
	return nil
}

// listenPort returns the port of a listener that other machines can reach.
func listenPort(l net.Listener) (port uint16, ok bool) {
	if l == nil {
		return 0, false
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	return at.Port(), err == nil && !at.Addr().IsLoopback()
}

// external returns a function that tells where peers can reach this node: as the
// operator says, and else as the router does.
func (s *services) external(told []netip.AddrPort) func() []netip.AddrPort {
	if len(told) > 0 || s.mapper == nil {
		return func() []netip.AddrPort { return told }
	}
	return s.mapper.External
}

// newServer makes the RPC server. Its errors name the flag that was wrong.
func (n *Node) newServer(s *services) error {
	auth, err := n.newAuth(s)
	if err != nil {
		return err
	}
	s.auth = auth
	secret, err := n.rpcTLS(s)
	if err != nil {
		return err
	}
	c := &control{node: n, peers: s.peers, since: n.clock.real()}
	options := rpc.Options{
		Params: n.config.Params, UserAgent: UserAgent, Headers: n.chain, Blocks: n.chain, Operator: operator{n.chain, n}, Pool: clientPool{currentPool{s.pool}, s.bench},
		Miner: rpcMiner{s.miner}, PayTo: n.config.MineTo, BlockMinFeeRate: n.config.BlockMinFeeRate, Network: s.peers,
		Control: c, Doctor: &diagnoser{n: n, s: s, c: c}, Auth: auth, Logs: n.logs, Logger: n.log.With(logswitch.Category("rpc")),
		TLS: secret, Hosts: rpcHosts(n.config.RPCHosts), AllowIP: n.config.RPCAllowIP, IdleTimeout: n.config.RPCIdle, Limits: n.config.RPCLimits,
		REST: n.config.REST, ZMQ: n.config.ZMQ, Lab: n.config.Lab,
		Profiles: n.config.Profiles,
	}
	if n.index != nil {
		options.Index, options.Scripts = n.index, n.index
	}
	if s.stratum != nil {
		options.Stratum = s.stratum
	}
	if s.bench != nil {
		options.Miner, options.Dev = benchMiner{rpcMiner{s.miner}, s.bench}, s.bench
	}
	s.server = rpc.NewServer(options)
	return nil
}
