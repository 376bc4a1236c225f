package warehouse

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/test/beyond/natsd"
	"github.com/karatcoin/karat/test/beyond/postgres"
)

var throughput = flag.Int("txs", 0, "fill tables with so many transactions, and tell how long that takes")

// busy writes blocks of payments, each of which spends two outputs of earlier ones and makes two,
// by signatures that nobody checks here.
func (b *book) busy(blocks, txs int, each func(journal.Message)) {
	script := func(n uint64) []byte { // an address that is there four times
		s := append([]byte{0x51, 32}, make([]byte, 32)...)
		binary.BigEndian.PutUint64(s[2:], n/4*0x9e3779b97f4a7c15)
		return s
	}
	seed := uint64(0)
	output := func() types.TxOut {
		seed++
		return types.TxOut{Value: 1_000_000 + types.Amount(seed), ScriptPubKey: script(seed)}
	}
	type coin struct {
		at  types.OutPoint
		out types.TxOut
	}
	parent := b.tree.Genesis.Index()
	var ready []coin
	for height := uint32(1); height <= uint32(blocks); height++ {
		block := &types.Block{Header: types.Header{Version: 0x20000000, PrevBlock: parent.Hash, Timestamp: 1_800_000_000 + 60*height, Bits: 0x207fffff}}
		first := make([]types.TxOut, 1)
		if len(ready) < 4*txs {
			first = make([]types.TxOut, 4*txs)
		}
		for i := range first {
			first[i] = output()
		}
		block.Txs = append(block.Txs, chaintest.Coinbase(height, nil, first...))
		var undo []types.Coin
		var made []coin
		if height > 1 {
			for range txs {
				tx := types.Tx{Version: 2, Outputs: []types.TxOut{output(), output()}}
				for _, c := range ready[:2] {
					signature := bytes.Repeat(binary.BigEndian.AppendUint64(nil, seed*0x9e3779b97f4a7c15), 8)
					tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: c.at, Sequence: 0xfffffffd, Witness: [][]byte{signature}})
					spent, _ := types.NewCoin(&c.out, height-1, false)
					undo = append(undo, spent)
				}
				ready = ready[2:]
				block.Txs = append(block.Txs, tx)
			}
		}
		chaintest.SetMerkleRoot(block)
		hashed := consensus.HashBlock(block)
		for i := range block.Txs {
			for k, out := range block.Txs[i].Outputs {
				made = append(made, coin{types.OutPoint{TxID: hashed.TxIDs[i], Index: uint32(k)}, out})
			}
		}
		ready = append(ready, made...)
		at := types.Index{Height: height, Hash: hashed.Hash}
		u, err := consensus.RevertUpdate(hashed, parent, height, undo)
		if err != nil {
			b.t.Fatal(err)
		}
		h := &journal.Head{
			Network: b.params.Identity(), Number: uint64(height), Direction: journal.Connected, Block: at, Parent: parent.Hash, Txs: len(block.Txs), At: at,
			Goal: journal.Goal{Hash: at.Hash},
		}
		h.Work[0] = uint64(height)
		for m, err := range b.writer.Messages(h, &consensus.BlockUpdate{Block: hashed, Update: u}, journal.Place{}) {
			if err != nil {
				b.t.Fatal(err)
			}
			each(m)
		}
		parent = at
	}
}

// processor is the processor time of a process so far, from /proc.
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+2:])
	ticks := 0
	for _, f := range fields[11:13] { // user and system
		n, _ := strconv.Atoi(string(f))
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// TestThroughput tells how many transactions a second go from the stream into the tables, with
// all indexes, by a program and servers on this machine.
func TestThroughput(t *testing.T) {
	if *throughput == 0 {
		t.Skip("a measurement: make warehouse")
	}
	const perBlock = 2000
	blocks := 1 + (*throughput+perBlock-1)/perBlock
	db, server := postgres.New(t, "max_wal_size=8GB", "shared_buffers=512MB"), natsd.New(t).Start()
	b := newBook(t, 3)
	stream := b.stream(server.URL())
	bytes := 0
	send := func(m journal.Message) {
		bytes += len(m.Data)
		if _, err := stream.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range b.told {
		send(m)
	}
	b.busy(blocks, perBlock, send)
	select {
	case <-stream.js.PublishAsyncComplete():
	case <-time.After(patience):
		t.Fatal("the server does not take the stream")
	}
	natsBefore, dbBefore := processor(t, server.PID()), db.Processor()
	begun := time.Now()
	c := command(server, db, "--once")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	own := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	natsTime, dbTime := processor(t, server.PID())-natsBefore, db.Processor()-dbBefore
	var txs, rows int
	var size string
	err := connect(t, db).QueryRow(context.Background(), `select (select count(*) from karat.transactions),
		(select count(*) from karat.transactions) + (select count(*) from karat.inputs) + (select count(*) from karat.outputs), pg_size_pretty(pg_database_size('postgres'))`).
		Scan(&txs, &rows, &size)
	if err != nil {
		t.Fatal(err)
	}
	a := func(d time.Duration) string { return fmt.Sprintf("%.1f us", float64(d.Microseconds())/float64(txs)) }
	t.Logf("%d transactions, %d rows in %s: %d transactions a second", txs, rows, took.Round(10*time.Millisecond), int(float64(txs)/took.Seconds()))
	t.Logf("processor time of a transaction: karat-events %s, PostgreSQL %s, NATS %s: together %d a second on two cores", a(own), a(dbTime), a(natsTime),
		int(2*float64(txs)/(own+dbTime+natsTime).Seconds()))
	t.Logf("the stream has %d bytes a transaction, the database %s", bytes/txs, size)
}
