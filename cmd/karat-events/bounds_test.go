package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
)

// block is a step that connects a block with one transaction, and what change makes of them.
func block(t *testing.T, change func(*journal.Block, *journal.Tx)) *journal.Step {
	t.Helper()
	h := journal.Head{Direction: journal.Connected, Block: types.Index{Height: 7}, Txs: 1}
	b := &journal.Block{Height: 7, Work: consensus.Uint256{}.String(), Txs: 1}
	tx := &journal.Tx{
		Height: 7, Inputs: []journal.Input{{Coin: &journal.Coin{Address: "a"}}}, Outputs: []journal.Output{{Address: "b"}},
	}
	if change != nil {
		change(b, tx)
	}
	s := &journal.Step{Head: h, Txs: make([][]byte, 1)}
	var err, err2 error
	s.Body, err = json.Marshal(b)
	s.Txs[0], err2 = json.Marshal(tx)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return s
}

// TestRefused: what no column can have is no journal, and is not tried again.
func TestRefused(t *testing.T) {
	if _, err := read(block(t, nil)); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*journal.Block, *journal.Tx){
		"size":         func(b *journal.Block, _ *journal.Tx) { b.Size = 1 << 31 },
		"weight":       func(b *journal.Block, _ *journal.Tx) { b.Weight = -1 },
		"work":         func(b *journal.Block, _ *journal.Tx) { b.Work = strings.Repeat("f", 1<<17) },
		"no work":      func(b *journal.Block, _ *journal.Tx) { b.Work = "-1" },
		"tx size":      func(_ *journal.Block, tx *journal.Tx) { tx.Size = 1 << 40 },
		"spent output": func(_ *journal.Block, tx *journal.Tx) { tx.Inputs[0].Index = 1 << 31 },
		"spent height": func(_ *journal.Block, tx *journal.Tx) { tx.Inputs[0].Coin.Height = 1 << 31 },
		"NUL in":       func(_ *journal.Block, tx *journal.Tx) { tx.Inputs[0].Coin.Address = "a\x00" },
		"NUL out":      func(_ *journal.Block, tx *journal.Tx) { tx.Outputs[0].Address = "\x00" },
	} {
		if _, err := read(block(t, change)); !errors.Is(err, journal.ErrForeign) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFull: a batch is bounded in bytes too, since a block of few rows may have large witnesses.
func TestFull(t *testing.T) {
	b := newBatch(position{})
	large := block(t, func(_ *journal.Block, tx *journal.Tx) {
		tx.Inputs[0].Witness = []journal.Hex{make([]byte, 4<<20)}
	})
	blocks := 0
	for ; !b.full(); blocks++ {
		if blocks == 10 {
			t.Fatalf("%d MiB are in a batch", blocks*8)
		}
		if err := b.add(large, 1); err != nil {
			t.Fatal(err)
		}
	}
	for range blocks {
		gone := block(t, nil)
		gone.Direction = journal.Disconnected
		if err := b.add(gone, 1); err != nil {
			t.Fatal(err)
		}
	}
	if b.bytes != 0 || b.size != 0 {
		t.Errorf("%d bytes, %d rows of no block", b.bytes, b.size)
	}
}

// TestPasswords: what is wrong with a command line is said without the passwords in it.
func TestPasswords(t *testing.T) {
	for _, args := range [][]string{
		{"--events", "nats://me:geheim%zz@127.0.0.1:4222"},
		{"--events", "nats://me:geheim@127.0.0.1:4222/path"},
		{"--events", "nats://me:geheim@127.0.0.1:many"},
		{"--database", "postgres://me:ge@heim%zz@127.0.0.1/x"},
		{"--database", "postgres://me:ge:heim%zz@127.0.0.1/x"},
		{"--database", "host=127.0.0.1 password = geheim port=zz"},
	} {
		var out, errs bytes.Buffer
		code := run(context.Background(), append([]string{program, "status"}, args...), cmdline.Streams{Out: &out, Err: &errs})
		if code == 0 || strings.Contains(errs.String()+out.String(), "heim") || strings.Count(errs.String(), "\n") > 2 {
			t.Errorf("%q: %d, %s%s", args, code, errs.String(), out.String())
		}
	}
	// What is not about passwords is told.
	_, err := openWarehouse(context.Background(), "host=127.0.0.1 port=zz", "karat", nil)
	if err == nil || !strings.Contains(err.Error(), "invalid port") {
		t.Error(err)
	}
}

// TestStored: a hash of tables that somebody has changed ends no program by a panic.
func TestStored(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 31), make([]byte, 33)} {
		if _, err := stored(b); !errors.Is(err, errFinal) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}
