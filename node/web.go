package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/web"
	"github.com/karatcoin/karat/web/faucet"
)

// newWeb makes the server of pages, if there are to be some.
func (n *Node) newWeb(s *services) (err error) {
	s.webListener, err = n.listen(n.config.Web, "browsers", "--web")
	if n.config.WebAnyPort && errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(n.config.Web) // it has been listened at
		s.webListener, err = n.listen(net.JoinHostPort(host, "0"), "browsers", "--web")
	}
	if err != nil || s.webListener == nil {
		return err
	}
	options := web.Options{
		Params: n.config.Params, UserAgent: UserAgent, Headers: n.chain, Blocks: n.chain, Pool: currentPool{s.pool}, Journal: s.pool,
		Status: webStatus{n, s}, Network: s.peers, Operator: n.config.WebOperator, BuiltIn: n.isBuiltIn("main") || n.isBuiltIn("dev"), Base: n.config.WebBase, Forwarded: n.config.WebForwarded, Dev: n.isBuiltIn("dev"),
		Logger: n.log, Sender: webSender{clientPool{currentPool{s.pool}, s.bench}},
	}
	if n.index != nil {
		options.Index, options.Scripts = n.index, n.index
	}
	if s.stratum != nil {
		options.Stratum = s.stratum
	}
	if n.config.Faucet {
		if s.faucet, err = n.newFaucet(s); err != nil {
			return err
		}
		options.Faucet = s.faucet
	}
	s.web = web.New(options)
	return nil
}

// newFaucet makes what gives coins away.
func (n *Node) newFaucet(s *services) (*faucet.Faucet, error) {
	var key []byte
	if n.config.Dev != nil {
		key = n.config.Dev.Keys.BankSecret()
	}
	return faucet.New(faucet.Options{
		Key:    key,
		Params: n.config.Params, KeyFile: filepath.Join(n.config.DataDir, faucetFile), StateFile: filepath.Join(n.config.DataDir, faucetStateFile), Chain: n.chain, Pool: faucetPool{s.pool},
		Amount: n.config.FaucetAmount, PerHour: n.config.FaucetPerHour, Interval: faucet.DefaultInterval, Now: n.clock.real, Logger: n.ownLog,
	})
}

// FaucetScript returns what pays the faucet of a network's data folder. It makes the faucet's key
// if there is none.
func FaucetScript(dataDir string) ([]byte, error) {
	return faucet.ScriptOf(filepath.Join(dataDir, faucetFile))
}

// faucetPool is the pool for the faucet, whose payments are this node's own.
type faucetPool struct{ *mempool.Pool }

// Accept implements faucet.Pool.
func (p faucetPool) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	return currentPool(p).Accept(ctx, tx, maxFeeRate)
}

// webSender implements web.Sender. What visitors send is judged, and refused in the words, of RPC's
// methods.
type webSender struct{ pool clientPool }

// Accept implements web.Sender.
func (w webSender) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	entry, err := w.pool.Accept(ctx, tx, maxFeeRate)
	if err != nil {
		return nil, rpc.Rejection(err)
	}
	return entry, nil
}

// SubmitPackage implements web.Sender.
func (w webSender) SubmitPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate, maxBurn types.Amount) ([]byte, error) {
	return rpc.SubmitPackage(ctx, w.pool, txs, maxFeeRate, maxBurn)
}

// isBuiltIn reports whether this is the built-in network of a name.
func (n *Node) isBuiltIn(name string) bool {
	params, err := karat.LoadNetwork(name)
	return err == nil && n.config.Params.Identity() == params.Identity()
}

// webStatus implements web.Status.
type webStatus struct {
	n *Node
	s *services
}

// Now implements web.Status.
func (w webStatus) Now() time.Time { return w.n.clock.now() }

// Syncing implements web.Status.
func (w webStatus) Syncing() bool { return w.s.peers.Syncing() }

// Peers implements web.Status.
func (w webStatus) Peers() int { return len(w.s.peers.Peers()) }

// Invitation implements web.Status.
func (w webStatus) Invitation(host string) string {
	if w.s.peerListener == nil || w.n.config.Proxy != "" {
		return ""
	}
	listens, err := netip.ParseAddrPort(w.s.peerListener.Addr().String())
	ip, notIP := netip.ParseAddr(host)
	hostIsHere := strings.EqualFold(host, "localhost") || notIP == nil && ip.Unmap().IsLoopback()
	if err != nil || listens.Addr().IsLoopback() && !hostIsHere {
		return ""
	}
	if hostIsHere && notIP != nil { // localhost may be ::1, where nobody listens
		host = "127.0.0.1"
	}
	at := net.JoinHostPort(host, strconv.Itoa(int(listens.Port())))
	if known := w.s.peers.External(); len(known) > 0 {
		at = known[0].At.String()
	} else if hostIsHere && listens.Addr().IsLoopback() {
		at = listens.String()
	}
	return w.s.peers.NodeID().String() + "@" + at
}
