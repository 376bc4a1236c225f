package events

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/test/beyond/natsd"
)

// patience is how long anything may take.
const patience = 2 * time.Minute

// coinsOf are all coins of a node.
func coinsOf(t *testing.T, c *chain.Chain) map[types.OutPoint]types.Coin {
	t.Helper()
	coins := map[types.OutPoint]types.Coin{}
	if _, err := c.ForEachCoin(t.Context(), func(o types.OutPoint, coin *types.Coin) error { coins[o] = *coin; return nil }); err != nil {
		t.Fatal(err)
	}
	return coins
}

// work changes coins by what is said of a transaction. A coinbase of the genesis block makes
// coins that need not mature, and so do not count as a coinbase's.
func work(tx *journal.Tx, put func(types.OutPoint, types.Coin), remove func(types.OutPoint)) {
	change := func(is bool, o types.OutPoint, v types.Amount, script []byte, height uint32, coinbase bool) {
		if c, ok := types.NewCoin(&types.TxOut{Value: v, ScriptPubKey: script}, height, coinbase && height > 0); ok && is {
			put(o, c)
		} else {
			remove(o)
		}
	}
	comes := tx.Event == journal.Connected
	outputs := func() {
		for n, o := range tx.Outputs {
			if !o.Unspendable {
				change(comes, types.OutPoint{TxID: tx.TxID, Index: uint32(n)}, o.Value, o.ScriptPubKey, tx.Height, tx.Coinbase)
			}
		}
	}
	outputs()
	for _, in := range tx.Inputs {
		if c := in.Coin; c != nil {
			change(!comes, types.OutPoint{TxID: in.TxID, Index: in.Index}, c.Value, c.ScriptPubKey, c.Height, c.Coinbase)
		}
	}
}

// steps reads a stream from the first message until a block is the tip.
func steps(t *testing.T, url, name string, f journal.Format, network types.Hash, until types.Index, each func(*journal.Step)) {
	t.Helper()
	nc, js := natsd.Connect(t, url)
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	var consumer jetstream.Consumer
	var err error
	for ; ; time.Sleep(20 * time.Millisecond) {
		if consumer, err = js.OrderedConsumer(ctx, journal.Stream(name, f), jetstream.OrderedConsumerConfig{}); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	r := journal.Reader{Network: network}
	for r.At.Block != until {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("at %s, and not at %s: %v", r.At.Block, until, err)
		}
		s, err := r.Read(&journal.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
		if err != nil {
			t.Fatal(err)
		}
		if s != nil {
			each(s)
		}
	}
}

// TestNode: a node starts although there is no server, and when one comes it is told of the
// whole chain, also of what the network began with, and of a reorganisation; in both formats.
func TestNode(t *testing.T) {
	for _, f := range []journal.Format{journal.JSON, journal.Raw} {
		s := natsd.New(t)
		n := nodetest.Dev(t, func(c *node.Config) {
			c.Events, c.Metrics = events.Config{Servers: s.URL(), Format: f}, "127.0.0.1:0"
		})
		wantMetrics(t, n, "karat_events_connected 0", "karat_events_messages_total 0")
		client := rpc.NewCookieClient("http://"+n.RPC, n.CookieFile)
		call := func(method string, params ...any) {
			t.Helper()
			if err := client.Call(t.Context(), method, nil, params...); err != nil {
				t.Fatal(err)
			}
		}
		address, err := taproot.EncodeAddress(n.Chain().Params().HRP, chaintest.Anchor)
		if err != nil {
			t.Fatal(err)
		}
		call("generatetoaddress", 12, address)
		s.Start()
		network := n.Chain().Params().Identity()
		steps(t, s.URL(), "dev", f, network, n.Chain().Tip(), func(*journal.Step) {})
		hash, _ := n.Chain().HashAt(10)
		call("invalidateblock", hash.String())
		call("generatetoaddress", 5, address)
		coins, went := map[types.OutPoint]types.Coin{}, 0
		steps(t, s.URL(), "dev", f, network, n.Chain().Tip(), func(s *journal.Step) {
			if s.Direction == journal.Disconnected {
				went++
			}
			if f == journal.Raw {
				return
			}
			for i := range s.Txs {
				tx, err := s.Tx(i)
				if err != nil {
					t.Fatal(err)
				}
				work(tx, func(o types.OutPoint, c types.Coin) { coins[o] = c }, func(o types.OutPoint) { delete(coins, o) })
			}
		})
		wantMetrics(t, n, "karat_events_connected 1", "karat_events_height 14", "karat_events_messages_total 42")
		if went != 3 {
			t.Errorf("%d blocks went", went)
		}
		if f == journal.JSON && !maps.Equal(coins, coinsOf(t, n.Chain())) {
			t.Errorf("a reader has %d coins, the node %d", len(coins), len(coinsOf(t, n.Chain())))
		}
		n.Stop()
	}
}

// wantMetrics waits until a node tells monitors some samples.
func wantMetrics(t *testing.T, n *nodetest.Running, want ...string) {
	t.Helper()
	text := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + n.Metrics + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if text = string(b); err == nil && !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, "\n"+w+"\n") }) {
			return
		}
	}
	i := max(0, strings.Index(text, "# HELP karat_events"))
	t.Errorf("monitors are not told %q: %.600s", want, text[i:])
}

// TestRefusedStreams: a stream that would lose or change messages, or has others, is refused
// with what is wrong, which the node's warnings say.
func TestRefusedStreams(t *testing.T) {
	for want, c := range map[string]struct {
		config  string // of the server
		stream  jetstream.StreamConfig
		message *nats.Msg
	}{
		"takes \"karat.dev.json.>, orders.>\"":                  {stream: jetstream.StreamConfig{Subjects: []string{"karat.dev.json.>", "orders.>"}}},
		"retention is not by limits":                            {stream: jetstream.StreamConfig{Retention: jetstream.WorkQueuePolicy}},
		"max-msgs-per-subject":                                  {stream: jetstream.StreamConfig{MaxMsgsPerSubject: 5}},
		"raise its max_payload":                                 {config: "max_payload: 100000"},
		"this is not the journal of this network: a message on": {message: &nats.Msg{Subject: "karat.dev.json.tx.connected", Data: []byte("?")}},
	} {
		s := natsd.New(t, c.config).Start()
		nc, js := natsd.Connect(t, s.URL())
		c.stream.Name = journal.Stream("dev", journal.JSON)
		if c.stream.Subjects == nil {
			c.stream.Subjects = []string{journal.Subjects("dev", journal.JSON)}
		}
		if _, err := js.CreateStream(t.Context(), c.stream); err != nil {
			t.Fatal(err)
		}
		if c.message != nil {
			if _, err := js.PublishMsg(t.Context(), c.message); err != nil {
				t.Fatal(err)
			}
		}
		n := nodetest.Dev(t, func(config *node.Config) { config.Events = events.Config{Servers: s.URL(), Format: journal.JSON} })
		wantWarning(t, n, want)
		n.Stop()
		nc.Close()
	}
}

// wantWarning waits for a warning of a node.
func wantWarning(t *testing.T, n *nodetest.Running, want string) {
	t.Helper()
	client := rpc.NewCookieClient("http://"+n.RPC, n.CookieFile)
	var info struct{ Warnings []string }
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := client.Call(t.Context(), "getnetworkinfo", &info); err != nil {
			t.Fatal(err)
		}
		for _, w := range info.Warnings {
			if strings.Contains(w, want) {
				return
			}
		}
	}
	t.Errorf("it warns of %q, and not of %q", info.Warnings, want)
}

// TestLogin: a wrong password and an unknown certificate are said without the password; the
// right ones let in.
func TestLogin(t *testing.T) {
	folder := t.TempDir()
	makeCertificate(t, folder)
	cert, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	s := natsd.New(t, "authorization { user: karat, password: SeCrEt }", fmt.Sprintf("tls { cert_file: %q, key_file: %q }", cert, key)).Start()
	for _, c := range []struct{ login, authority, want string }{
		{"karat:WrOnG@", cert, "Authorization Violation"},
		{"karat:SeCrEt@", "", "certificate"},
		{"karat:SeCrEt@", cert, ""},
	} {
		logs, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		n := nodetest.Dev(t, func(config *node.Config) {
			config.Events = events.Config{Servers: "tls://" + c.login + s.Addr, Format: journal.JSON, Authority: c.authority}
			config.Logger = logger(logs)
		})
		if c.want != "" {
			wantWarning(t, n, c.want)
		} else {
			for end := time.Now().Add(patience); !strings.Contains(read(t, logs.Name()), "events are written"); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal(read(t, logs.Name()))
				}
			}
		}
		n.Stop()
		if text := read(t, logs.Name()); strings.Contains(text, "SeCrEt") || strings.Contains(text, "WrOnG") {
			t.Errorf("a password is in the log: %s", text)
		}
	}
}
