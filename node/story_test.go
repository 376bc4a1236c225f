package node

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// A log without times, so that its lines can be compared.
func storyLog() (*story, *bytes.Buffer) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "hash" {
			return slog.Attr{}
		}
		return a
	}}))
	return &story{log: log}, &out
}

// A block has a line; when they come fast, those of a minute have one together.
func TestStoryOfBlocks(t *testing.T) {
	s, out := storyLog()
	now := time.Unix(1e9, 0)
	var want strings.Builder
	height := uint32(0)
	for _, perMinute := range []int{1, 0, linesAtOnce, 200} {
		for i := range perMinute {
			height++
			s.block(header.Record{Height: height, TxCount: 2})
			if i < linesAtOnce {
				fmt.Fprintf(&want, "level=INFO msg=block height=%d transactions=2\n", height)
			}
		}
		now = now.Add(storyEvery)
		s.sumUp(now, nil)
		if more := perMinute - linesAtOnce; more > 0 {
			fmt.Fprintf(&want, "level=INFO msg=blocks count=%d transactions=%d height=%d\n", more, 2*more, height)
		}
	}
	if got := out.String(); got != want.String() {
		t.Errorf("the log says\n%s\nwant\n%s", got, want.String())
	}
}

// Peers are told of when they change. A node that wants some and has none says so, again and
// again, and one that is to be alone does not.
func TestStoryOfPeers(t *testing.T) {
	for _, wantsPeers := range []bool{true, false} {
		s, out := storyLog()
		s.wantsPeers = wantsPeers
		now := time.Unix(1e9, 0)
		step := func(numbers ...int) string {
			var peers []peerinfo.Info
			for _, n := range numbers {
				peers = append(peers, peerinfo.Info{Number: n, Inbound: n%2 == 1})
			}
			out.Reset()
			s.sumUp(now, peers)
			now = now.Add(storyEvery)
			return out.String()
		}
		for i, c := range []struct {
			peers []int
			want  string
		}{
			{[]int{1, 2, 3}, "level=INFO msg=peers connected=3 inbound=2 came=3 gone=0\n"},
			{[]int{3, 2, 1}, ""},
			{[]int{2, 4}, "level=INFO msg=peers connected=2 inbound=0 came=1 gone=2\n"},
			{nil, "level=INFO msg=peers connected=0 inbound=0 came=0 gone=2\n"},
		} {
			if got := step(c.peers...); got != c.want {
				t.Errorf("step %d: the log says %q, want %q", i, got, c.want)
			}
		}
		complaints := 0
		for range 3 * int(aloneAfter/storyEvery) {
			complaints += strings.Count(step(), "no peer is connected")
		}
		if want := map[bool]int{true: 3, false: 0}[wantsPeers]; complaints != want {
			t.Errorf("peers wanted: %v: %d complaints, want %d", wantsPeers, complaints, want)
		}
	}
}
