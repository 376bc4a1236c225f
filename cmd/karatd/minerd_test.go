package main

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/vectors"
)

// minedNetwork makes a network on which a block takes cpuminer a moment, with a coin
// that chaintest.Key can spend.
func minedNetwork(t *testing.T) (file string) {
	t.Helper()
	return renamed(t, "dev", "network", "new", "--name", "rig", "--hrp", minedPrefix, "--spacing", "1s", "--half-life", "1h", "--bits", "1f00ffff",
		"--maturity", "1", "--allocate", minedAddress(t, chaintest.KeyScript())+"=1")
}

// minedPrefix begins the addresses of that network.
const minedPrefix = "rig"

func minedAddress(t *testing.T, script []byte) string {
	t.Helper()
	address, err := taproot.EncodeAddress(minedPrefix, script)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// said is what a process writes, which is read while it does.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// startMinerd runs the cpuminer that KARAT_MINERD names until the test ends.
func startMinerd(t *testing.T, args ...string) *said {
	t.Helper()
	out := &said{}
	cmd := exec.Command(os.Getenv("KARAT_MINERD"), append([]string{"-a", "sha256d", "-t", "1", "--retry-pause", "1"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("cpuminer said:\n%s", out)
		}
	})
	return out
}

// TestMinerd: cpuminer, as it is, mines blocks with transactions for a taproot address
// on a node that runs: by getblocktemplate and by Stratum.
func TestMinerd(t *testing.T) {
	if os.Getenv("KARAT_MINERD") == "" {
		vectors.NotRun(t, "cpuminer against karatd, by getblocktemplate and by Stratum, because KARAT_MINERD does not name its minerd")
	}
	payout := append([]byte{0x51, 32}, chaintest.KeyScript()[2:]...)
	payout[33] ^= 1 // another key than that of the payments
	address := minedAddress(t, payout)
	t.Run("getblocktemplate", func(t *testing.T) {
		d := startDaemon(t, t.TempDir(), "127.0.0.1:0", "--network", minedNetwork(t), "--mine-to", address)
		cookie, err := os.ReadFile(filepath.Join(d.dir, "dev", ".cookie"))
		if err != nil {
			t.Fatal(err)
		}
		txid := payOnce(d)
		out := startMinerd(t, "-o", d.rpc, "-O", strings.TrimSpace(string(cookie)))
		checkMined(d, out, address, txid)
		d.stop()
	})
	t.Run("Stratum", func(t *testing.T) {
		d := startDaemon(t, t.TempDir(), "127.0.0.1:0", "--network", minedNetwork(t), "--stratum", "127.0.0.1:0")
		txid := payOnce(d)
		type stratumInfo struct {
			Listening string
			Accepted  int
			Rejected  map[string]int
			Blocks    int
		}
		at := call[stratumInfo](d, "getstratuminfo").Listening
		out := startMinerd(t, "-o", "stratum+tcp://"+at, "-u", address+".rig", "-p", "x")
		checkMined(d, out, address, txid)
		var info stratumInfo
		waitFor(t, "the node counts what it has accepted", func() bool {
			info = call[stratumInfo](d, "getstratuminfo")
			return info.Blocks >= minedBlocks && info.Accepted >= info.Blocks
		})
		for reason, n := range info.Rejected {
			// Until it hears of its own block, it works on the tip before.
			if n > 0 && reason != "stale" {
				t.Errorf("%d shares were refused as %s", n, reason)
			}
		}
		d.stop()
	})
}

// payOnce gives the pool a signed payment of the coin that the network begins with.
func payOnce(d *daemon) (txid string) {
	d.t.Helper()
	genesis := call[struct{ Tx []struct{ Hex string } }](d, "getblock", call[string](d, "getblockhash", 0), 2)
	raw, err := hex.DecodeString(genesis.Tx[0].Hex)
	if err != nil {
		d.t.Fatal(err)
	}
	coinbase, err := types.DecodeTx(raw)
	if err != nil {
		d.t.Fatal(err)
	}
	outputs := chaintest.Outputs{}
	outputs.Note(coinbase)
	tx := outputs.Spend(1000, chaintest.KeyScript(), chaintest.Output(coinbase, 0))
	return call[string](d, "sendrawtransaction", hex.EncodeToString(tx.AppendTo(nil)))
}

// minedBlocks is how many blocks cpuminer must mine.
const minedBlocks = 4

// checkMined waits for the blocks, each of which pays the address, and looks for the
// payment in the first.
func checkMined(d *daemon, out *said, address, txid string) {
	d.t.Helper()
	waitFor(d.t, "blocks by cpuminer", func() bool { return call[int](d, "getblockcount") >= minedBlocks })
	waitFor(d.t, "cpuminer hears that a block was good", func() bool { return strings.Contains(out.String(), "(yay!!!)") })
	for height := 1; height <= minedBlocks; height++ {
		block := call[struct {
			Tx []struct {
				TxID string
				Vout []struct{ ScriptPubKey struct{ Address string } }
			}
		}](d, "getblock", call[string](d, "getblockhash", height), 2)
		if got := block.Tx[0].Vout[0].ScriptPubKey.Address; got != address {
			d.t.Errorf("block %d pays %s, want %s", height, got, address)
		}
		if height == 1 && (len(block.Tx) != 2 || block.Tx[1].TxID != txid) {
			d.t.Errorf("the first block has %d transactions, and is to have %s", len(block.Tx), txid)
		}
	}
}
