package rpc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/node"
)

// TestNotify: a node runs the operator's commands when it starts and stops, for new tips
// and for payments to and from what is watched: when they wait, when they are in a block,
// and when that is undone.
func TestNotify(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heard")
	write := func(what string) string { return "echo " + what + " >> " + file }
	s := start(t, func(c *node.Config) {
		c.Notify = node.Notify{
			Startup: write("started"), Shutdown: write("stops"), Block: write("tip %s"), Tx: write("tx %s %b %h"), Watch: [][]byte{chaintest.Anchor},
		}
	})
	heard := func(line string, times int) {
		t.Helper()
		var text []byte
		for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
			text, _ = os.ReadFile(file)
			if strings.Count(string(text), line+"\n") == times {
				return
			}
		}
		t.Fatalf("%q is not there %d times:\n%s", line, times, text)
	}
	heard("started", 1)
	for height := 1; height <= 3; height++ {
		block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
		heard("tip "+block, 1)
		coinbase := call[struct{ Tx []string }](s, "getblock", block).Tx[0]
		heard(fmt.Sprintf("tx %s %s %d", coinbase, block, height), 1)
	}
	txid := s.spend(1)
	heard("tx "+txid+" unconfirmed -1", 1)
	block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
	heard(fmt.Sprintf("tx %s %s 4", txid, block), 1)
	call[any](s, "invalidateblock", block)
	heard("tx "+txid+" unconfirmed -1", 2)
	s.stop()
	heard("stops", 1)
}
