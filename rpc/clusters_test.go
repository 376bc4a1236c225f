package rpc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// TestOrphanTxs: what waits for its parents is told with who has it, as Core does.
func TestOrphanTxs(t *testing.T) {
	s := newFake().server(t)
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{Witness: [][]byte{{1, 2}}}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: chaintest.Anchor}}}
	n := &fakeNet{}
	s.Network = n
	for _, params := range []string{"[]", "[0]", "[1]", "[2]"} {
		if got := result(t, s, "getorphantxs", params); got != "[]" {
			t.Errorf("%s without any: %s", params, got)
		}
	}
	n.orphans = []peerinfo.Orphan{{Tx: tx, WTxID: tx.WTxID(), From: []int{4, 2}}}
	details := fmt.Sprintf(`{"txid":"%s","wtxid":"%s","bytes":%d,"vsize":%d,"vsize_bip141":%d,"weight":%d,"from":[4,2]`,
		tx.TxID(), tx.WTxID(), tx.Size(), tx.VirtualSize(), tx.VirtualSize(), tx.Weight())
	for params, want := range map[string]string{
		"[]": fmt.Sprintf(`["%s"]`, tx.TxID()), "[1]": "[" + details + "}]", "[2]": fmt.Sprintf(`[%s,"hex":"%x"}]`, details, tx.AppendTo(nil)),
		"[3]": "-8", "[-1]": "-8", "[true]": "-3",
	} {
		if got := result(t, s, "getorphantxs", params); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	if help := s.helpList(); strings.Contains(help, "getorphantxs") || strings.Contains(help, "Hidden") {
		t.Error("Core hides it")
	}
}

// TestMockScheduler: time can be made to pass, where nothing is worth anything.
func TestMockScheduler(t *testing.T) {
	s, n := newFake().server(t), &fakeNet{}
	s.Network = n
	if got := result(t, s, "mockscheduler", "[5]"); got != "-1" {
		t.Errorf("on a network that is worth something: %s", got)
	}
	s.Params.Difficulty.Algorithm = consensus.DifficultyFixed
	for params, want := range map[string]string{"[900]": "null", "[0]": "-1", "[3601]": "-1"} {
		if got := result(t, s, "mockscheduler", params); got != want {
			t.Errorf("%s: %s", params, got)
		}
	}
	if n.advanced != 15*time.Minute {
		t.Errorf("%v have passed", n.advanced)
	}
}
