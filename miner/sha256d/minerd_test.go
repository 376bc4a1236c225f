package sha256d

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/threadtime"
	"github.com/karatcoin/karat/internal/vectors"
)

var besideTime = flag.Duration("beside", 0, "for how long TestBesideMinerd runs each of those that it compares, three times")

// TestBesideMinerd is what make hashrate runs: hashes a second on one core, of each
// instruction set and of cpuminer, in turn. The seconds are those of the processor, so
// that other work on the machine does not count.
func TestBesideMinerd(t *testing.T) {
	if *besideTime == 0 {
		t.Skip("make hashrate runs it")
	}
	minerd := os.Getenv("KARAT_MINERD")
	if minerd == "" {
		vectors.NotRun(t, "the comparison of hash rates with cpuminer, because KARAT_MINERD does not name its minerd")
	}
	all := ways()
	const rounds = 3
	rates, theirs := make([][]float64, len(all)), []float64{}
	for range rounds {
		theirs = append(theirs, minerdRate(t, minerd, *besideTime))
		for i, w := range all {
			rates[i] = append(rates[i], rate(t, w, *besideTime))
		}
	}
	median := func(r []float64) float64 { return slices.Sorted(slices.Values(r))[rounds/2] }
	var s strings.Builder
	fmt.Fprintf(&s, "millions of hashes a second of one core (median of %d) and times cpuminer's (of each round)\n", rounds)
	fmt.Fprintf(&s, "%-16s %6.1f\n", "cpuminer", median(theirs)/1e6)
	for i, w := range all {
		fmt.Fprintf(&s, "%-16s %6.1f ", w.name, median(rates[i])/1e6)
		for round, r := range rates[i] {
			fmt.Fprintf(&s, " %5.2f", r/theirs[round])
		}
		s.WriteString("\n")
	}
	t.Log(s.String())
}

// rate is the number of hashes in a second of the processor.
func rate(t testing.TB, w way, d time.Duration) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := scannerFor(t, w, randomHeader(newRand(10)), consensus.Uint256{})
	began, hashes := threadtime.Now(), uint64(0)
	for threadtime.Now()-began < d {
		s.Scan(hashes, hashes+atOnce)
		hashes += atOnce
	}
	return float64(hashes) / (threadtime.Now() - began).Seconds()
}

var scanned = regexp.MustCompile(`thread 0: (\d+) hashes`)

// minerdRate is the number of hashes that cpuminer does in a second of the processor.
// It tells of them every second or so: what it does before the first time and after the
// last is left out.
func minerdRate(t *testing.T, path string, d time.Duration) float64 {
	ctx, cancel := context.WithTimeout(t.Context(), d+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--benchmark", "-a", "sha256d", "-t", "1", "-s", "1")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	var first, last time.Duration
	hashes := 0.0
	for lines := bufio.NewScanner(out); last-first < d && lines.Scan(); {
		m := scanned.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		worked, err := processTime(cmd.Process.Pid)
		if err != nil {
			vectors.NotRun(t, "the comparison of hash rates with cpuminer, because this system does not tell what another process has worked: "+err.Error())
		}
		if last = worked; first == 0 {
			first = worked
			continue
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		hashes += n
	}
	if last <= first {
		t.Fatal("minerd did not tell of its hashes")
	}
	return hashes / (last - first).Seconds()
}

// processTime is what the threads of a process have worked since they began.
func processTime(pid int) (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if len(files) == 0 {
		return 0, errors.Join(err, errors.New("there is no schedstat"))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended, of those that do not hash
		}
		worked, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(worked, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
