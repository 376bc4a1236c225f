package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
)

// TestBootstrapAtOnce: of first peers that are added at the same time, by hand and by joining,
// none is lost.
func TestBootstrapAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders are not locked there")
	}
	dir := t.TempDir()
	pack := func(number int) string {
		p := aNetwork(t, func(p *consensus.Params) {
			p.Bootstrap.Nodes = []string{fmt.Sprintf("%s192.0.2.%d:1", somePeer[:65], number+1)}
		})
		return writeFile(t, filepath.Join(t.TempDir(), "coin.json"), string(network.Pack(p)))
	}
	if code, _, stderr := karatd("--datadir", dir, "network", "join", pack(0)); code != 0 {
		t.Fatal(stderr)
	}
	var all sync.WaitGroup
	for i := range 8 {
		add := []string{"--datadir", dir, "bootstrap", "add", "--offline", fmt.Sprintf("%s198.51.100.%d:1", somePeer[:65], i+1)}
		join := []string{"--datadir", dir, "network", "join", pack(i + 1)}
		for _, args := range [][]string{add, join} {
			all.Go(func() {
				if code, _, stderr := karatd(args...); code != 0 {
					t.Error(stderr)
				}
			})
		}
	}
	all.Wait()
	var list []string
	if _, stdout, _ := karatd("--datadir", dir, "bootstrap", "list", "--json"); json.Unmarshal([]byte(stdout), &list) != nil {
		t.Fatal(stdout)
	}
	if len(list) != 17 {
		t.Errorf("%d first peers: %q", len(list), list)
	}
}
