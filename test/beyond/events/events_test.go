// Package events tests the stream of events beside a real NATS server.
package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/test/beyond/natsd"
)

// Environment variables that make this program a node or a reader, with its folder and the
// URL of the server.
const (
	asNode   = "KARAT_TEST_NODE"
	asReader = "KARAT_TEST_READER"
)

// role runs something else than tests, if arguments are given.
func role(arguments string, run func(folder, url string) error) {
	if folder, url, ok := strings.Cut(arguments, " "); ok {
		fmt.Fprintln(os.Stderr, "ended:", run(folder, url))
		os.Exit(1)
	}
}

func TestMain(m *testing.M) {
	natsd.Serve()
	role(os.Getenv(asNode), beNode)
	role(os.Getenv(asReader), beReader)
	os.Exit(m.Run())
}

// TestMessages: a server takes the messages of a journal, each once and in order only,
// and gives them back.
func TestMessages(t *testing.T) {
	s := natsd.New(t).Start()
	_, js := natsd.Connect(t, s.URL())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: journal.Stream(params.Name, journal.JSON), Subjects: []string{journal.Subjects(params.Name, journal.JSON)},
	})
	if err != nil {
		t.Fatal(err)
	}
	genesis := params.GenesisBlock()
	at := types.Index{Hash: genesis.Hash}
	h := &journal.Head{
		Network: params.Identity(), Direction: journal.Connected, Block: at, At: at, Txs: len(genesis.TxIDs), Work: params.GenesisState().Work,
		Goal: journal.Goal{Hash: at.Hash},
	}
	w := journal.Writer{Params: params, Format: journal.JSON}
	seq := uint64(0)
	for m, err := range w.Messages(h, &consensus.BlockUpdate{Block: genesis, Update: &consensus.Update{Block: at}}, journal.Place{}) {
		if err != nil {
			t.Fatal(err)
		}
		msg := func() *nats.Msg { return &nats.Msg{Subject: m.Subject, Header: maps.Clone(m.Header), Data: m.Data} }
		if ack, err := js.PublishMsg(ctx, msg(), jetstream.WithExpectLastSequence(seq)); err != nil || ack.Sequence != seq+1 || ack.Duplicate {
			t.Fatal(ack, err)
		}
		if ack, err := js.PublishMsg(ctx, msg()); err != nil || ack.Sequence != seq+1 || !ack.Duplicate {
			t.Errorf("told twice: %+v, %v", ack, err)
		}
		seq++
		if _, err := js.PublishMsg(ctx, &nats.Msg{Subject: m.Subject}, jetstream.WithExpectLastSequence(seq-1)); err == nil {
			t.Error("a message was taken in a place that was taken")
		}
	}
	r := journal.Reader{Network: params.Identity()}
	for i := range seq {
		m, err := stream.GetMsg(ctx, i+1)
		if err != nil {
			t.Fatal(err)
		}
		step, err := r.Read(&journal.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
		if err != nil || (step != nil) != (i+1 == seq) {
			t.Fatal(step, err)
		}
		if step != nil {
			tx, err := step.Tx(0)
			if err != nil || tx.TxID != genesis.TxIDs[0] || len(tx.Outputs) != len(genesis.Block.Txs[0].Outputs) {
				t.Errorf("%+v, %v", tx, err)
			}
		}
	}
	if _, err := stream.GetMsg(ctx, seq+1); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Error(err)
	}
}
