// Command rpcbench measures the answers of karatd, and of a bitcoind on the same blocks if
// there is one, and writes a table.
//
//	go run ./test/rpcbench -karatd bin/karatd -bitcoind ~/bitcoin/bin/bitcoind
//
// It makes a chain for Bitcoin's regtest network: some 200,000 coins, blocks of 1,000
// payments with 2,000 inputs, a last block of the largest weight, and 20,000 payments that
// wait. Measured is the processor time of the server a call, with four connections that are
// kept alive: the client runs on the same machine, so that the time until the answer comes
// would be that of both. Of several rounds the least counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/measured"
)

func main() {
	karatd := flag.String("karatd", "bin/karatd", "the node that is measured")
	bitcoind := flag.String("bitcoind", os.Getenv("KARAT_BITCOIND"), "a bitcoind to compare with; empty: none")
	genesis := flag.String("network", "testdata/bitcoin-regtest.json", "Bitcoin's regtest network")
	blocks := flag.Int("blocks", 12, "blocks of payments")
	coins := flag.Int("coins", 200_000, "coins before the payments")
	waiting := flag.Int("waiting", 20_000, "payments that wait")
	rounds := flag.Int("rounds", 3, "rounds, of which the least counts")
	about := flag.Duration("about", 400*time.Millisecond, "processor time for one figure")
	flag.Parse()
	b := bench{rounds: *rounds, about: *about}
	if err := b.run(*karatd, *bitcoind, *genesis, *blocks, *coins, *waiting); err != nil {
		fmt.Fprintln(os.Stderr, "rpcbench:", err)
		os.Exit(1)
	}
}

type bench struct {
	rounds int
	about  time.Duration
	made   *made
	nodes  []*node
}

func (b *bench) run(karatd, bitcoind, genesis string, blocks, coins, waiting int) error {
	data, err := os.ReadFile(genesis)
	if err != nil {
		return err
	}
	params, err := network.Parse(data)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rpcbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	say := func(what string) { fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(began).Seconds(), what) }
	file := filepath.Join(dir, "blocks.dat")
	say("making the chain")
	if b.made, err = makeChain(params, file, blocks, coins, waiting); err != nil {
		return err
	}
	say("starting the nodes")
	defer func() {
		for _, n := range b.nodes {
			n.stop()
		}
	}()
	if err := b.startKarat(karatd, genesis, dir, file); err != nil {
		return err
	}
	if bitcoind != "" {
		if err := b.startCore(bitcoind, dir, file); err != nil {
			return err
		}
	}
	for _, n := range b.nodes {
		if err := n.wait(b.made.height); err != nil {
			return err
		}
	}
	say("measuring")
	rows, err := b.measureAll(say)
	if err != nil {
		return err
	}
	b.print(rows)
	say("a hundred clients")
	return b.crowd()
}

func (b *bench) startKarat(karatd, genesis, dir, file string) error {
	home, secret := filepath.Join(dir, "karat"), filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(karatd, "--network", genesis, "--datadir", home, "import", file).CombinedOutput(); err != nil {
		return fmt.Errorf("import: %w: %s", err, out)
	}
	address, err := measured.FreePort()
	if err != nil {
		return err
	}
	n, err := start("karat", address, karatd, "--network", genesis, "--datadir", home, "--listen", "none", "--no-discovery", "--log-level", "error",
		"--rpc-listen", address, "--rpc-user", user, "--rpc-password-file", secret)
	if err == nil {
		b.nodes = append(b.nodes, n)
	}
	return err
}

func (b *bench) startCore(bitcoind, dir, file string) error {
	home := filepath.Join(dir, "core")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	address, err := measured.FreePort()
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(address, ":")
	n, err := start("Core", address, bitcoind, "-regtest", "-datadir="+home, "-server", "-listen=0", "-connect=0", "-txindex=1", "-rpcworkqueue=256", "-checkmempool=0", "-checkblockindex=0", "-printtoconsole=0",
		"-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcport="+port, "-rpcuser="+user, "-rpcpassword="+password, "-loadblock="+file, "-maxtipage=2000000000")
	if err == nil {
		b.nodes = append(b.nodes, n)
	}
	return err
}

// row is a line of the table: processor time a call, by node.
type row struct {
	name string
	aim  string
	each []time.Duration
	rate []float64 // calls a second; nil: not of interest
}

func (b *bench) measureAll(say func(string)) ([]row, error) {
	m := b.made
	type call struct{ name, method, params, aim string }
	calls := []call{
		{"getblockcount", "getblockcount", `[]`, "0.6"},
		{"getblockheader", "getblockheader", fmt.Sprintf(`["%s"]`, m.payments), "0.6"},
		{"gettxout", "gettxout", fmt.Sprintf(`["%s",%d]`, m.unspent.TxID, m.unspent.Index), "0.6"},
	}
	for verbosity := range 4 {
		calls = append(calls, call{fmt.Sprintf("getblock %d", verbosity), "getblock", fmt.Sprintf(`["%s",%d]`, m.payments, verbosity), "0.4"})
	}
	calls = append(calls,
		call{"getrawtransaction, verbose, by index", "getrawtransaction", fmt.Sprintf(`["%s",1]`, m.paid), "0.5"},
		call{"getblockstats", "getblockstats", fmt.Sprintf(`["%s"]`, m.payments), "0.4"})
	pool := []call{
		{fmt.Sprintf("getrawmempool true, %d entries", len(m.loose)), "getrawmempool", `[true]`, "0.2"},
		{fmt.Sprintf("getrawmempool false, %d entries", len(m.loose)), "getrawmempool", `[false]`, "0.2"},
	}
	var rows []row
	measure := func(calls []call) error {
		first := len(rows)
		for _, c := range calls {
			rows = append(rows, row{name: c.name, aim: "≤ " + c.aim, each: make([]time.Duration, len(b.nodes))})
		}
		for round := range b.rounds {
			for i, c := range calls {
				for k, n := range b.nodes { // one after the other, so that both see the same of what else the machine does
					each, err := n.measure(request(c.method, c.params), b.about)
					if err != nil {
						return fmt.Errorf("%s, %s: %w", n.name, c.name, err)
					}
					if best := &rows[first+i].each[k]; round == 0 || each < *best {
						*best = each
					}
				}
			}
			say(fmt.Sprintf("round %d of %d", round+1, b.rounds))
		}
		return nil
	}
	if err := measure(calls); err != nil {
		return nil, err
	}
	sent := row{name: fmt.Sprintf("sendrawtransaction, %d payments", len(m.loose)), aim: "≥ 2.5 × the calls a second"}
	var bodies [][]byte
	for _, tx := range m.loose {
		bodies = append(bodies, request("sendrawtransaction", `["`+tx+`"]`))
	}
	for _, n := range b.nodes {
		say("sending payments to " + n.name)
		each, rate, err := n.load(bodies)
		if err != nil {
			return nil, fmt.Errorf("%s, sendrawtransaction: %w", n.name, err)
		}
		sent.each, sent.rate = append(sent.each, each), append(sent.rate, rate)
	}
	if err := measure(pool); err != nil {
		return nil, err
	}
	return append(rows, sent), nil
}

func (b *bench) print(rows []row) {
	if len(b.nodes) < 2 {
		fmt.Printf("| call | µs |\n|---|---|\n")
		for _, r := range rows {
			fmt.Printf("| %s | %s |\n", r.name, r.of(0))
		}
		return
	}
	fmt.Printf("| call | karat, µs | Core, µs | karat / Core | aim |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Printf("| %s | %s | %s | %.2f | %s |\n", r.name, r.of(0), r.of(1), float64(r.each[0])/float64(r.each[1]), r.aim)
	}
}

// of is what the table has of a node.
func (r *row) of(k int) string {
	us := float64(r.each[k]) / 1e3
	text := fmt.Sprintf("%.0f", us)
	if us < 100 {
		text = fmt.Sprintf("%.1f", us)
	}
	if r.rate != nil {
		text += fmt.Sprintf(" (%.0f a second)", r.rate[k])
	}
	return text
}

// crowd asks with a hundred clients for all of the largest block, and with one for
// something cheap meanwhile.
func (b *bench) crowd() error {
	const clients = 100
	for _, n := range b.nodes {
		before := n.measured().Memory("VmRSS")
		ctx, cancel := context.WithCancel(context.Background())
		var all, probe sync.WaitGroup
		errs := make(chan error, clients+1)
		var waits []time.Duration
		probe.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if _, _, err := n.send(context.Background(), request("getblockcount", "[]")); err != nil {
					errs <- err
					return
				}
				waits = append(waits, time.Since(began))
				time.Sleep(5 * time.Millisecond)
			}
		})
		began := time.Now()
		var size int64
		var once sync.Once
		for range clients {
			all.Go(func() {
				got, _, err := n.send(context.Background(), request("getblock", fmt.Sprintf(`["%s",2]`, b.made.large)))
				if err != nil {
					errs <- err
				}
				once.Do(func() { size = got })
			})
		}
		all.Wait()
		took := time.Since(began)
		cancel()
		probe.Wait()
		close(errs)
		if err := errors.Join(slices.Collect(drained(errs))...); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		slices.Sort(waits)
		fmt.Printf("\n%s: %d clients asked at once for a block of %.1f MB of JSON: %.1f s, memory from %d to at most %d MiB; getblockcount meanwhile in %v (median), %v (99 of 100), %v (longest)\n",
			n.name, clients, float64(size)/1e6, took.Seconds(), before, n.measured().Memory("VmHWM"),
			waits[len(waits)/2].Round(100*time.Microsecond), waits[len(waits)*99/100].Round(100*time.Microsecond), waits[len(waits)-1].Round(100*time.Microsecond))
	}
	return nil
}

func drained(errs <-chan error) func(yield func(error) bool) {
	return func(yield func(error) bool) {
		for err := range errs {
			if !yield(err) {
				return
			}
		}
	}
}
