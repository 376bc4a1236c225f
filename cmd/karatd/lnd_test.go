package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/vectors"
)

// lightning is an LND that runs until the test ends.
type lightning struct {
	t        *testing.T
	dir, rpc string
	peers    string // where it listens for others
}

// freePort returns an address of this machine at which nothing listened a moment ago: LND
// does not tell which one it has taken.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startLND runs the LND in the folder that KARAT_LND names. How it hears of blocks is given.
func startLND(t *testing.T, d *daemon, news ...string) *lightning {
	t.Helper()
	cookie, err := os.ReadFile(filepath.Join(d.dir, "regtest", ".cookie"))
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(strings.TrimSpace(string(cookie)), ":")
	n := &lightning{t: t, dir: t.TempDir(), rpc: freePort(t), peers: freePort(t)}
	out := &said{}
	cmd := exec.Command(filepath.Join(os.Getenv("KARAT_LND"), "lnd"), append([]string{
		"--lnddir=" + n.dir, "--bitcoin.regtest", "--bitcoin.node=bitcoind", "--bitcoind.rpchost=" + strings.TrimPrefix(d.rpc, "http://"),
		"--bitcoind.rpcuser=" + user, "--bitcoind.rpcpass=" + password, "--protocol.simple-taproot-chans", "--noseedbackup", "--nobootstrap", "--bitcoin.defaultremotedelay=4",
		"--listen=" + n.peers, "--rpclisten=" + n.rpc, "--restlisten=" + freePort(t),
	}, news...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text := out.String()
			t.Logf("LND said:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return n
}

// try calls lncli, and decodes its answer.
func (n *lightning) try(result any, args ...string) error {
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("KARAT_LND"), "lncli"), append([]string{"--lnddir=" + n.dir, "--network=regtest", "--rpcserver=" + n.rpc}, args...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("lncli %s: %w: %s", args[0], err, exit.Stderr)
	}
	if err != nil || result == nil {
		return err
	}
	start := strings.IndexByte(string(out), '{')
	return json.NewDecoder(strings.NewReader(string(out)[max(0, start):])).Decode(result)
}

// ask is try for what must succeed now.
func (n *lightning) ask(result any, args ...string) {
	n.t.Helper()
	if err := n.try(result, args...); err != nil {
		n.t.Fatal(err)
	}
}

// channelFacts is what an LND tells of a channel.
type channelFacts struct {
	Active  bool   `json:"active"`
	Point   string `json:"channel_point"`
	Kind    string `json:"commitment_type"`
	Balance string `json:"local_balance"`
}

// TestLND: two LNDs, as they are, open a taproot channel on a node, pay through it, and
// close it, together and alone. One hears of blocks by asking, the other by ZeroMQ.
func TestLND(t *testing.T) {
	if os.Getenv("KARAT_LND") == "" {
		vectors.NotRun(t, "two LNDs with a channel on karatd, because KARAT_LND does not name a folder with lnd and lncli")
	}
	blocks, txs := freePort(t), freePort(t)
	d := startDaemon(t, t.TempDir(), "127.0.0.1:0", "--network", filepath.Join("..", "..", "testdata", "bitcoin-regtest.json"),
		"--zmq", "rawblock=tcp://"+blocks, "--zmq", "rawtx=tcp://"+txs)
	alice := startLND(t, d, "--bitcoind.rpcpolling", "--bitcoind.blockpollinginterval=200ms", "--bitcoind.txpollinginterval=200ms")
	bob := startLND(t, d, "--bitcoind.zmqpubrawblock=tcp://"+blocks, "--bitcoind.zmqpubrawtx=tcp://"+txs)

	burn := call[struct{ Address string }](d, "decodescript", "51024e73").Address
	mine := func(n int) {
		t.Helper()
		call[[]string](d, "generatetoaddress", n, burn)
		height := call[int](d, "getblockcount")
		for _, node := range []*lightning{alice, bob} {
			waitFor(t, "LND is at the tip", func() bool {
				var info struct {
					Height int  `json:"block_height"`
					Synced bool `json:"synced_to_chain"`
				}
				return node.try(&info, "getinfo") == nil && info.Height == height && info.Synced
			})
		}
	}
	mine(1)
	var address struct{ Address string }
	alice.ask(&address, "newaddress", "p2tr")
	call[[]string](d, "generatetoaddress", 2, address.Address)
	mine(101)
	var about struct {
		Key string `json:"identity_pubkey"`
	}
	bob.ask(&about, "getinfo")
	alice.ask(nil, "connect", about.Key+"@"+bob.peers)

	channel := func() channelFacts {
		t.Helper()
		waitFor(t, "LND takes a channel", func() bool {
			return alice.try(nil, "openchannel", "--node_key", about.Key, "--local_amt", "10000000", "--push_amt", "1000000", "--channel_type", "taproot", "--private") == nil
		})
		waitFor(t, "the channel's transaction waits", func() bool { return len(call[[]string](d, "getrawmempool")) == 1 })
		mine(6)
		var open struct{ Channels []channelFacts }
		waitFor(t, "the channel is open", func() bool {
			return alice.try(&open, "listchannels") == nil && len(open.Channels) == 1 && open.Channels[0].Active
		})
		for _, node := range []*lightning{alice, bob} { // LND cannot close what is not in its graph yet
			waitFor(t, "the channel is in the graph", func() bool {
				var edge struct {
					Policy1 *struct{} `json:"node1_policy"`
					Policy2 *struct{} `json:"node2_policy"`
				}
				return node.try(&edge, "getchaninfo", "--chan_point", open.Channels[0].Point) == nil && edge.Policy1 != nil && edge.Policy2 != nil
			})
		}
		return open.Channels[0]
	}
	closed := func(kind string) {
		t.Helper()
		var list struct {
			Channels []struct {
				Kind string `json:"close_type"`
			}
		}
		waitFor(t, "the channel is closed", func() bool {
			if alice.try(&list, "closedchannels") != nil {
				return false
			}
			for _, channel := range list.Channels {
				if channel.Kind == kind {
					return true
				}
			}
			return false
		})
	}
	first := channel()
	if first.Kind != "TAPROOT" {
		t.Errorf("the channel is %s", first.Kind)
	}
	var invoice struct {
		Request string `json:"payment_request"`
	}
	bob.ask(&invoice, "addinvoice", "--amt", "250000")
	waitFor(t, "the payment goes through", func() bool { return alice.try(nil, "payinvoice", "--force", invoice.Request) == nil })
	alice.ask(nil, "closechannel", "--chan_point", first.Point)
	waitFor(t, "the closing transaction waits", func() bool { return len(call[[]string](d, "getrawmempool")) == 1 })
	mine(6)
	closed("COOPERATIVE_CLOSE")

	second := channel()
	alice.ask(nil, "closechannel", "--force", "--chan_point", second.Point)
	waitFor(t, "the commitment waits", func() bool { return len(call[[]string](d, "getrawmempool")) >= 1 })
	mine(1)
	for range 60 { // its owner waits for some blocks (BIP68), and sweeps
		mine(1)
		var list struct{ Channels []json.RawMessage }
		if alice.try(&list, "closedchannels") == nil && len(list.Channels) == 2 {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	closed("LOCAL_FORCE_CLOSE")
	d.kill() // stop looks into the folder of the dev network
}
