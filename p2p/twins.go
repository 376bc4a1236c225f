package p2p

import (
	"log/slog"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

const (
	// twinWait is how long the two ends of a connection may take to have heard of it.
	twinWait = 3 * time.Second
	// maxTwins bounds the connections that are looked at. Only those who have our key can
	// make one.
	maxTwins = 64
)

// twins finds out that another node has this node's key: its data folder was copied. The two
// can never connect, others mistake one for the other, and nobody would see why. A node also
// meets itself, when it calls its own address; then both ends of one handshake are here.
type twins struct {
	log *slog.Logger

	mu sync.Mutex
	// Guarded by mu:
	sessions map[types.Hash]*time.Timer // of one end each, that wait for the other
	found    string                     // where the other node was met last; empty: there is none
}

// where returns where another node with this node's key was met; empty for nowhere.
func (w *twins) where() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}

// met is told of a handshake whose other end has our key.
func (w *twins) met(session types.Hash, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if timer := w.sessions[session]; timer != nil {
		timer.Stop()
		delete(w.sessions, session)
		return
	}
	if len(w.sessions) >= maxTwins {
		return
	}
	if w.sessions == nil {
		w.sessions = map[types.Hash]*time.Timer{}
	}
	w.sessions[session] = time.AfterFunc(twinWait, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.sessions, session)
		w.found = address
		w.log.Warn("another node has this node's key: the data folder was copied. Stop one of them, remove the file node.key from its folder, and start it: it makes a key of its own", "address", address)
	})
}
