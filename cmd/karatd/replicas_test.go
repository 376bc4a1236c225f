package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/rpc"
)

var replicaKills = flag.Int("replica-kills", 1, "how many times a node behind HAProxy is killed")

const replicaUser, replicaPassword = "reader", "three nodes, one address"

// replicas are three nodes of one network behind HAProxy, each with an address of its own.
type replicas struct {
	t     *testing.T
	nodes [3]*daemon
	args  [3][]string
	at    string // HAProxy's, for calls
	pages string // and for browsers
}

// startReplicas starts the nodes, of which the first mines, and HAProxy with the configuration
// of contrib, in which nothing but addresses and ports is another.
func startReplicas(t *testing.T) *replicas {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("NOT RUN: haproxy is not installed (apt-get install haproxy), so nothing was tried behind it")
	}
	text, err := os.ReadFile("../../contrib/haproxy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	dir, config := t.TempDir(), string(text)
	replace := func(old, new string) {
		t.Helper()
		if !strings.Contains(config, old) {
			t.Fatalf("haproxy.cfg has no %q", old)
		}
		config = strings.ReplaceAll(config, old, new)
	}
	r := &replicas{t: t, at: freeport.At(t, loopback), pages: freeport.At(t, loopback)}
	ports := [3]string{}
	for i := range ports {
		ports[i] = freeport.Of(t, "127.0.0.11", "127.0.0.12", "127.0.0.13")
	}
	calls, pages, metrics := ports[0], ports[1], ports[2]
	replace("127.0.0.1:9554", r.at)
	replace("127.0.0.1:9580", r.pages)
	replace("192.0.2.", "127.0.0.")
	replace(":9554", ":"+calls)
	replace(":9580", ":"+pages)
	replace("port 9560", "port "+metrics)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(replicaPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range r.nodes {
		host := fmt.Sprintf("127.0.0.%d:", 11+i)
		r.args[i] = []string{
			"--rpc-listen", host + calls, "--metrics", host + metrics, "--web", host + pages, "--web-forwarded",
			"--rpc-user", replicaUser, "--rpc-password-file", password, "--log-level", "warn",
		}
	}
	for i := range r.nodes {
		switch i {
		case 0:
			r.args[i] = append(r.args[i], "--mine", "--mine-interval", "100ms")
		default:
			r.args[i] = append(r.args[i], "--connect", r.nodes[0].listen)
		}
		r.start(i, t.TempDir(), freeport.At(t, loopback))
	}
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	balancer, said := exec.Command(program, "-f", path), &said{}
	balancer.Stdout, balancer.Stderr = said, said
	if err := balancer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = balancer.Process.Kill()
		_ = balancer.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	waitFor(t, "the balancer answers", func() bool {
		var height int
		return r.client().Call(t.Context(), "getblockcount", &height) == nil && height > 5
	})
	return r
}

func (r *replicas) start(i int, dir, listen string) {
	r.t.Helper()
	r.nodes[i] = startDaemon(r.t, dir, listen, r.args[i]...)
}

// client calls the nodes through the balancer.
func (r *replicas) client() *rpc.Client {
	return rpc.NewClient("http://"+r.at, replicaUser, replicaPassword)
}

// nodeID is a node's, so that a test knows who has answered.
func nodeID(c *rpc.Client) (string, error) {
	var info struct{ NodeID string }
	err := c.Call(context.Background(), "getnetworkinfo", &info)
	return info.NodeID, err
}

// readers ask what wallets, explorers and accounting ask, until they are stopped.
type readers struct {
	all     sync.WaitGroup
	stopped atomic.Bool
	reads   atomic.Int64
	mu      sync.Mutex
	failed  []error
}

func (r *replicas) read(n int) *readers {
	all := &readers{}
	for range n {
		all.all.Go(func() {
			client := r.client()
			for !all.stopped.Load() {
				if err := readSomething(client); err != nil {
					all.mu.Lock()
					all.failed = append(all.failed, err)
					all.mu.Unlock()
				}
				all.reads.Add(1)
			}
		})
	}
	return all
}

// stop returns how many reads there were, none of which may have failed.
func (r *readers) stop(t *testing.T) int64 {
	t.Helper()
	r.stopped.Store(true)
	r.all.Wait()
	for i, err := range r.failed {
		if i == 10 {
			break
		}
		t.Errorf("a read failed: %v", err)
	}
	return r.reads.Load()
}

func readSomething(c *rpc.Client) error {
	ctx := context.Background()
	height := 1 + rand.IntN(5)
	var hash string
	if err := c.Call(ctx, "getblockhash", &hash, height); err != nil {
		return err
	}
	var block struct {
		Height int
		Tx     []struct{ Txid string }
	}
	if err := c.Call(ctx, "getblock", &block, hash, 2); err != nil {
		return err
	}
	if block.Height != height || len(block.Tx) != 1 {
		return fmt.Errorf("block %d is %+v", height, block)
	}
	if err := c.Call(ctx, "gettxout", nil, block.Tx[0].Txid, 0); err != nil {
		return err
	}
	return readMuch(ctx, c, hash)
}

// readMuch asks for an answer that leaves a node in pieces. One that has begun to come is not
// asked for again by the balancer: it is cut off, which a client sees, and asks again.
func readMuch(ctx context.Context, c *rpc.Client, hash string) (err error) {
	calls := make([][]any, 40)
	for i := range calls {
		calls[i] = []any{hash, 2}
	}
	for range 2 {
		err = c.Batch(ctx, "getblock", calls, func(_ int, _ json.RawMessage, err error) error { return err })
		if !errors.Is(err, rpc.ErrUnreachable) {
			break
		}
	}
	return err
}

// TestReplicas: nodes behind HAProxy are one node to who reads, while one of them is killed,
// comes back, and another falls behind.
func TestReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs four processes for some seconds")
	}
	r := startReplicas(t)
	readers := r.read(6)

	// A node is killed, and comes back.
	waitFor(t, "there is load", func() bool { return readers.reads.Load() > 200 })
	for range *replicaKills {
		r.nodes[1].kill()
		after := readers.reads.Load()
		waitFor(t, "the others answer", func() bool { return readers.reads.Load() > after+200 })
		r.start(1, r.nodes[1].dir, r.nodes[1].listen)
		r.answeredBy(3)
	}

	// A node hears nothing of new blocks any more, and nobody hears from it.
	call[any](r.nodes[2], "setnetworkactive", false)
	stale := call[int](r.nodes[2], "getblockcount")
	waitFor(t, "blocks come", func() bool { return call[int](r.nodes[0], "getblockcount") > stale+5 })
	waitFor(t, "who is behind is not asked", func() bool { return r.lowest() > stale })
	if got := r.lowest(); got <= stale {
		t.Errorf("height %d, of a node that knows %d", got, stale)
	}
	call[any](r.nodes[2], "setnetworkactive", true)
	r.answeredBy(3)
	t.Logf("%d reads, of which none may fail", readers.stop(t))

	// Whoever reads pages has one node, and his own limits.
	answer, err := http.Get("http://" + r.pages + "/")
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Errorf("the pages: %s", answer.Status)
	}
	r.sockets()
}

// lowest is the lowest height that nodes answer, when they are asked so often that all are.
func (r *replicas) lowest() int {
	r.t.Helper()
	client, least := r.client(), math.MaxInt
	for range 60 {
		var height int
		if err := client.Call(r.t.Context(), "getblockcount", &height); err != nil {
			r.t.Fatalf("a read failed: %v", err)
		}
		least = min(least, height)
	}
	return least
}

// answeredBy waits until so many nodes answer.
func (r *replicas) answeredBy(n int) {
	r.t.Helper()
	client := r.client()
	waitFor(r.t, fmt.Sprintf("%d nodes answer", n), func() bool {
		ids := map[string]bool{}
		for range 30 {
			id, err := nodeID(client)
			if err != nil {
				r.t.Fatalf("a read failed: %v", err)
			}
			ids[id] = true
		}
		return len(ids) == n
	})
}

// event is what a subscription tells.
type event struct {
	Event    string
	Sequence uint64
	Cursor   json.RawMessage
	Block    struct{ Height int }
}

// sockets: a client has the same node whenever it comes, and another one when that is killed,
// where it goes on at its cursor.
func (r *replicas) sockets() {
	t := r.t
	ids := map[string]int{}
	for i, node := range r.nodes {
		id, err := nodeID(node.client)
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = i
	}
	// Blocks come from the first node, so that another one is killed.
	from := 1
	first, id := r.socket(from)
	for ids[id] == 0 {
		first.Close()
		from++
		first, id = r.socket(from)
	}
	for range 5 {
		again, other := r.socket(from)
		if again.Close(); other != id {
			t.Errorf("a socket is at node %d, the one before at %d", ids[other], ids[id])
		}
	}
	last, err := follow(first, event{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	r.nodes[ids[id]].kill()
	for err == nil {
		_, _, err = first.ReadMessage()
	}
	second, other := r.socket(from)
	defer second.Close()
	if other == id {
		t.Errorf("node %d answers, which was killed", ids[id])
	}
	if _, err := follow(second, last, 10); err != nil {
		t.Error(err)
	}
}

// follow subscribes behind an event, and hears so many more, of which none may be missing.
func follow(c *websocket.Conn, last event, n int) (event, error) {
	params := map[string]any{"events": []string{}}
	if last.Cursor != nil {
		params["from"] = last.Cursor
	}
	if err := c.WriteJSON(map[string]any{"method": "subscribe", "params": params, "id": 1}); err != nil {
		return last, err
	}
	for n > 0 {
		var message struct {
			Method string
			Params []event
			Error  any
		}
		if err := c.ReadJSON(&message); err != nil || message.Error != nil {
			return last, fmt.Errorf("%v %v", message.Error, err)
		}
		if message.Method != "event" {
			continue
		}
		e := message.Params[0]
		if last.Cursor != nil && (e.Event != "blockapplied" || e.Sequence != last.Sequence+1 || e.Block.Height != last.Block.Height+1) {
			return last, fmt.Errorf("%+v follows %+v", e, last)
		}
		last = e
		n--
	}
	return last, nil
}

// socket opens a WebSocket from one of this machine's addresses, and tells at which node it is.
func (r *replicas) socket(from int) (c *websocket.Conn, id string) {
	r.t.Helper()
	request, _ := http.NewRequest(http.MethodGet, "http://"+r.at, nil)
	request.SetBasicAuth(replicaUser, replicaPassword)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(from))}}
	c, _, err := (&websocket.Dialer{NetDialContext: dialer.DialContext}).Dial("ws://"+r.at+"/ws", request.Header)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	var answer struct{ Result struct{ NodeID string } }
	if err := c.WriteJSON(map[string]any{"method": "getnetworkinfo", "id": 0}); err != nil {
		r.t.Fatal(err)
	}
	if err := c.ReadJSON(&answer); err != nil {
		r.t.Fatal(err)
	}
	return c, answer.Result.NodeID
}
