package node

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/internal/chaintest"
)

// TestExtraNonces: nodes that pay the same script, and begin at the same moment, do not
// search through the same headers.
func TestExtraNonces(t *testing.T) {
	var scripts [][]byte
	for range 2 {
		n := openNode(t, t.TempDir(), "dev", 0)
		t.Cleanup(func() { closeNode(t, n) })
		run(t, n)
		m := n.running.Load().miner
		coinbase := m.Coinbase(m.Template(), chaintest.Anchor)
		scripts = append(scripts, coinbase.Inputs[0].ScriptSig)
	}
	if slices.Equal(scripts[0], scripts[1]) {
		t.Errorf("both have the coinbase script %x", scripts[0])
	}
}
