package warehouse

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/events"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/test/beyond/natsd"
	"github.com/karatcoin/karat/test/beyond/postgres"
)

// TestNode: sums in SQL are those that a node tells of its coins, while it mines payments,
// reorganises, and the program that fills the tables is killed.
func TestNode(t *testing.T) {
	db, server := postgres.New(t, "fsync=off"), natsd.New(t).Start()
	n := nodetest.Dev(t, func(c *node.Config) { c.Events = events.Config{Servers: server.URL(), Format: journal.JSON} })
	client := rpc.NewCookieClient("http://"+n.RPC, n.CookieFile)
	call := func(result any, method string, params ...any) {
		t.Helper()
		if err := client.Call(t.Context(), method, result, params...); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
	address, err := taproot.EncodeAddress(n.Chain().Params().HRP, chaintest.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		c := exec.Command(filler, "--network", "dev", "--events", server.URL(), "--database", db.URL())
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	program := start()
	stop := func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	}
	defer func() { stop() }()
	call(nil, "generatetoaddress", 103, address)
	conn := connect(t, db)
	for round := range 12 {
		tip := n.Chain().Tip()
		if back := rand.Uint32N(4); back > 0 && round > 2 && round%2 == 0 {
			hash, _ := n.Chain().HashAt(tip.Height - back + 1)
			call(nil, "invalidateblock", hash.String())
			call(nil, "generatetoaddress", back, address)
		}
		call(nil, "generateblock", address, []string{payment(t, n, uint32(round)+1)})
		if round%4 == 3 {
			stop()
			program = start()
		}
		var info struct {
			BestBlock string
			TxOuts    int64
			Total     json.Number `json:"total_amount"`
		}
		call(&info, "gettxoutsetinfo", "none")
		hash, err := types.ParseHash(info.BestBlock)
		if err != nil {
			t.Fatal(err)
		}
		wanted := func() (is bool) {
			_ = conn.QueryRow(t.Context(), "select hash = $1 from karat.position", shown(hash)).Scan(&is)
			return is
		}
		for deadline := time.Now().Add(patience); !wanted(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the tables do not come to block %s", hash)
			}
		}
		var coins int64
		var sum string
		if err := conn.QueryRow(t.Context(), "select count(*), round(sum(value) / 100000000.0, 8)::text from karat.coins").Scan(&coins, &sum); err != nil {
			t.Fatal(err)
		}
		if coins != info.TxOuts || strings.TrimRight(sum, "0.") != strings.TrimRight(info.Total.String(), "0.") {
			t.Errorf("round %d: %d coins of %s, and the node has %d of %s", round, coins, sum, info.TxOuts, info.Total)
		}
		var genesis int64
		if err := conn.QueryRow(t.Context(), "select count(*) from karat.coins where height = 0 and coinbase").Scan(&genesis); err != nil || genesis != 0 {
			t.Errorf("%d allocations have to mature, %v", genesis, err)
		}
	}
}

// payment spends the coinbase of a block, pays to anybody, and writes something down.
func payment(t *testing.T, n *nodetest.Running, height uint32) string {
	t.Helper()
	hash, _ := n.Chain().HashAt(height)
	u, err := n.Chain().BlockUpdate(hash)
	if err != nil {
		t.Fatal(err)
	}
	from := types.OutPoint{TxID: u.Block.TxIDs[0]}
	value := u.Block.Block.Txs[0].Outputs[0].Value
	tx := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from, Sequence: 0xffffffff}}, Outputs: []types.TxOut{
		{Value: value / 3, ScriptPubKey: chaintest.Anchor}, {Value: value / 2, ScriptPubKey: chaintest.Anchor}, {ScriptPubKey: wild[1]},
	}}
	return hex.EncodeToString(tx.AppendTo(nil))
}
