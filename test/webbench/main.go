// Command webbench measures the pages of karatd on a long chain, and writes a table.
//
//	go run ./test/webbench -karatd bin/karatd -dir /tmp/webbench
//
// It makes a chain of 200,000 blocks and a million coins, imports it, and lets all indexes be
// made. Then visitors open pages of all kinds, none twice: as many as can be had, with a node
// beside that syncs the same chain from the one that is measured; then 500 a second, at times
// that do not wait for answers; and in the end a crawler opens block after block. What visitors
// do takes the same processors, so the node's own processor time for a page stands beside.
//
// The folder is kept: a second run begins with the measurements.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/measured"
)

func main() {
	var b bench
	flag.StringVar(&b.karatd, "karatd", "bin/karatd", "the node that is measured")
	flag.StringVar(&b.dir, "dir", filepath.Join(os.TempDir(), "webbench"), "folder of the chain, which is kept")
	flag.StringVar(&b.genesis, "network", "test/webbench/genesis.json", "the chain's network")
	flag.IntVar(&b.blocks, "blocks", 200_000, "blocks of the chain")
	flag.IntVar(&b.coins, "coins", 1_000_000, "coins of the chain")
	flag.IntVar(&b.pages, "pages", 10_000, "pages of a measurement")
	flag.IntVar(&b.crawl, "crawl", 50_000, "pages that a crawler opens")
	flag.IntVar(&b.clients, "clients", 8, "visitors at a time")
	flag.Float64Var(&b.rate, "rate", 500, "pages a second, of the measurement that does not wait for answers")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "webbench:", err)
		os.Exit(1)
	}
}

type bench struct {
	karatd, dir, genesis                 string
	blocks, coins, pages, crawl, clients int
	rate                                 float64
	began                                time.Time
	sample                               *sample
	asked                                int // pages of each kind that were asked for
}

func (b *bench) say(what string) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(b.began).Seconds(), what)
}

func (b *bench) run() error {
	b.began = time.Now()
	data, err := os.ReadFile(b.genesis)
	if err != nil {
		return err
	}
	params, err := network.Parse(data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	b.say("making the chain")
	if b.sample, err = makeChain(params, b.dir, b.blocks, b.coins); err != nil {
		return err
	}
	home := filepath.Join(b.dir, "node")
	if _, err := os.Stat(home); err != nil {
		b.say("importing it")
		if out, err := exec.Command(b.karatd, "--network", b.genesis, "--datadir", home, "--dbcache", "1000", "import", chainFile(b.dir)).CombinedOutput(); err != nil {
			return fmt.Errorf("import: %w: %s", err, out)
		}
	}
	b.say("starting the node")
	peers, err := measured.FreePort()
	if err != nil {
		return err
	}
	n, err := b.start(home, "--listen", peers, "--scriptindex", "--txospenderindex")
	if err != nil {
		return err
	}
	defer n.stop()
	if err := n.wait(b.sample.Height, "txindex", "scriptindex", "txospenderindex"); err != nil {
		return err
	}
	return b.measure(n, peers)
}

func (b *bench) measure(n *node, peers string) error {
	fmt.Printf("%d blocks; the node has %d MiB\n\n", b.sample.Height, n.measured().Memory("VmRSS"))
	fmt.Printf("| | pages | a second | node's processor time a page | median | 95%% | 99%% | longest | memory | load |\n|---|---|---|---|---|---|---|---|---|---|\n")
	b.say("one visitor")
	if err := b.row(n, "one visitor", 1, b.pages/5, 0); err != nil {
		return err
	}
	b.say("visitors alone")
	if err := b.row(n, fmt.Sprintf("%d visitors", b.clients), b.clients, b.pages, 0); err != nil {
		return err
	}
	b.say("a node that syncs beside")
	home := filepath.Join(b.dir, "other")
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	other, err := b.start(home, "--listen", "none", "--connect", peers)
	if err != nil {
		return err
	}
	defer other.stop()
	if err := other.wait(1); err != nil {
		return err
	}
	from := other.height()
	if err := b.row(n, fmt.Sprintf("%d visitors, a node syncs", b.clients), b.clients, b.pages, 0); err != nil {
		return err
	}
	b.say(fmt.Sprintf("it has come from block %d to %d", from, other.height()))
	if err := b.row(n, fmt.Sprintf("%.0f a second, a node syncs", b.rate), 200, b.pages/2, b.rate); err != nil {
		return err
	}
	b.say(fmt.Sprintf("it has come to block %d", other.height()))
	if err := other.wait(b.sample.Height); err != nil {
		return err
	}
	other.stop()
	if err := b.row(n, fmt.Sprintf("%.0f a second", b.rate), 200, b.pages/2, b.rate); err != nil {
		return err
	}
	b.say("a crawler")
	for part := range 5 {
		if err := b.row(n, fmt.Sprintf("crawler, part %d", part+1), b.clients, b.crawl/5, 0); err != nil {
			return err
		}
	}
	return nil
}
