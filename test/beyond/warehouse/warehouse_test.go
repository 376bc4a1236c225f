// Package warehouse tests karat-events beside real servers of NATS and PostgreSQL.
package warehouse

import (
	"bytes"
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/test/beyond/natsd"
	"github.com/karatcoin/karat/test/beyond/postgres"
)

var kills = flag.Int("kills", 6, "how many times something is killed while tables are filled")

// patience is how long a process may take for what it does in a moment where nothing else runs.
const patience = 2 * time.Minute

var filler string // the program

func TestMain(m *testing.M) {
	natsd.Serve()
	flag.Parse()
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "karat-events")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(folder)
		filler = filepath.Join(folder, "karat-events")
		build := exec.Command("go", "build", "-o", filler, ".")
		build.Dir = "../../../cmd/karat-events"
		if out, err := build.CombinedOutput(); err != nil {
			os.Stderr.Write(out)
			return 1
		}
		return m.Run()
	}())
}

// command is the program with what it needs to find both servers.
func command(nats *natsd.Server, db *postgres.Server, args ...string) *exec.Cmd {
	return exec.Command(filler, append([]string{"--network", genesisFile, "--events", nats.URL(), "--database", db.URL()}, args...)...)
}

// fill fills the tables with all that the stream has.
func fill(t *testing.T, nats *natsd.Server, db *postgres.Server, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := command(nats, db, append(args, "--once")...)
	c = exec.CommandContext(ctx, c.Path, c.Args[1:]...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func connect(t *testing.T, db *postgres.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func hash(shown []byte) (h types.Hash) {
	slices.Reverse(shown)
	copy(h[:], shown)
	return h
}

// shown is a hash as the tables have it.
func shown(h types.Hash) []byte {
	slices.Reverse(h[:])
	return h[:]
}

// check compares the tables with the chain behind the steps that they say they have, and returns
// how many these are.
func check(t *testing.T, conn *pgx.Conn, b *book) (steps int) {
	t.Helper()
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead}) // one moment
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if err := tx.QueryRow(t.Context(), "select steps from karat.position").Scan(&steps); err != nil {
		if strings.Contains(err.Error(), "42P01") { // they were not made yet
			return 0
		}
		t.Fatal(err)
	}
	rows, err := tx.Query(t.Context(), "select height, hash from karat.blocks order by height")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (i types.Index, err error) {
		var h []byte
		err = r.Scan(&i.Height, &h)
		i.Hash = hash(h)
		return i, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if steps == 0 {
		if len(blocks) > 0 {
			t.Errorf("%d blocks before the first step", len(blocks))
		}
		return 0
	}
	tip := b.tips[steps-1]
	var want []types.Index
	for at := tip; at != nil; at = at.Parent {
		want = append(want, at.Index())
	}
	if slices.Reverse(want); !slices.Equal(blocks, want) {
		t.Fatalf("behind step %d there are %d blocks, and should be %d up to %s", steps, len(blocks), len(want), tip.Index())
	}
	rows, err = tx.Query(t.Context(), "select txid, vout, value, script, height, coinbase from karat.coins")
	if err != nil {
		t.Fatal(err)
	}
	coins := chaintest.Coins{}
	for rows.Next() {
		var txid, script []byte
		var o types.OutPoint
		var out types.TxOut
		var height uint32
		var coinbase bool
		if err := rows.Scan(&txid, &o.Index, &out.Value, &script, &height, &coinbase); err != nil {
			t.Fatal(err)
		}
		o.TxID, out.ScriptPubKey = hash(txid), script
		coins[o], _ = types.NewCoin(&out, height, coinbase)
	}
	if rows.Err() != nil || !maps.Equal(coins, tip.Coins) {
		t.Fatalf("behind step %d there are %d coins, and should be %d (%v)", steps, len(coins), len(tip.Coins), rows.Err())
	}
	return steps
}

// TestFill: the tables have what the chain has, whatever scripts, witnesses and amounts are in
// it, behind every reorganisation; and also when the stream was lost and written anew.
func TestFill(t *testing.T) {
	db, nats := postgres.New(t, "fsync=off"), natsd.New(t).Start()
	b := newBook(t, 1)
	stream := b.stream(nats.URL())
	conn := connect(t, db)
	told := 0
	for range 5 {
		b.grow(30)
		if err := stream.publish(b.told[told:]); err != nil {
			t.Fatal(err)
		}
		told = len(b.told)
		fill(t, nats, db)
		if got := check(t, conn, b); got != len(b.tips) {
			t.Fatalf("%d steps of %d", got, len(b.tips))
		}
	}
	var txs, inputs, witness int
	err := conn.QueryRow(t.Context(), `select count(*), sum(inputs), (select count(*) from karat.inputs where witness = array['\x', '\x00ff', '\x00227d5c']::bytea[])
		from karat.transactions`).Scan(&txs, &inputs, &witness)
	if err != nil || txs < 200 || inputs < txs || witness < 10 {
		t.Errorf("%d transactions, %d inputs, %d witnesses, %v", txs, inputs, witness, err)
	}
	status(t, nats, db, "behind   0 blocks")
	examples(t, conn)
	fill(t, nats, db, "--schema", "a \"second\" one")

	// The stream is lost, and written anew by a node that is on another branch.
	last := b.tip()
	if err := stream.js.DeleteStream(t.Context(), stream.name); err != nil {
		t.Fatal(err)
	}
	other := b.on(last.Parent.Parent.Parent)
	other.grow(20)
	if err := other.stream(nats.URL()).publish(other.told); err != nil {
		t.Fatal(err)
	}
	fill(t, nats, db)
	if got := check(t, conn, other); got != len(other.tips) {
		t.Fatalf("%d steps of %d", got, len(other.tips))
	}
}

// on begins a journal anew that leads to a block.
func (b *book) on(tip *chaintest.Block) *book {
	other := *b
	other.tips, other.told = nil, nil
	var path []*chaintest.Block
	for at := tip; at != nil; at = at.Parent {
		path = append(path, at)
	}
	for _, block := range slices.Backward(path) {
		other.step("connected", block)
	}
	return &other
}

func status(t *testing.T, nats *natsd.Server, db *postgres.Server, want string) {
	t.Helper()
	out, err := command(nats, db, "status").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(want)) {
		t.Errorf("status: %v\n%s", err, out)
	}
}

// examples runs the queries of docs/warehouse.md.
func examples(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/warehouse.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "```sql\n")[1:]
	for _, part := range parts {
		query, _, _ := strings.Cut(part, "```")
		results, err := conn.PgConn().Exec(t.Context(), query).ReadAll()
		if err != nil {
			t.Errorf("%s\n%v", query, err)
		}
		for _, r := range results {
			if len(r.Rows) == 0 && !strings.Contains(query, `'\x00'`) && !strings.Contains(query, "krt1") {
				t.Errorf("%s\nfinds nothing", query)
			}
		}
	}
	if len(parts) < 8 {
		t.Errorf("%d examples", len(parts))
	}
}

// TestKills: whichever of the three is killed at whichever moment, the tables are those of one
// place of the journal, and in the end of its end.
func TestKills(t *testing.T) {
	db, nats := postgres.New(t), natsd.New(t).Start()
	b := newBook(t, 2)
	stream := b.stream(nats.URL())
	b.grow(10 * *kills)
	published := make(chan error, 1)
	go func() { published <- stream.publish(b.told) }()
	start := func() *exec.Cmd {
		c := command(nats, db)
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
	last := 0
	for i := range *kills {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		switch i % 3 {
		case 0:
			stop()
			program = start()
		case 1:
			db.Kill()
			db.Start()
		case 2:
			nats.Kill()
			nats.Start()
		}
		conn := connect(t, db)
		steps := check(t, conn, b)
		if steps < last {
			t.Errorf("%d steps were kept, and %d are there", last, steps)
		}
		last = steps
		conn.Close(t.Context())
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	stop()
	fill(t, nats, db)
	if got := check(t, connect(t, db), b); got != len(b.tips) {
		t.Errorf("%d steps of %d", got, len(b.tips))
	}
	t.Logf("%d kills, %d blocks came or went", *kills, len(b.tips))
}

// TestEmptied: a stream that somebody empties while it is read, and that is written anew by a
// node on another branch, is followed by a program that runs on.
func TestEmptied(t *testing.T) {
	db, nats := postgres.New(t, "fsync=off"), natsd.New(t).Start()
	b := newBook(t, 3)
	s := b.stream(nats.URL())
	b.grow(20)
	if err := s.publish(b.told); err != nil {
		t.Fatal(err)
	}
	program := command(nats, db)
	program.Stderr = os.Stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	defer func() { _ = program.Process.Kill() }()
	conn := connect(t, db)
	until := func(b *book) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			var at []byte
			if _ = conn.QueryRow(t.Context(), "select hash from karat.position").Scan(&at); len(at) > 0 && hash(at) == b.tip().Hash {
				break
			}
			select {
			case err := <-ended:
				t.Fatalf("the program has ended: %v", err)
			default:
			}
			if time.Now().After(deadline) {
				t.Fatal("the tables do not come so far")
			}
		}
		check(t, conn, b)
	}
	until(b)
	stream, err := s.js.Stream(t.Context(), s.name)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Duplicates = 100 * time.Millisecond // what was in it is forgotten soon
	if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := b.on(b.tip().Parent.Parent)
	other.grow(10)
	s.anew(t, other.told)
	until(other)
}
