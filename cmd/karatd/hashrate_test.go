package main

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

func TestHashRates(t *testing.T) {
	for text, want := range map[string]float64{
		"3.4MH/s": 3.4e6, "3.4 MH/s": 3.4e6, "3.4m": 3.4e6, "250": 250, "250H/s": 250, "2GH/s": 2e9, "1kh/s": 1000, "7 EH/s": 7e18,
	} {
		if got, err := parseHashRate(text); err != nil || got < want*0.999 || got > want*1.001 {
			t.Errorf("%s: %g, %v, want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"", "fast", "-1", "0", "NaN", "Inf", "1e30", "3 MM", "MH/s"} {
		if got, err := parseHashRate(text); err == nil {
			t.Errorf("%q is read as %g", text, got)
		}
	}
	for rate, want := range map[float64]string{3.4e6: "3.4 MH/s", 999: "999 H/s", 999.9: "1 kH/s", 2e9: "2 GH/s", 1e30: "1e+12 EH/s"} {
		if got := hashRate(rate); got != want {
			t.Errorf("%g: %s, want %s", rate, got, want)
		}
	}
}

// All processors together find a nonce that the rules take.
func TestScanAll(t *testing.T) {
	target, _, _ := consensus.ExpandBits(0x1e7fffff) // one in 2^17
	header := types.Header{Version: 1, Timestamp: 7}
	var done atomic.Uint64
	nonce, ok := scanAll(t.Context(), header, target, &done)
	header.Nonce = nonce
	if !ok || consensus.Uint256FromHash(header.Hash()).Cmp(target) > 0 || done.Load() == 0 {
		t.Errorf("nonce %d, %v after %d", nonce, ok, done.Load())
	}
	if rate := measureHere(t.Context(), 10*time.Millisecond); rate <= 0 {
		t.Errorf("%g hashes a second", rate)
	}
}

// What a launch comes to is said before it: a network whose first blocks are far too easy is
// warned of with figures, and one that was made for its miners is not.
func TestLaunch(t *testing.T) {
	dir := t.TempDir()
	good, easy := filepath.Join(dir, "good.json"), filepath.Join(dir, "easy.json")
	code, _, stderr := karatd("network", "new", "--name", "good", "--hashrate", "2kH/s", "--spacing", "30s", "-o", good)
	if code != 0 || !strings.Contains(stderr, "2 kH/s at launch: at bits 1f") {
		t.Fatalf("%d: %s", code, stderr)
	}
	if code, stdout, stderr := karatd("--network", good, "network", "check"); code != 0 || !strings.HasPrefix(stdout, "nothing to regret at 2 kH/s") {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	code, _, stderr = karatd("network", "new", "--name", "easy", "--hashrate", "3.4MH/s", "--bits", "1f00ffff", "--half-life", "12h", "--spacing", "30s", "-o", easy)
	if code != 0 || !strings.Contains(stderr, "a block takes 0.0s, not 30s; suggested 1d2a") {
		t.Fatalf("%d: %s", code, stderr)
	}
	code, stdout, _ := karatd("--network", easy, "network", "check", "--hashrate", "3.4MH/s")
	for _, want := range []string{"genesis.bits: 1f00ffff", "coins are made too early", "difficulty.half_life: 12 h"} {
		if code != 1 || !strings.Contains(stdout, want) {
			t.Errorf("%d: no %q in\n%s", code, want, stdout)
		}
	}
	drawing := filepath.Join(dir, "good.svg")
	if code, stdout, stderr := karatd("--network", good, "network", "simulate", "--days", "2", "--svg", drawing); code != 0 || strings.Count(stdout, "visitor") != 2 {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := karatd("--network", good, "network", "simulate", "--days", "1", "--svg", drawing); code != 1 || !strings.Contains(stderr, "exists") {
		t.Errorf("%d: %s", code, stderr)
	}
}
