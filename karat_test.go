package karat

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
)

func TestLoadNetwork(t *testing.T) {
	for _, name := range []string{"main", "dev", "testdata/bitcoin-regtest.json"} {
		if _, err := LoadNetwork(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nowhere": "neither", "./nowhere.json": "no such file", broken: "missing"} {
		if _, err := LoadNetwork(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFindNetwork: a network that was joined is found by its name, and that of one that is
// built in stays what it is, but for first peers.
func TestFindNetwork(t *testing.T) {
	base := t.TempDir()
	join := func(name string, change func(*consensus.Params)) *consensus.Params {
		t.Helper()
		p, err := LoadNetwork("testdata/bitcoin-regtest.json")
		if IsBuiltIn(name) {
			p, err = LoadNetwork(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Name = name
		change(p)
		dir := filepath.Join(base, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, NetworkFile), network.Pack(p), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := join("coin", func(p *consensus.Params) { p.Bootstrap.DNS = []string{"x"} })
	if got, err := FindNetwork(base, "coin"); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("%v", err)
	}
	if _, err := FindNetwork(t.TempDir(), "coin"); err == nil || !strings.Contains(err.Error(), "was not joined") {
		t.Errorf("elsewhere: %v", err)
	}
	if got, err := FindNetwork(base, "testdata/bitcoin-regtest.json"); err != nil || got.Name != "regtest" {
		t.Errorf("by its path: %v", err)
	}
	join("main", func(p *consensus.Params) { p.Bootstrap.DNS, p.Ports.P2P = []string{"x"}, 7 })
	if got, err := FindNetwork(base, "main"); err != nil || got.Ports.P2P == 7 || len(got.Bootstrap.DNS) != 1 {
		t.Errorf("main with peers: %v", err)
	}
	join("dev", func(p *consensus.Params) { p.TargetSpacing++; p.Bootstrap.DNS = []string{"x"} })
	if got, err := FindNetwork(base, "dev"); err != nil || len(got.Bootstrap.DNS) != 0 {
		t.Errorf("dev with another network's file: %v", err)
	}
}

func TestDataDir(t *testing.T) {
	params, err := LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := DataDir("/data", params); err != nil || dir != filepath.Join("/data", "dev") {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("HOME", "/home/alice")
	if dir, err := DataDir("", params); err != nil || dir != filepath.Join("/home/alice", ".karat", "dev") {
		t.Errorf("%s, %v", dir, err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	for given, want := range map[string]string{"~": home, "~/x": home + "/x", home + "/new": home + "/new"} {
		if dir, err := DataDir(given, params); err != nil || dir != filepath.Join(want, "dev") {
			t.Errorf("%s: %s, %v", given, dir, err)
		}
	}
	for _, given := range []string{"~/x/y", home + "/x/y", "~bob/x"} {
		if dir, err := DataDir(given, params); err == nil || !strings.Contains(err.Error(), "there is no folder") {
			t.Errorf("%s: %s, %v", given, dir, err)
		}
	}
	t.Setenv("HOME", "")
	if _, err := DataDir("", params); err == nil || !strings.Contains(err.Error(), "--datadir") {
		t.Errorf("%v", err)
	}
}
