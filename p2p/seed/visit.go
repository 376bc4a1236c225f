package seed

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of a visit.
const (
	visitTime    = 30 * time.Second
	maxVisitRead = 512 << 10 // a list of peers is 58 KB, and a node may have news first
)

// target is whom to visit.
type target struct {
	address string           // HOST:PORT
	id      *peerinfo.NodeID // nil: whoever answers
}

// parseTarget reads [ID@]HOST:PORT.
func parseTarget(text string) (t target, err error) {
	t.address = text
	if id, address, ok := strings.Cut(text, "@"); ok {
		parsed, err := peerinfo.ParseNodeID(id)
		if err != nil {
			return target{}, err
		}
		t = target{address, &parsed}
	}
	if host, port, err := net.SplitHostPort(t.address); err != nil || host == "" || port == "" {
		return target{}, fmt.Errorf("%.200q is no address: want [ID@]HOST:PORT", text)
	}
	return t, nil
}

// meeting is what a visit found.
type meeting struct {
	full  bool // the node says that it has all blocks
	agent string
	told  []netip.AddrPort
}

// meet calls a node, asks it for peers, and hangs up. A node that greets and does not tell
// of others is one all the same. The ids that peers tell are not asked for: whoever
// tells a false one would make a good node seem dead.
func (s *Seed) meet(ctx context.Context, t target) (at netip.AddrPort, found meeting, err error) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	at, _ = netip.ParseAddrPort(t.address) // not valid: a name
	raw, err := s.o.Dial(ctx, t.address)
	if err != nil {
		return at, found, err
	}
	defer raw.Close()
	if remote, err := netip.ParseAddrPort(raw.RemoteAddr().String()); err == nil && !at.IsValid() {
		at = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	}
	conn, err := noise.Client(ctx, raw, s.o.Key, s.o.Params.Identity(), t.id)
	if err != nil {
		return at, found, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	greeting, err := s.greeting()
	if err != nil {
		return at, found, err
	}
	sent := make(chan struct{})
	go func() { // both sides speak first
		defer close(sent)
		_, _ = conn.Write(greeting) // if it fails, so does reading
	}()
	found, err = listenTo(io.LimitReader(conn, maxVisitRead))
	raw.Close()
	<-sent
	return at, found, err
}

// greeting returns what is said to every node: who we are, which is nobody with blocks,
// and that we want to hear of others.
func (s *Seed) greeting() ([]byte, error) {
	var f wire.Fragmenter
	for _, m := range []wire.Message{
		&wire.Hello{Version: wire.Version, UserAgent: s.o.UserAgent, Tip: s.o.Params.GenesisBlock().Hash, Time: s.o.Now().Unix()},
		&wire.GetPeers{},
	} {
		if err := f.Push(m); err != nil {
			return nil, err
		}
	}
	var all []byte
	for more := true; more; {
		all, more = f.AppendNext(all)
	}
	return all, nil
}

// listenTo reads until the node has greeted and told of peers. What else it says is
// passed over, and nothing of it is kept. The error is nil once it has greeted.
func listenTo(r io.Reader) (found meeting, err error) {
	buf := make([]byte, wire.MaxFragmentSize)
	assembler := wire.NewAssembler(0)
	greeted := false
	for {
		fragment, err := wire.ReadFragment(r, buf)
		if err == nil && !greeted && fragment.Type != wire.TypeHello {
			err = fmt.Errorf("%w: the first message is %s", wire.ErrProtocol, fragment.Type)
		}
		var message wire.Message
		if err == nil && (fragment.Type == wire.TypeHello || fragment.Type == wire.TypePeers) {
			message, _, err = assembler.Push(fragment)
		}
		if err != nil {
			if greeted {
				return found, nil
			}
			return found, err
		}
		switch m := message.(type) {
		case *wire.Hello:
			if _, err := wire.Negotiate(m.Version); err != nil {
				return found, err
			}
			greeted, found.full, found.agent = true, m.Services&wire.ServiceNetwork != 0, m.UserAgent
		case *wire.Peers:
			for _, p := range m.Peers {
				found.told = append(found.told, p.Addr)
			}
			return found, nil
		}
	}
}
