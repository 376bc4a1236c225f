package rpc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/rpc"
)

// TestPoolFile: the pool is saved and read by call, with what belongs to its transactions.
func TestPoolFile(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	txid := s.spend(1)
	call[bool](s, "prioritisetransaction", txid, 0, 1000)
	path := call[map[string]string](s, "savemempool")["filename"]
	if !filepath.IsAbs(path) || filepath.Base(path) != "mempool.dat" {
		t.Fatalf("saved to %q", path)
	}
	copied := filepath.Join(t.TempDir(), "other.dat")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	delta := func() float64 {
		return call[map[string]map[string]any](s, "getprioritisedtransactions")[txid]["fee_delta"].(float64)
	}
	if got := call[map[string]any](s, "importmempool", copied); len(got) != 0 || delta() != 1000 {
		t.Errorf("%v, the delta is %v", got, delta())
	}
	call[map[string]any](s, "importmempool", copied, map[string]bool{"apply_fee_delta_priority": true})
	call[map[string]any](s, "importmempool", rpc.Named{"filepath": copied, "apply_fee_delta_priority": true, "use_current_time": false})
	if delta() != 3000 {
		t.Errorf("the delta is %v", delta())
	}
	for _, path := range []string{"", copied + "x", t.TempDir()} {
		if got := refused(s, "importmempool", path); got != "-1 Unable to import mempool file, see debug log for details." {
			t.Errorf("%q: %s", path, got)
		}
	}
	if got := refused(s, "importmempool", copied, map[string]any{"no": 1}); !strings.HasPrefix(got, "-3 Unexpected key no") {
		t.Error(got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := refused(s, "savemempool"); got != "-1 Unable to dump mempool to disk" {
		t.Error(got)
	}
}
