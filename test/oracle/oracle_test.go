package oracle

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// defaultRuns is the number of executions of each kind; KARAT_ORACLE_RUNS
// overrides it.
const defaultRuns = 20_000

func setting(t *testing.T, name string, fallback uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// report counts what a kind of execution met.
type report struct {
	runs, accepted, failed int
	known                  map[string]int
}

func (p *report) add(t *testing.T, known string, accepted bool, err error) {
	t.Helper()
	p.runs++
	if accepted {
		p.accepted++
	}
	if known != "" {
		if p.known == nil {
			p.known = map[string]int{}
		}
		p.known[known]++
	}
	if err != nil {
		if p.failed++; p.failed > 20 {
			t.Fatalf("after %d runs: %v", p.runs, err)
		}
		t.Error(err)
	}
}

func (p *report) log(t *testing.T, verdicts map[string]int) {
	t.Helper()
	t.Logf("%d executions, %d accepted, %d unexplained differences, listed ones %v", p.runs, p.accepted, p.failed, p.known)
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		t.Logf("  %8d %s", verdicts[name], name)
	}
	if p.runs == 0 || p.accepted == 0 || p.accepted == p.runs {
		t.Errorf("%d of %d accepted: the inputs do not try both verdicts", p.accepted, p.runs)
	}
}

func TestDifferential(t *testing.T) {
	runs := int(setting(t, "KARAT_ORACLE_RUNS", defaultRuns))
	seed := setting(t, "KARAT_ORACLE_SEED", 1)
	t.Run("spends", func(t *testing.T) { differSpends(t, runs, seed) })
	t.Run("scripts", func(t *testing.T) { differScripts(t, runs, seed) })
	t.Run("encodings", func(t *testing.T) { differEncodings(t, runs, seed) })
}

func differSpends(t *testing.T, runs int, seed uint64) {
	keys, r := newKeyring(3), rand.New(rand.NewPCG(seed, 1))
	var e engines
	var p report
	templates := make([]*spend, 300)
	for i := range templates {
		templates[i] = keys.signedSpend(r)
	}
	for range runs {
		if chance(r, 1000) { // so that long runs see many
			templates[r.IntN(len(templates))] = keys.signedSpend(r)
		}
		s := templates[r.IntN(len(templates))].clone()
		mutateSpend(r, s)
		before := e.verdicts["OK"]
		known, err := e.difference(s, chance(r, 5))
		p.add(t, known, e.verdicts["OK"] > before, err)
	}
	p.log(t, e.verdicts)
}

func differScripts(t *testing.T, runs int, seed uint64) {
	keys, r := newKeyring(3), rand.New(rand.NewPCG(seed, 2))
	var e engines
	var p report
	for range runs {
		s := keys.randomScriptSpend(r)
		before := e.verdicts["OK"]
		known, err := e.difference(s, chance(r, 4))
		p.add(t, known, e.verdicts["OK"] > before, err)
	}
	p.log(t, e.verdicts)
}

func differEncodings(t *testing.T, runs int, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	var p report
	for range runs {
		known, accepted, err := encodingExecution(r)
		p.add(t, known, accepted, err)
	}
	p.log(t, nil)
}

func encodingExecution(r *rand.Rand) (known string, accepted bool, err error) {
	if chance(r, 3) {
		b := randomBlock(r)
		for range r.IntN(3) {
			b = mutateBytes(r, b)
		}
		return blockDifference(b)
	}
	b := randomTx(r).AppendTo(nil)
	if chance(r, 50) {
		b = oddTx(r)
	}
	for range r.IntN(3) {
		b = mutateBytes(r, b)
	}
	return txDifference(b)
}

func FuzzSpend(f *testing.F) {
	f.Add([]byte{})
	keys := newKeyring(3)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newRand(data)
		s := keys.signedSpend(r)
		mutateSpend(r, s)
		var e engines
		if _, err := e.difference(s, chance(r, 5)); err != nil {
			t.Error(err)
		}
	})
}

func FuzzScript(f *testing.F) {
	f.Add([]byte{})
	keys := newKeyring(3)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newRand(data)
		s := keys.randomScriptSpend(r)
		var e engines
		if _, err := e.difference(s, chance(r, 4)); err != nil {
			t.Error(err)
		}
	})
}

func FuzzTx(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		f.Add(randomTx(r).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := txDifference(data); err != nil {
			t.Error(err)
		}
	})
}

func FuzzBlock(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(randomBlock(r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := blockDifference(data); err != nil {
			t.Error(err)
		}
	})
}
