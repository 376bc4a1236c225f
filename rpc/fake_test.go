package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// fake is what a server answers from in these tests: the interfaces with the few
// methods that a test needs. Others panic.
type fake struct {
	Headers
	Blocks
	Operator
	Control

	mu      sync.Mutex
	tip     types.Index
	updates func(since types.Index) (reverted, applied []consensus.BlockUpdate, err error)
	coinSet func(ctx context.Context) // is called by gettxoutsetinfo
	blocks  chan struct{}             // poked by a test
	txs     chan struct{}
	entries []*pending.Entry
	stop    func()

	blockFeeds, txFeeds atomic.Int32 // subscriptions that are not cancelled
	most                atomic.Int32 // updates that were asked for at once
}

func newFake() *fake {
	return &fake{blocks: make(chan struct{}, 1), txs: make(chan struct{}, 1), stop: func() {}}
}

func (f *fake) Tip() types.Index {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tip
}

func (f *fake) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	f.most.Store(max(f.most.Load(), int32(limit)))
	if f.updates == nil {
		return nil, nil, nil
	}
	reverted, applied, err = f.updates(since)
	return reverted, applied[:min(len(applied), limit)], err
}

func (f *fake) CoinSet(ctx context.Context, _, _ bool) (types.Index, coinstats.Stats, error) {
	f.coinSet(ctx)
	return types.Index{}, coinstats.Stats{}, ctx.Err()
}

// gate makes gettxoutsetinfo take a time.
func (f *fake) gate(d time.Duration) { f.coinSet = func(context.Context) { time.Sleep(d) } }

func (f *fake) CoinsOnDisk() int64 { return 0 }

func (f *fake) Stop() { f.stop() }

func (f *fake) Warnings() []string { return []string{} }

// blockFeed and txFeed tell the two Subscribe methods apart.
type blockFeed struct{ *fake }

func (f blockFeed) Subscribe() (<-chan struct{}, func()) {
	f.blockFeeds.Add(1)
	return f.blocks, func() { f.blockFeeds.Add(-1) }
}

type txFeed struct {
	Pool
	*fake
}

func (f txFeed) Subscribe() (<-chan struct{}, func()) {
	f.txFeeds.Add(1)
	return f.txs, func() { f.txFeeds.Add(-1) }
}

// Accepted implements Pool.
func (f txFeed) Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := uint64(len(f.entries))
	since = min(since, end)
	next = min(end, since+uint64(limit))
	for _, e := range f.entries[since:next] {
		wtxids = append(wtxids, e.WTxID)
	}
	return wtxids, next
}

// SpentBy implements Pool.
func (f txFeed) SpentBy(types.OutPoint) *pending.Entry { return nil }

// GetByWitness implements Pool.
func (f txFeed) GetByWitness(wtxid types.Hash) *pending.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.entries {
		if e.WTxID == wtxid {
			return e
		}
	}
	return nil
}

// The user whom server knows.
const name, password = "alice", "secret"

// server returns one that answers from the fake, and is ready.
func (f *fake) server(t testing.TB) *Server {
	t.Helper()
	auth := &Auth{}
	if err := auth.AddPassword(name, password); err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{
		Params: &consensus.Params{Name: "test", HRP: "test"}, Headers: f, Blocks: blockFeed{f}, Operator: f,
		Pool: txFeed{fake: f}, Control: f, Auth: auth, Hosts: []string{"node", "x"},
	})
	s.Ready()
	return s
}

// post hands a body to the handler, without a connection.
func post(s *Server, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.SetBasicAuth(name, password)
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// running is a server with a listener.
type running struct {
	dial func() (net.Conn, error)
	end  func() error // ends Run, and returns what it returns
}

// run runs a server on pipes.
func run(t testing.TB, s *Server) *running {
	t.Helper()
	l := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	r := &running{dial: l.dial}
	r.end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = r.end() })
	return r
}

// pipes is a listener whose connections are pipes, which a synctest bubble knows:
// they hold nothing, so a writer waits until the other end reads.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// code returns that of an error, in an answer of any version.
func code(t testing.TB, answer string) int {
	t.Helper()
	var r struct{ Error *Error }
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if r.Error == nil {
		return 0
	}
	return r.Error.Code
}

// ended reports whether the other end of a connection has closed it.
func ended(c io.Reader) bool {
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}
