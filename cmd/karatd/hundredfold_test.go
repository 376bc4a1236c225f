package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
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
			height := call[uint32](watch, "getblockcount")
			seen = append(seen, sample{time.Since(genesis), float64(height)})
		}
	}
	look(before * halfLife)
	interrupt(t, guest)
	guest = start("guest", "127.0.0.1:0", append(mining(guestsRate), "--connect", watch.listen)...)
	came := time.Since(genesis)
	look(grown * halfLife)
	grownTo := difficultyOf(watch)
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
	simulated := simulateOften(p, course)
	t.Logf("half-life %s, a block a second; the guest came after %s and went after %s", halfLife, came.Round(time.Second), went.Round(time.Second))
	t.Log("half-lives after it began | blocks | simulated | off by")
	worst := 0.0
	for n := 1; n <= before+grown+after; n++ {
		at := began + time.Duration(n)*halfLife
		here, there := heightAt(seen, at), heightAt(simulated, at)
		off := here/there - 1
		t.Logf("%2d | %4.0f | %6.1f | %+.1f%%", n, here, there, 100*off)
		if n > before { // there are few blocks before
			worst = max(worst, math.Abs(off))
		}
	}
	usual := forecast.Hashes(p.Genesis.Bits)
	t.Logf("when the guest went a block took %.0f times the work of the first", grownTo/usual)
	if real && worst > 0.05 {
		t.Errorf("the network and the simulation differ by %.1f%%", 100*worst)
	}
	if last := seen[len(seen)-1]; last.height < 6*halfLife.Seconds()/2 {
		t.Errorf("%.0f blocks: the guest's are missing", last.height)
	}
}

// sample is the height of a chain at a time since its genesis block.
type sample struct {
	at     time.Duration
	height float64
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

// simulateOften returns the mean heights of a hundred chains.
func simulateOften(p *consensus.Params, course forecast.Course) []sample {
	const often, step = 100, 100 * time.Millisecond
	mean := make([]sample, int(course.For/step)+1)
	for i := range mean {
		mean[i].at = time.Duration(i) * step
	}
	for seed := range uint64(often) {
		var chain []sample
		for _, point := range forecast.Run(p, course, seed).Points {
			chain = append(chain, sample{point.At, float64(point.Height)})
		}
		next := 0
		for i := range mean {
			for next < len(chain) && chain[next].at <= mean[i].at {
				next++
			}
			if next > 0 {
				mean[i].height += chain[next-1].height / often
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

// difficultyOf returns the hashes that the next block takes on average.
func difficultyOf(d *daemon) float64 {
	d.t.Helper()
	text := call[struct{ Next struct{ Bits string } }](d, "getmininginfo").Next.Bits
	bits, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		d.t.Fatal(err)
	}
	return forecast.Hashes(uint32(bits))
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
