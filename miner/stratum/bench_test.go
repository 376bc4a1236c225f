package stratum

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/internal/stratumtest"
)

// BenchmarkTip measures how long it is from a new tip until the last of many miners on
// this machine has read its job: of one payout for all, and of one for each.
func BenchmarkTip(b *testing.B) {
	for _, miners := range []int{300, 1000} {
		for _, payouts := range []int{1, miners} {
			b.Run(fmt.Sprintf("miners=%d/payouts=%d", miners, payouts), func(b *testing.B) { benchmarkTip(b, miners, payouts) })
		}
	}
}

func benchmarkTip(b *testing.B, miners, payouts int) {
	w, addr := realWorld(b)
	arrived := make(chan struct{}, miners)
	for i := range miners {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		n := i % payouts
		script := append([]byte{0x51, 32, byte(n), byte(n >> 8)}, make([]byte, 30)...)
		fmt.Fprintf(conn, `{"id":1,"method":"mining.subscribe","params":["bench"]}`+"\n"+`{"id":2,"method":"mining.authorize","params":["%s","x"]}`+"\n", encodeAddress(b, w.chain.params.HRP, script))
		go func() {
			for lines := bufio.NewReader(conn); ; {
				line, err := lines.ReadSlice('\n')
				if err != nil {
					return
				}
				if bytes.HasSuffix(line, []byte(",true]}\n")) { // a job on a new tip
					arrived <- struct{}{}
				}
			}
		}()
	}
	for range miners {
		<-arrived
	}
	time.Sleep(2 * spacing)
	worst := time.Duration(0)
	for b.Loop() {
		began := time.Now()
		w.chain.advance()
		for range miners {
			<-arrived
		}
		worst = max(worst, time.Since(began))
		b.StopTimer()
		time.Sleep(2 * spacing)
		b.StartTimer()
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
}

// BenchmarkShare measures what a share costs the server, good or low: reading, hashing,
// counting, answering.
func BenchmarkShare(b *testing.B) {
	for _, name := range []string{"good", "low"} {
		b.Run(name, func(b *testing.B) {
			w, addr := realWorld(b)
			w.server.all.perSecond, w.server.all.most, w.server.all.room = 1e9, 1e9, 1e9
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			c := stratumtest.New(conn)
			defer c.Close()
			if err := c.Start(w.address(1)); err != nil {
				b.Fatal(err)
			}
			if _, err := c.Call("mining.suggest_difficulty", minDifficulty); err != nil {
				b.Fatal(err)
			}
			job, err := c.Job(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			var server *connection
			for _, server = range w.server.atWork() {
			}
			server.mu.Lock()
			server.session.vardiff.fixed = true
			server.mu.Unlock()
			difficulty := minDifficulty
			if name == "low" {
				difficulty = -difficulty
			}
			for counter := uint32(0); b.Loop(); counter++ {
				b.StopTimer()
				if counter%1000 == 0 { // a job takes so many shares, and a miner so many bad ones
					w.chain.advance()
					for old := job; job.ID == old.ID || job.Difficulty > 1e-8; job, _ = c.Current() {
						time.Sleep(time.Millisecond)
					}
				}
				server.credit = points
				share, _ := job.SearchFor(difficulty, counter, 0, 1000)
				b.StartTimer()
				_ = c.Submit(share)
			}
		})
	}
}

// realWorld is a server on this machine's network and clock, with full blocks.
func realWorld(b *testing.B) (*world, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	w := &world{t: b, chain: newTestChain(b, 1, time.Now)}
	for i := range 2000 {
		w.chain.entries = append(w.chain.entries, &pending.Entry{Tx: &types.Tx{}, TxID: types.Hash{byte(i), byte(i >> 8)}, Weight: 1000})
	}
	w.server = New(Options{Params: w.chain.params, Templates: w.chain, Chain: w.chain, Pool: &poke.Bell{}, Listener: l})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.server.Run(ctx) })
	b.Cleanup(func() { cancel(); wg.Wait() })
	return w, l.Addr().String()
}

// BenchmarkJob measures making a job of a full block, and the line for one more payout.
func BenchmarkJob(b *testing.B) {
	w, _ := realWorld(b)
	t := w.chain.Template()
	b.Run("job", func(b *testing.B) {
		for b.Loop() {
			newJob(1, t, true, "/bench/", time.Now(), time.Now())
		}
	})
	b.Run("payout", func(b *testing.B) {
		j := newJob(1, t, true, "/bench/", time.Now(), time.Now())
		script := scriptOf(1)
		for b.Loop() {
			clear(j.payouts)
			_, _ = io.Discard.Write(j.paying(script).shared)
		}
	})
}
