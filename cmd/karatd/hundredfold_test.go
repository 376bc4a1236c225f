package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/forecast"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/taproot"
)

var hundredfoldHalfLife = flag.Duration("hundredfold", 0, "the half-life with which TestHundredfold runs, in whole seconds; 0: it is short, and proves little")

// The hash rates of TestHundredfold, in hashes a second, and how long it looks, in
// half-lives. No machine is too slow for them: a processor does millions.
const (
	lonelyRate, guestsRate = 2_000, 99 * lonelyRate
	before, grown, fallen  = 1, 4, 8
	fallenShort            = 1
)

// TestHundredfold is a network of three processes, whose hash rate is a miner's alone, then
// a hundredfold for as long as a guest mines, then his alone again. Beside it runs package
// forecast, by the same rules with the same miners at the same times, a hundred times. make
// hundredfold runs it for so long that the two can be compared: chance makes a chain that
// keeps its schedule stray by some blocks, so that a minute of half-life, with a block a
// second, is needed for a percent or two.
func TestHundredfold(t *testing.T) {
	halfLife, after, real := *hundredfoldHalfLife, fallen, *hundredfoldHalfLife > 0
	if !real {
		if testing.Short() {
			t.Skip("make hundredfold runs it; without -short a little of it is tried")
		}
		halfLife, after = time.Second, fallenShort
	}
	p, file := hundredfoldNetwork(t, halfLife)
	genesis := time.Unix(int64(p.Genesis.Timestamp), 0)
	start := func(name, listen string, args ...string) *daemon {
		return startDaemon(t, filepath.Join(filepath.Dir(file), name), listen, append([]string{"--network", file, "--log-level", "warn"}, args...)...)
	}
	to, err := taproot.EncodeAddress(p.HRP, bytes.Join([][]byte{{0x51, 32}, p.Magic[:], make([]byte, 28)}, nil)) // nobody's
	if err != nil {
		t.Fatal(err)
	}
	mining := func(rate int) []string {
		return []string{"--mine", "--mine-to", to, "--threads", "1", "--mine-rate", fmt.Sprint(rate)}
	}
	watch := start("watch", "127.0.0.1:0")
	guest := start("guest", "127.0.0.1:0", "--connect", watch.listen)
	began := time.Since(genesis)
	lonely := start("lonely", "127.0.0.1:0", append(mining(lonelyRate), "--connect", watch.listen)...)
	var seen []sample
	look := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			height, hashes := heightOf(watch)
			seen = append(seen, sample{time.Since(genesis), height, hashes})
		}
	}
	look(before * halfLife)
	interrupt(t, guest)
	guest = start("guest", "127.0.0.1:0", append(mining(guestsRate), "--connect", watch.listen)...)
	came := time.Since(genesis)
	look(grown * halfLife)
	guest.kill()
	went := time.Since(genesis)
	look(time.Duration(after) * halfLife)
	for _, d := range []*daemon{lonely, watch} {
		interrupt(t, d)
	}

	course := forecast.Course{Name: "hundredfold", For: seen[len(seen)-1].at, Rate: func(at time.Duration, _ float64) float64 {
		switch {
		case at < began:
			return 0
		case at < came || at >= went:
			return lonelyRate
		}
		return lonelyRate + guestsRate
	}}
	chains := simulateOften(p, course)
	simulated := meanOf(course.For, chains)
	t.Logf("half-life %s, a block a second; the guest came after %s and went after %s", halfLife, came.Round(time.Second), went.Round(time.Second))
	t.Log("half-lives after it began | blocks | simulated | off by")
	worst := 0.0
	for n := 1; n <= before+grown+after; n++ {
		at := began + time.Duration(n)*halfLife
		here, there := heightAt(seen, at), heightAt(simulated, at)
		off := here/there - 1
		t.Logf("%2d | %4.0f | %6.1f | %+.1f%%", n, here, there, 100*off)
		if n >= before+2 { // earlier there are few blocks, and then more a second than a busy machine makes
			worst = max(worst, math.Abs(off))
		}
	}
	if real { // in a shorter time chance decides
		compareSettling(t, forecast.Hashes(p.Genesis.Bits), halfLife, came, went, seen, chains)
	}
	if real && worst > 0.05 {
		t.Errorf("the network and the simulation differ by %.1f%%", 100*worst)
	}
	if last := seen[len(seen)-1]; last.height < 6*halfLife.Seconds()/2 {
		t.Errorf("%.0f blocks: the guest's are missing", last.height)
	}
}

// compareSettling compares how long it took until blocks came within a quarter of their
// spacing, after a guest came and after he went, with what it takes simulated chains.
func compareSettling(t *testing.T, usual float64, halfLife, came, went time.Duration, seen []sample, chains [][]sample) {
	t.Helper()
	for _, change := range []struct {
		what  string
		since time.Duration
		is    func(hashes float64) bool // that blocks come within a quarter of their spacing
	}{
		{"grew", came, func(hashes float64) bool { return hashes >= 100*usual/1.25 }},
		{"fell", went, func(hashes float64) bool { return hashes <= 1.25*usual }},
	} {
		here := settledAfter(seen, change.since, change.is)
		var all []time.Duration
		for _, chain := range chains {
			all = append(all, settledAfter(chain, change.since, change.is))
		}
		slices.Sort(all)
		in := func(d time.Duration) float64 { return d.Seconds() / halfLife.Seconds() }
		t.Logf("after the hash rate %s blocks were within a quarter of their spacing in %.1f half-lives; simulated %.1f, 5%% of the chains %.1f, 95%% %.1f",
			change.what, in(here), in(all[len(all)/2]), in(all[5]), in(all[len(all)-6]))
		if here < all[0] || here > all[len(all)-1] {
			t.Errorf("no simulated chain takes %s after the hash rate %s: they take %s to %s", here, change.what, all[0], all[len(all)-1])
		}
	}
}

// sample is the state of a chain at a time since its genesis block.
type sample struct {
	at             time.Duration
	height, hashes float64 // hashes that a block takes on average
}

// settledAfter returns how long after a change the hashes that a block takes are right
// first; the whole time if they never are.
func settledAfter(samples []sample, change time.Duration, right func(hashes float64) bool) (d time.Duration) {
	for _, s := range samples {
		if d = s.at - change; d > 0 && right(s.hashes) {
			break
		}
	}
	return d
}

// heightAt returns the last height that was seen at a time.
func heightAt(samples []sample, at time.Duration) (height float64) {
	for _, s := range samples {
		if s.at > at {
			break
		}
		height = s.height
	}
	return height
}

// simulateOften returns a hundred chains.
func simulateOften(p *consensus.Params, course forecast.Course) (chains [][]sample) {
	for seed := range uint64(100) {
		var chain []sample
		for _, point := range forecast.Run(p, course, seed).Points {
			chain = append(chain, sample{point.At, float64(point.Height), point.Difficulty})
		}
		chains = append(chains, chain)
	}
	return chains
}

// meanOf returns the mean heights of chains.
func meanOf(d time.Duration, chains [][]sample) []sample {
	const step = 100 * time.Millisecond
	mean := make([]sample, int(d/step)+1)
	for i := range mean {
		mean[i].at = time.Duration(i) * step
	}
	for _, chain := range chains {
		next := 0
		for i := range mean {
			for next < len(chain) && chain[next].at <= mean[i].at {
				next++
			}
			if next > 0 {
				mean[i].height += chain[next-1].height / float64(len(chains))
			}
		}
	}
	return mean
}

// hundredfoldNetwork makes a network of a block a second whose first block is of now.
func hundredfoldNetwork(t *testing.T, halfLife time.Duration) (*consensus.Params, string) {
	t.Helper()
	o := options{network: "main"}
	p, err := o.params()
	if err != nil {
		t.Fatal(err)
	}
	p.Name, p.TargetSpacing, p.Difficulty.HalfLife, p.Bootstrap = "hundredfold", 1, uint32(halfLife.Seconds()), consensus.Bootstrap{}
	p.Genesis.Bits = forecast.BitsFor(lonelyRate, time.Second)
	p.Genesis.Timestamp, p.Genesis.Nonce = uint32(time.Now().Unix()), 0
	p.PowLimit, _, _ = consensus.ExpandBits(0x207fffff)
	if err := network.MineGenesis(context.Background(), p, nil); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hundredfold.json")
	if err := os.WriteFile(file, network.Marshal(p), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, file
}

// heightOf returns the height of a node's chain, and the hashes that its next block takes on
// average.
func heightOf(d *daemon) (height, hashes float64) {
	d.t.Helper()
	info := call[struct {
		Blocks float64
		Next   struct{ Bits string }
	}](d, "getmininginfo")
	bits, err := strconv.ParseUint(info.Next.Bits, 16, 32)
	if err != nil {
		d.t.Fatal(err)
	}
	return info.Blocks, forecast.Hashes(uint32(bits))
}

// interrupt ends a process as an operator does.
func interrupt(t *testing.T, d *daemon) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-d.read
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("it ended with %v: %s", err, d.errors)
	}
}
