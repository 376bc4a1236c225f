package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"
)

// testMaxBlock is a network's weight limit.
const testMaxBlock = 4_000_000

// receiver reads a stream of fragments.
type receiver struct {
	r   io.Reader
	a   *Assembler
	buf [MaxFragmentSize]byte
}

func newReceiver(r io.Reader) *receiver { return &receiver{r: r, a: NewAssembler(testMaxBlock)} }

// next returns the next message, nil after a fragment that ends none.
func (r *receiver) next() (Message, error) {
	f, err := ReadFragment(r.r, r.buf[:])
	if err != nil {
		return nil, err
	}
	m, ok, err := r.a.Push(f)
	if ok != (m != nil) {
		panic("a message that is none")
	}
	return m, err
}

// all reads the stream to its end.
func (r *receiver) all() (messages []Message, err error) {
	for {
		m, err := r.next()
		if err == io.EOF {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
		if m != nil {
			messages = append(messages, m)
		}
	}
}

func mustPush(t testing.TB, f *Fragmenter, messages ...Message) {
	t.Helper()
	for _, m := range messages {
		if err := f.Push(m); err != nil {
			t.Fatal(err)
		}
	}
}

// drain takes all fragments.
func drain(f *Fragmenter) (stream []byte) {
	for more := true; more; {
		stream, more = f.AppendNext(stream)
	}
	return stream
}

func bytesOf(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) + byte(i)*3 + seed
	}
	return b
}

// TestFragmentLayout types the layout again.
func TestFragmentLayout(t *testing.T) {
	got := AppendFragment([]byte("x"), Fragment{Bulk, TypeBlock, 0x01020304, []byte("data")})
	if want := "x\x01\x0c\x04\x00\x04\x03\x02\x01data"; string(got) != want {
		t.Errorf("%x, want %x", got, want)
	}
	back, err := ReadFragment(bytes.NewReader(got[1:]), make([]byte, MaxFragmentSize))
	if err != nil || !reflect.DeepEqual(back, Fragment{Bulk, TypeBlock, 0x01020304, []byte("data")}) {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestMessagesTravel: messages of all types and of sizes around a fragment's
// come out whole, those of a lane in their order, however the stream is cut.
func TestMessagesTravel(t *testing.T) {
	messages := samples()
	for _, size := range []int{0, 1, MaxFragmentData - 1, MaxFragmentData, MaxFragmentData + 1, 3 * MaxFragmentData, testMaxBlock} {
		messages = append(messages, &Block{bytesOf(size, 1)}, &Ping{uint64(size)})
	}
	var f Fragmenter
	mustPush(t, &f, messages...)
	stream := drain(&f)
	if f.Pending() != 0 || !f.Empty() {
		t.Error("something is left")
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "by the byte": iotest.OneByteReader(bytes.NewReader(stream)), "data with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		got, err := newReceiver(r).all()
		if err != nil {
			t.Fatal(name, err)
		}
		for _, lane := range []Lane{Urgent, Bulk} {
			if a, b := ofLane(got, lane), ofLane(messages, lane); !reflect.DeepEqual(a, b) {
				t.Errorf("%s: lane %d: %d messages came out, want %d", name, lane, len(a), len(b))
			}
		}
	}
}

func ofLane(messages []Message, lane Lane) (list []Message) {
	for _, m := range messages {
		if m.Type().Lane() != lane {
			continue
		}
		if block, ok := m.(*Block); ok && len(block.Raw) == 0 {
			m = &Block{Raw: []byte{}}
		}
		list = append(list, m)
	}
	return list
}

// TestUrgentFirst: a ping and a compact block overtake a block of 4 MB after one
// more fragment of it.
func TestUrgentFirst(t *testing.T) {
	var f Fragmenter
	block := &Block{bytesOf(testMaxBlock, 1)}
	mustPush(t, &f, block)
	stream, _ := f.AppendNext(nil)
	compact := &CompactBlock{Header: testHeader(1), ShortIDs: make([]ShortID, 10)}
	mustPush(t, &f, &Ping{1}, compact)
	stream = append(stream, drain(&f)...)
	r := newReceiver(bytes.NewReader(stream))
	want := []Message{nil, &Ping{1}, compact}
	for i, w := range want {
		if m, err := r.next(); err != nil || !reflect.DeepEqual(m, w) {
			t.Fatalf("fragment %d: %T, %v, want %T", i, m, err, w)
		}
	}
	if rest, err := r.all(); err != nil || !reflect.DeepEqual(rest, []Message{block}) {
		t.Errorf("%d messages after them, %v", len(rest), err)
	}
}

func TestFragmenterPending(t *testing.T) {
	var f Fragmenter
	if b, more := f.AppendNext([]byte("x")); more || string(b) != "x" || !f.Empty() {
		t.Error("something comes out of nothing")
	}
	mustPush(t, &f, &GetPeers{})
	if f.Empty() || f.Pending() != 0 {
		t.Error("a message without a payload is nothing")
	}
	mustPush(t, &f, &Block{bytesOf(MaxFragmentData+5, 1)})
	f.AppendNext(nil) // getpeers
	if f.Pending() != MaxFragmentData+5 {
		t.Error(f.Pending())
	}
	f.AppendNext(nil)
	if f.Pending() != 5 || f.Empty() {
		t.Error(f.Pending())
	}
	if err := f.Push(&Tx{make([]byte, MaxTxSize+1)}); !errors.Is(err, ErrTooLarge) || f.Pending() != 5 {
		t.Error(err)
	}
}

// TestFragmenterMovesNothing: taking one of very many messages costs no more than
// taking the only one.
func TestFragmenterMovesNothing(t *testing.T) {
	var f Fragmenter
	for i := range 100 {
		mustPush(t, &f, &Pong{uint64(i)})
	}
	mustPush(t, &f, &Block{[]byte{1}})
	for left := 100; left > 0; left-- {
		if got := f.Messages(); got != left+1 {
			t.Fatalf("%d messages wait, want %d", got, left+1)
		}
		queue := f.lanes[Urgent]
		f.AppendNext(nil)
		if rest := f.lanes[Urgent]; left > 1 && &rest[0] != &queue[1] {
			t.Fatal("the messages behind the first were moved")
		}
		if queue[0].rest != nil {
			t.Fatal("a payload that was taken is held")
		}
	}
	f.AppendNext(nil)
	if f.Messages() != 0 || !f.Empty() {
		t.Error("something is left")
	}
}

// TestAssemblerRefuses sends a good beginning and then a fragment that does
// not fit.
func TestAssemblerRefuses(t *testing.T) {
	full := bytesOf(MaxFragmentData, 1)
	start := Fragment{Bulk, TypeBlock, 40_000, full}
	for name, fragments := range map[string][]Fragment{
		"no such lane":              {{2, TypePing, 8, full[:8]}},
		"too long for its type":     {{Urgent, TypePing, 9, full[:9]}},
		"longer than all":           {{Bulk, TypeBlock, 0xffffffff, full}},
		"beyond the network":        {{Bulk, TypeBlock, testMaxBlock + 1, full}},
		"blocktxs beyond as well":   {{Bulk, TypeBlockTxs, testMaxBlock + 1, full}},
		"unknown and too long":      {{Bulk, 99, MaxUnknown + 1, full}},
		"shorter than it could be":  {{Bulk, TypeBlock, 40_000, full[:100]}},
		"nothing of something":      {{Bulk, TypeBlock, 40_000, nil}},
		"more than it said":         {{Urgent, TypePing, 8, full[:9]}},
		"less than it said":         {{Urgent, TypePing, 8, full[:7]}},
		"another type in between":   {start, {Bulk, TypeTx, 40_000, full}},
		"another length in between": {start, {Bulk, TypeBlock, 40_001, full}},
		"short in the middle":       {start, {Bulk, TypeBlock, 40_000, full[:8_000]}},
		"long at the end":           {start, start, start},
		"no message":                {{Urgent, TypeSendCompact, 1, []byte{2}}},
	} {
		a := NewAssembler(testMaxBlock)
		for i, f := range fragments {
			m, ok, err := a.Push(f)
			if m != nil || ok || errors.Is(err, ErrProtocol) != (i == len(fragments)-1) {
				t.Errorf("%s: fragment %d: %v, %t, %v", name, i, m, ok, err)
			}
		}
	}
}

func TestReadFragmentRefuses(t *testing.T) {
	for name, header := range map[string][]byte{
		"lane 2":          {2, 2, 8, 0, 8, 0, 0, 0},
		"lane 255":        {255, 2, 8, 0, 8, 0, 0, 0},
		"16,001 bytes":    {0, 12, 0x81, 0x3e, 0, 0, 1, 0},
		"more than total": {0, 2, 9, 0, 8, 0, 0, 0},
	} {
		stream := append(header, make([]byte, 20_000)...)
		if _, err := ReadFragment(bytes.NewReader(stream), make([]byte, MaxFragmentSize)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := AppendFragment(nil, Fragment{Urgent, TypePing, 8, make([]byte, 8)})
	for n := range whole {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := ReadFragment(bytes.NewReader(whole[:n]), make([]byte, MaxFragmentSize)); err != want {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	fault := errors.New("fault")
	if _, err := ReadFragment(iotest.ErrReader(fault), make([]byte, MaxFragmentSize)); err != fault {
		t.Error(err)
	}
}

// TestUnknownSkipped: types of later versions pass in both lanes without being
// kept, and what follows is read.
func TestUnknownSkipped(t *testing.T) {
	a := NewAssembler(testMaxBlock)
	for _, typ := range []Type{0, 20, 255} {
		for _, lane := range []Lane{Urgent, Bulk} {
			for rest := MaxUnknown; rest > 0; rest -= MaxFragmentData {
				m, ok, err := a.Push(Fragment{lane, typ, MaxUnknown, bytesOf(min(rest, MaxFragmentData), 1)})
				if m != nil || ok || err != nil || a.Pending() != 0 {
					t.Fatal(m, ok, err, a.Pending())
				}
			}
			if m, ok, err := a.Push(Fragment{lane, TypePing, 8, make([]byte, 8)}); !ok || err != nil {
				t.Fatal(m, ok, err)
			}
		}
	}
	if _, ok, err := a.Push(Fragment{Urgent, 200, 0, nil}); ok || err != nil {
		t.Fatal(ok, err)
	}
}

// TestAssemblerMemory: an announcement costs nothing but what came, and a
// finished message has no room to spare.
func TestAssemblerMemory(t *testing.T) {
	a := NewAssembler(testMaxBlock)
	data, came := bytesOf(MaxFragmentData, 1), 0
	for came < testMaxBlock {
		n := min(testMaxBlock-came, MaxFragmentData)
		m, ok, err := a.Push(Fragment{Bulk, TypeBlock, testMaxBlock, data[:n]})
		if err != nil {
			t.Fatal(err)
		}
		came += n
		if a.Pending() > 2*came || a.Pending() > testMaxBlock {
			t.Fatalf("%d bytes came, %d are held", came, a.Pending())
		}
		if ok && cap(m.(*Block).Raw) != testMaxBlock {
			t.Errorf("a block of %d bytes holds %d", testMaxBlock, cap(m.(*Block).Raw))
		}
	}
	if a.Pending() != 0 {
		t.Error(a.Pending())
	}
	allocs := testing.AllocsPerRun(100, func() { a.Push(Fragment{Urgent, TypePing, 8, data[:8]}) })
	if allocs > 4 {
		t.Errorf("%v allocations for a ping", allocs)
	}
}

// TestFragmentModel: random messages pushed and taken in random turns arrive
// as a list for each lane says.
func TestFragmentModel(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		var f Fragmenter
		var stream []byte
		var pushed []Message
		for step := range uint64(200) {
			if r.IntN(3) > 0 {
				stream, _ = f.AppendNext(stream)
				continue
			}
			var m Message = &Ping{step}
			switch r.IntN(4) {
			case 0:
				m = &Block{bytesOf(1+r.IntN(60_000), byte(step))}
			case 1:
				m = &Tx{bytesOf(1+r.IntN(400), byte(step))}
			case 2:
				m = &Inv{hashes(1 + r.IntN(MaxInv))}
			}
			mustPush(t, &f, m)
			pushed = append(pushed, m)
		}
		got, err := newReceiver(bytes.NewReader(append(stream, drain(&f)...))).all()
		if err != nil {
			t.Fatal(seed, err)
		}
		for _, lane := range []Lane{Urgent, Bulk} {
			if !reflect.DeepEqual(ofLane(got, lane), ofLane(pushed, lane)) {
				t.Fatalf("seed %d: lane %d differs", seed, lane)
			}
		}
	}
}

// FuzzStream: whatever a peer sends, a receiver does not panic, holds no more
// than twice what came, and blames the peer for all but the end of the stream.
// The seeds are short, since the go tool spends its time on shortening them.
func FuzzStream(f *testing.F) {
	for _, m := range samples() {
		var one Fragmenter
		mustPush(f, &one, m, &Ping{1})
		if one.Pending() < 500 {
			f.Add(drain(&one))
		}
	}
	for _, typ := range []uint8{0, 12, 99} {
		f.Add(binary.LittleEndian.AppendUint32([]byte{1, typ, 2, 0}, 2))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		reader := bytes.NewReader(stream)
		r := newReceiver(reader)
		for {
			m, err := r.next()
			if r.a.Pending() > 2*(len(stream)-reader.Len()) {
				t.Fatalf("%d bytes are held", r.a.Pending())
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if err != nil {
				if !errors.Is(err, ErrProtocol) {
					t.Fatal(err)
				}
				return
			}
			if m != nil && !m.Type().Known() {
				t.Fatal(m)
			}
		}
	})
}

// FuzzAssembler sends fragments of any headers in any order. A lane that took
// n full fragments of a block has to end it with the bytes that came.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{1, 12, 2, 255, 1, 12, 2, 255, 1, 12, 2, 255})
	f.Add([]byte{1, 12, 2, 255, 0, 2, 0, 255, 1, 12, 2, 255, 1, 12, 2, 255})
	f.Add([]byte{0, 99, 2, 255, 1, 12, 1, 255, 0, 99, 2, 255, 0, 99, 2, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		totals := []uint32{8, MaxFragmentData, 40_000, MaxUnknown, testMaxBlock, testMaxBlock + 1, math.MaxUint32, 0}
		a, came := NewAssembler(testMaxBlock), [2][]byte{}
		for step := 0; len(script) >= 4; step++ {
			lane, typ, total, size := Lane(script[0]), Type(script[1]), totals[script[2]%8], MaxFragmentData
			if lane > Bulk {
				lane = Bulk
			} else if have := len(came[lane]); have <= int(total) {
				size = min(size, int(total)-have)
			}
			if script[3] != 255 {
				size = int(script[3])
			}
			script = script[4:]
			data := bytesOf(size, byte(step))
			m, ok, err := a.Push(Fragment{lane, typ, total, data})
			if err != nil {
				if !errors.Is(err, ErrProtocol) || ok {
					t.Fatal(ok, err)
				}
				return
			}
			came[lane] = append(came[lane], data...)
			if block, is := m.(*Block); is && !bytes.Equal(block.Raw, came[lane]) {
				t.Fatalf("a block of %d bytes, %d came", len(block.Raw), len(came[lane]))
			}
			if len(came[lane]) == int(total) {
				came[lane] = nil
			} else if ok {
				t.Fatal("a message before its end")
			}
			if a.Pending() > 2*(len(came[Urgent])+len(came[Bulk])) {
				t.Fatalf("%d bytes are held", a.Pending())
			}
		}
	})
}
