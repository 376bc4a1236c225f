package rpc

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// stored is a header tree that has the body of every block.
type stored struct{ known }

// Info implements Headers.
func (s stored) Info(hash types.Hash) (header.Info, bool) {
	info, ok := s.known.Info(hash)
	info.Status |= header.StatusBody
	return info, ok
}

// countedBlocks are blocks of which is known how many are in memory.
type countedBlocks struct {
	Blocks
	size int

	mu sync.Mutex
	// Guarded by mu:
	all []weak.Pointer[byte]
}

// Block implements Blocks.
func (b *countedBlocks) Block(types.Hash) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	raw := make([]byte, b.size)
	b.all = append(b.all, weak.Make(&raw[0]))
	return raw, nil
}

// inMemory returns how many blocks somebody still has.
func (b *countedBlocks) inMemory() (n int) {
	runtime.GC()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.all {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// TestRESTSlowReaders: strangers that take nothing of what they asked for hold no blocks,
// and who asks after them gets one.
func TestRESTSlowReaders(t *testing.T) {
	for _, path := range []string{"block/%064d.bin", "block/%064d.hex", "blockpart/%064d.bin?offset=5&size=1000000"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			s := f.server(t)
			const size = 1 << 20
			blocks := &countedBlocks{Blocks: blockFeed{f}, size: size}
			s.REST, s.Headers, s.Blocks = true, stored{known{f}}, blocks
			s.blocks.limit = blockReserve + 2*size
			r := run(t, s)
			ask := func(n int) net.Conn {
				c, err := r.dial()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				_, _ = io.WriteString(c, "GET /rest/"+fmt.Sprintf(path, n)+" HTTP/1.0\r\n\r\n")
				return c
			}
			const strangers = 20
			for n := range strangers {
				ask(n)
			}
			time.Sleep(slowClient * strangers)
			if n := blocks.inMemory(); len(blocks.all) != strangers || n > 3 {
				t.Errorf("%s: of %d blocks that were read %d are in memory", path, len(blocks.all), n)
			}
			answer, err := io.ReadAll(ask(strangers))
			if err != nil || len(answer) < 1_000_000 {
				t.Errorf("%s: %d bytes, %v", path, len(answer), err)
			}
		})
	}
}

// TestRESTMemory: all strangers share the memory of one user, and none of it is lost.
func TestRESTMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := f.server(t)
		s.REST, s.accounts.limits = true, Limits{Memory: 2 * answerHold}
		saved := restPaths
		defer func() { restPaths = saved }()
		restPaths = []restPath{{"long", func(*Server, *restQuery) (restAnswer, error) {
			return restAnswer{binary: make([]byte, 2*answerHold)}, nil
		}}}
		r := run(t, s)
		ask := func() net.Conn {
			c, err := r.dial()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "GET /rest/long.bin HTTP/1.0\r\n\r\n")
			return c
		}
		first := ask()
		time.Sleep(time.Second)
		if answer, _ := io.ReadAll(ask()); !strings.Contains(string(answer), fmt.Sprint(http.StatusServiceUnavailable)) {
			t.Errorf("no memory is left, and the answer is %.100s", answer)
		}
		first.Close()
		if answer, _ := io.ReadAll(ask()); len(answer) < 2*answerHold {
			t.Errorf("memory is there, and the answer is %.100s", answer)
		}
		time.Sleep(time.Second)
		if held := s.accounts.of(strangers).held; held != 0 {
			t.Errorf("%d bytes are counted at the end", held)
		}
	})
}
