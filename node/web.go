package node

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/web"
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
		Status: webStatus{n, s.peers}, Base: n.config.WebBase, Forwarded: n.config.WebForwarded, Dev: n.isDev(),
		Logger: n.log,
	}
	if n.index != nil {
		options.Index = n.index
	}
	s.web = web.New(options)
	return nil
}

// isDev reports whether this is the built-in dev network.
func (n *Node) isDev() bool {
	dev, err := karat.LoadNetwork("dev")
	return err == nil && n.config.Params.Identity() == dev.Identity()
}

// webStatus implements web.Status.
type webStatus struct {
	n     *Node
	peers *p2p.Manager
}

// Now implements web.Status.
func (w webStatus) Now() time.Time { return w.n.clock.now() }

// Syncing implements web.Status.
func (w webStatus) Syncing() bool { return w.peers.Syncing() }

// Peers implements web.Status.
func (w webStatus) Peers() int { return len(w.peers.Peers()) }

// Pruned implements web.Status.
func (w webStatus) Pruned() (pruned bool, height uint32) {
	if !w.n.config.prunes() {
		return false, 0
	}
	return true, w.n.chain.PruneHeight()
}
