package zeromq

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

// world is a chain and a pool of which a test says what happens.
type world struct {
	poke.Bell

	mu      sync.Mutex
	blocks  []consensus.BlockUpdate // the way to the tip, the genesis block left out
	left    []consensus.BlockUpdate // that were on it
	changes []pending.Change
	entries map[types.Hash]*pending.Entry
}

func (w *world) Tip() types.Index {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.blocks) == 0 {
		return types.Index{}
	}
	return w.blocks[len(w.blocks)-1].Update.Block
}

func (w *world) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	on := func(i types.Index) bool {
		return i.Height == 0 || int(i.Height) <= len(w.blocks) && w.blocks[i.Height-1].Update.Block == i
	}
	for !on(since) {
		i := slices.IndexFunc(w.left, func(u consensus.BlockUpdate) bool { return u.Update.Block == since })
		if i < 0 {
			return nil, nil, consensus.ErrNotFound
		}
		reverted = append(reverted, w.left[i])
		since = w.left[i].Update.Parent
	}
	for int(since.Height) < len(w.blocks) && len(applied)+len(reverted) < limit {
		applied = append(applied, w.blocks[since.Height])
		since = w.blocks[since.Height].Update.Block
	}
	return reverted, applied, nil
}

func (w *world) CatchUp(context.Context) error { return nil }

func (w *world) ChangesSince(at uint64, limit int) ([]pending.Change, uint64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.changes[at:]
	rest = rest[:min(limit, len(rest))]
	return slices.Clone(rest), at + uint64(len(rest)), true
}

func (w *world) Changes() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return uint64(len(w.changes))
}

func (w *world) GetByWitness(id types.Hash) *pending.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries[id]
}

// mine adds a block, with as many transactions, and what the pool says of it.
func (w *world) mine(name byte, txs int) {
	parent := w.Tip()
	w.mu.Lock()
	at := types.Index{Height: parent.Height + 1, Hash: types.Hash{name, 0xb}}
	block := &consensus.HashedBlock{Hash: at.Hash, Raw: []byte{name, 1, 2, 3}, Block: &types.Block{}}
	for i := range txs {
		block.Block.Txs = append(block.Block.Txs, types.Tx{LockTime: uint32(name)})
		block.TxIDs = append(block.TxIDs, types.Hash{name, byte(i)})
	}
	w.blocks = append(w.blocks, consensus.BlockUpdate{Block: block, Update: &consensus.Update{Parent: parent, Block: at}})
	w.changes = append(w.changes, pending.Change{Block: &at})
	w.mu.Unlock()
	w.Ring()
}

// undo takes the last block away, without a word of the pool until the next.
func (w *world) undo() {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.blocks) - 1
	w.left, w.blocks = append(w.left, w.blocks[last]), w.blocks[:last]
}

func (w *world) wait(name byte, number uint64, left pending.Departure) {
	w.mu.Lock()
	id := types.Hash{name, 0xaa}
	w.changes = append(w.changes, pending.Change{Sequence: number, TxID: id, WTxID: id, Added: left == "", Left: left})
	w.entries[id] = &pending.Entry{Raw: []byte{name, 9}}
	w.mu.Unlock()
	w.Ring()
}

// run publishes what happens in a new world at addresses of which %d is the number.
func run(t *testing.T, endpoints ...zmqinfo.Endpoint) (*world, *Publisher) {
	t.Helper()
	w := &world{entries: map[types.Hash]*pending.Entry{}}
	p, err := New(Options{Endpoints: endpoints, Chain: w, Pool: w})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w, p
}

// subscribe listens to topics, and returns when the publisher knows it.
func subscribe(t *testing.T, p *Publisher, address string, topics ...string) zmq4.Socket {
	t.Helper()
	sub := zmq4.NewSub(t.Context())
	t.Cleanup(func() { sub.Close() })
	if err := sub.Dial(address); err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if err := sub.SetOption(zmq4.OptionSubscribe, topic); err != nil {
			t.Fatal(err)
		}
	}
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(time.Millisecond) {
		for _, s := range p.sockets {
			s.mu.Lock()
			for u := range s.subscribers {
				u.mu.Lock()
				known := len(u.topics)
				u.mu.Unlock()
				if known == len(topics) {
					s.mu.Unlock()
					return sub
				}
			}
			s.mu.Unlock()
		}
	}
	t.Fatal("the publisher does not hear of the topics")
	return nil
}

// next is one message: topic, content in hexadecimal, number.
func next(t *testing.T, sub zmq4.Socket) (topic, body string, number uint32) {
	t.Helper()
	m, err := sub.Recv()
	if err != nil || len(m.Frames) != 3 || len(m.Frames[2]) != 4 {
		t.Fatalf("%v, %v", m, err)
	}
	return string(m.Frames[0]), hex.EncodeToString(m.Frames[1]), binary.LittleEndian.Uint32(m.Frames[2])
}

func tcp(topic string) zmqinfo.Endpoint {
	return zmqinfo.Endpoint{Topic: topic, Address: "tcp://127.0.0.1:0", HighWater: 100}
}

func hashOf(bytes ...byte) string {
	return hex.EncodeToString(shown(types.Hash(append(bytes, make([]byte, 32-len(bytes))...))))
}

// TestOrder: what happens is told in its order, with numbers that count each topic.
func TestOrder(t *testing.T) {
	w, p := run(t, tcp(zmqinfo.Sequence), tcp(zmqinfo.HashBlock), tcp(zmqinfo.RawBlock), tcp(zmqinfo.HashTx), tcp(zmqinfo.RawTx))
	sub := subscribe(t, p, "tcp://"+p.Addresses()[0].String(), "sequence", "hashblock", "rawblock", "hashtx", "rawtx")
	numbers := map[string]uint32{}
	expect := func(topic, body string) {
		t.Helper()
		gotTopic, gotBody, number := next(t, sub)
		if gotTopic != topic || gotBody != body || number != numbers[topic] {
			t.Fatalf("%s %s %d, want %s %s %d", gotTopic, gotBody, number, topic, body, numbers[topic])
		}
		numbers[topic]++
	}
	block := func(name byte, txs int, label string, tip bool) {
		t.Helper()
		for i := range txs {
			expect("hashtx", hashOf(name, byte(i)))
			_, body, _ := next(t, sub)
			if !strings.HasSuffix(body, "000000") {
				t.Fatalf("raw transaction %s", body)
			}
			numbers["rawtx"]++
		}
		expect("sequence", hashOf(name, 0xb)+label)
		if tip {
			expect("hashblock", hashOf(name, 0xb))
			expect("rawblock", hex.EncodeToString([]byte{name, 1, 2, 3}))
		}
	}
	const connected, disconnected, added, removed = "43", "44", "41", "52"
	w.wait(1, 7, "")
	expect("hashtx", hashOf(1, 0xaa))
	expect("rawtx", "0109")
	expect("sequence", hashOf(1, 0xaa)+added+"0700000000000000")
	w.mine(2, 2)
	block(2, 2, connected, true)
	w.wait(3, 8, pending.LeftBlock) // the block tells of it
	w.wait(3, 9, pending.LeftReplaced)
	expect("sequence", hashOf(3, 0xaa)+removed+"0900000000000000")
	w.mine(4, 0)
	block(4, 0, connected, true)
	w.undo()
	w.undo()
	w.mine(5, 0)
	block(4, 0, disconnected, false)
	block(2, 2, disconnected, false)
	block(5, 0, connected, true)
}

// TestReorganisation: of many blocks that come for others only the last is a tip.
func TestReorganisation(t *testing.T) {
	w, p := run(t, tcp(zmqinfo.HashBlock))
	sub := subscribe(t, p, "tcp://"+p.Addresses()[0].String(), "")
	w.mine(1, 0)
	if _, body, _ := next(t, sub); body != hashOf(1, 0xb) {
		t.Fatal(body)
	}
	w.mu.Lock() // the publisher sees nothing of this until it is over
	w.left, w.blocks = w.blocks, nil
	parent := types.Index{}
	for name := byte(2); name < 7; name++ {
		at := types.Index{Height: parent.Height + 1, Hash: types.Hash{name, 0xb}}
		w.blocks = append(w.blocks, consensus.BlockUpdate{Block: &consensus.HashedBlock{Hash: at.Hash, Block: &types.Block{}}, Update: &consensus.Update{Parent: parent, Block: at}})
		parent = at
	}
	w.mu.Unlock()
	w.Ring()
	if _, body, number := next(t, sub); body != hashOf(6, 0xb) || number != 1 {
		t.Fatal(body, number)
	}
}

// TestSlowSubscriber: one who does not read holds nobody up, and what waits for it is
// bounded.
func TestSlowSubscriber(t *testing.T) {
	const messages = 3000
	e := tcp(zmqinfo.HashBlock)
	e.HighWater = 10
	_, p := run(t, e)
	slow := subscribe(t, p, "tcp://"+p.Addresses()[0].String(), "")
	_ = slow // it reads nothing; zmq4 itself reads a few messages
	body := make([]byte, 1<<20)
	began := time.Now()
	for range messages {
		p.publish(zmqinfo.HashBlock, func() []byte { return body })
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("to publish took %s", d)
	}
	p.sockets[0].mu.Lock()
	defer p.sockets[0].mu.Unlock()
	for u := range p.sockets[0].subscribers {
		u.mu.Lock()
		if len(u.queue) > 10 || u.waiting > 11<<20 {
			t.Errorf("%d messages wait", len(u.queue))
		}
		u.mu.Unlock()
	}
}

// TestHostile: whoever speaks something else, or of a frame that is larger than memory,
// is hung up on.
func TestHostile(t *testing.T) {
	w, p := run(t, tcp(zmqinfo.HashBlock))
	greeting := append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'}, make([]byte, 48)...)
	ready := []byte("\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
	for name, sent := range map[string][]byte{
		"nothing known":              []byte(strings.Repeat("GET / HTTP/1.1\r\n", 10)),
		"a frame for READY":          append(slices.Clone(greeting), 0x06, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"a frame for a topic":        append(slices.Concat(greeting, ready), 0x02, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"a frame just over the size": append(slices.Concat(greeting, ready), 0x02, 0, 0, 0, 0, 0, 0, 4, 1),
		"frames without an end":      append(slices.Concat(greeting, ready), bytes.Repeat([]byte{0x01, 0x00}, 1000)...),
	} {
		conn, err := net.Dial("tcp", p.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = conn.Write(sent)
		buf := make([]byte, 256)
		for err = nil; err == nil; {
			_, err = conn.Read(buf)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: it is not hung up on", name)
		}
		conn.Close()
	}
	sub := subscribe(t, p, "tcp://"+p.Addresses()[0].String(), "hash")
	w.mine(1, 0)
	if topic, _, _ := next(t, sub); topic != zmqinfo.HashBlock {
		t.Error(topic)
	}
}

// TestPing: who pings is answered at once, also after a message.
func TestPing(t *testing.T) {
	w, p := run(t, tcp(zmqinfo.HashBlock))
	conn, err := net.Dial("tcp", p.Addresses()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	greeting := append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'}, make([]byte, 48)...)
	_, _ = conn.Write(append(greeting, "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x00\x01\x01"...))
	ping := func() {
		t.Helper()
		_, _ = conn.Write([]byte("\x04\x07\x04PING\x00\x00"))
		var all []byte
		for buf := make([]byte, 256); !bytes.Contains(all, []byte("PONG")); {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%v behind %q", err, all)
			}
			all = append(all, buf[:n]...)
		}
	}
	ping() // it has subscribed then
	w.mine(1, 0)
	for all, buf := "", make([]byte, 256); !strings.Contains(all, zmqinfo.HashBlock); {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		all += string(buf[:n])
	}
	ping()
}

// TestManySubscribers: there is a bound of them, and one who goes makes room.
func TestManySubscribers(t *testing.T) {
	_, p := run(t, tcp(zmqinfo.HashBlock))
	var conns []net.Conn
	for range maxSubscribers + 1 {
		conn, err := net.Dial("tcp", p.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	last := conns[maxSubscribers]
	_ = last.SetDeadline(time.Now().Add(time.Minute))
	if _, err := last.Read(make([]byte, 1)); err == nil {
		t.Error("one more than there are places was let in")
	}
	conns[0].Close()
	for taken := maxSubscribers; taken == maxSubscribers; time.Sleep(time.Millisecond) {
		p.sockets[0].mu.Lock()
		taken = len(p.sockets[0].subscribers)
		p.sockets[0].mu.Unlock()
	}
	subscribe(t, p, "tcp://"+p.Addresses()[0].String(), "hash")
}

// TestUnix: an address may be a socket in the file system, and what an earlier run has
// left of it is in nobody's way. Nothing else is removed.
func TestUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zmq")
	e := zmqinfo.Endpoint{Topic: zmqinfo.HashBlock, Address: "ipc://" + path, HighWater: 5}
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Endpoints: []zmqinfo.Endpoint{e}}); err == nil {
		t.Fatal("an address of another program was taken")
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	w, p := run(t, e)
	sub := subscribe(t, p, "ipc://"+path, "hashblock")
	w.mine(1, 0)
	if topic, _, _ := next(t, sub); topic != zmqinfo.HashBlock {
		t.Error(topic)
	}
}
