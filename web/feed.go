package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

const (
	blockPace = 50 * time.Millisecond // so that many blocks at once are one event
	syncPace  = 5 * time.Second
	poolPace  = 2 * time.Second  // between two events of the pool
	heartbeat = 25 * time.Second // so that a stream that is dead is noticed, and none is closed as idle
	// streamTime ends a stream, so that nobody keeps a place for ever. A browser begins another one by itself.
	streamTime = 2 * time.Hour
	maxReorgs  = 100 // that are remembered
)

// Reorg is a reorganisation that this node has seen.
type Reorg struct {
	Seen     time.Time
	From, To types.Index // the tip before, and the first one that had more work
	Fork     types.Index // the last block of both
	Depth    int         // blocks that left the best chain
}

// feed tells all pages that are open when they are history. What it tells is made once,
// however many they are: each stream sends the same bytes.
type feed struct {
	s *Server

	mu sync.Mutex
	// Guarded by mu:
	block, pool told
	changed     chan struct{} // closed at the next event
	reorgs      []Reorg       // the last one at the end
}

// told is an event of a kind, which takes the place of the one before.
type told struct {
	n    uint64
	text []byte
}

func newFeed(s *Server) *feed { return &feed{s: s, changed: make(chan struct{})} }

// run follows the chain and the pool until the context ends.
func (f *feed) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { f.followChain(ctx) })
	f.followPool(ctx)
	all.Wait()
}

// followChain goes along with the best chain. The header tree, which is in memory, tells
// the way from tip to tip: nothing is read beside a node that syncs.
func (f *feed) followChain(ctx context.Context) {
	poke, cancel := f.s.Blocks.Subscribe()
	defer cancel()
	var at types.Index
	for {
		if tip := f.s.Headers.Tip(); tip != at {
			if reorg, ok := f.reorg(at, tip); ok {
				f.note(reorg)
			}
			at = tip
			f.put("block", map[string]any{"height": tip.Height, "hash": tip.Hash.String()})
		}
		select {
		case <-poke:
		case <-ctx.Done():
			return
		}
		if !pause(ctx, f.pace()) {
			return
		}
	}
}

// pace is how long after a poke the tip is told.
func (f *feed) pace() time.Duration {
	if f.s.Status.Syncing() {
		return syncPace
	}
	return blockPace
}

// pause waits, and reports whether there is time left to go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// reorg tells of the way between two tips, if the first one is not on the best chain any more.
func (f *feed) reorg(from, to types.Index) (Reorg, bool) {
	info, ok := f.s.Headers.Info(from.Hash)
	if !ok || info.OnBestChain {
		return Reorg{}, false
	}
	r := Reorg{Seen: f.s.Status.Now(), From: from, To: to}
	for ; ok && !info.OnBestChain; info, ok = f.s.Headers.Info(info.Header.PrevBlock) {
		r.Depth++
	}
	r.Fork = types.Index{Height: info.Height, Hash: info.Hash}
	return r, ok
}

func (f *feed) note(r Reorg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reorgs = append(f.reorgs, r); len(f.reorgs) > maxReorgs {
		f.reorgs = f.reorgs[1:]
	}
}

// seen returns the reorganisations since the start, the last one first.
func (f *feed) seen() (list []Reorg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.reorgs) - 1; i >= 0; i-- {
		list = append(list, f.reorgs[i])
	}
	return list
}

// followPool goes along with the pool, at a pace that people can read.
func (f *feed) followPool(ctx context.Context) {
	poke, cancel := f.s.Journal.Subscribe()
	defer cancel()
	before := uint64(0)
	for {
		f.s.changes.follow()
		if info := f.s.Pool.Info(); info.Sequence != before {
			before = info.Sequence
			f.put("pool", map[string]any{"count": info.Count, "vsize": info.VSize})
		}
		select {
		case <-poke:
		case <-ctx.Done():
			return
		}
		if !pause(ctx, poolPace) {
			return
		}
	}
}

func (f *feed) put(kind string, data map[string]any) {
	text, _ := json.Marshal(data) // of numbers and digits
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &f.pool
	if kind == "block" {
		m = &f.block
	}
	m.n++
	m.text = fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, text)
	close(f.changed)
	f.changed = make(chan struct{})
}

// next returns what a stream that has seen so much must be sent, and what tells of more.
func (f *feed) next(block, pool *uint64) (out []byte, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range []struct {
		seen *uint64
		now  told
	}{{block, f.block}, {pool, f.pool}} {
		if *m.seen != m.now.n {
			*m.seen = m.now.n
			out = append(out, m.now.text...)
		}
	}
	return out, f.changed
}

// events is the stream of server-sent events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	end, ok := s.guard.stream(s.guard.visitorOf(r))
	if !ok {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer end()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	send := func(b []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.Write(b)
		return err == nil && control.Flush() == nil
	}
	_ = control.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(r.Context(), streamTime)
	defer cancel()
	if !send([]byte("retry: 3000\n\n")) {
		return
	}
	var block, pool uint64
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		out, changed := s.feed.next(&block, &pool)
		if len(out) > 0 && !send(out) {
			return
		}
		select {
		case <-changed:
		case <-beat.C:
			if !send([]byte(": still here\n\n")) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
