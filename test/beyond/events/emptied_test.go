package events

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/test/beyond/natsd"
)

// TestEmptied: a stream that somebody has emptied is written anew from its beginning, although
// the server remembers for a while what was in it. A node does not press it meanwhile.
func TestEmptied(t *testing.T) {
	s := natsd.New(t).Start()
	nc, js := natsd.Connect(t, s.URL())
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: journal.Stream("dev", journal.JSON), Subjects: []string{journal.Subjects("dev", journal.JSON)}, Duplicates: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n := nodetest.Dev(t, func(c *node.Config) { c.Events = events.Config{Servers: s.URL(), Format: journal.JSON} })
		address, err := taproot.EncodeAddress(n.Chain().Params().HRP, chaintest.Anchor)
		if err != nil {
			t.Fatal(err)
		}
		if err := rpc.NewCookieClient("http://"+n.RPC, n.CookieFile).Call(t.Context(), "generatetoaddress", nil, 2, address); err != nil {
			t.Fatal(err)
		}
		steps(t, s.URL(), "dev", journal.JSON, n.Chain().Params().Identity(), n.Chain().Tip(), func(*journal.Step) {})
		n.Stop()
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// A connection of the test's, one of each reader, and few of the second node's.
	id, err := nc.GetClientID()
	if err != nil || id == 0 {
		t.Fatal(id, err)
	}
	last, _ := natsd.Connect(t, s.URL())
	if now, err := last.GetClientID(); err != nil || now-id > 30 {
		t.Errorf("%d connections, %v", now-id, err)
	}
}
