package warehouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/test/beyond/natsd"
)

// genesisFile is the network of these tests.
const genesisFile = "../../../testdata/bitcoin-regtest.json"

// book is a chain that comes and goes by chance, and its journal. The tip behind each step is
// kept, so that a test knows what there is at any place of the journal.
type book struct {
	t      *testing.T
	params *consensus.Params
	writer journal.Writer
	chance *rand.Rand
	tree   *chaintest.Tree
	tips   []*chaintest.Block // behind each step
	blocks int
	told   []journal.Message
}

func newBook(t *testing.T, seed uint64) *book {
	t.Helper()
	text, err := os.ReadFile(genesisFile)
	if err != nil {
		t.Fatal(err)
	}
	params, err := network.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{
		t: t, params: params, writer: journal.Writer{Params: params, Format: journal.JSON}, chance: rand.New(rand.NewPCG(seed, 1)),
		tree: chaintest.NewTree(params.GenesisBlock().Block),
	}
	b.step(journal.Connected, b.tree.Genesis)
	return b
}

func (b *book) tip() *chaintest.Block { return b.tips[len(b.tips)-1] }

// step writes a step, and what it leads to.
func (b *book) step(d journal.Direction, block *chaintest.Block) {
	b.t.Helper()
	h := &journal.Head{
		Network: b.params.Identity(), Number: uint64(len(b.tips)), Direction: d, Block: block.Index(), Parent: block.Block.Header.PrevBlock, Txs: len(block.Txs),
		At: block.Index(), Goal: journal.Goal{Hash: block.Hash},
	}
	h.Work[0] = uint64(block.Height) + 1
	tip := block
	if d == journal.Disconnected {
		tip = block.Parent
		h.At = tip.Index()
	}
	for m, err := range b.writer.Messages(h, b.update(block), journal.Place{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		b.told = append(b.told, m)
	}
	b.tips = append(b.tips, tip)
}

func (b *book) update(block *chaintest.Block) *consensus.BlockUpdate {
	if block.Height == 0 {
		return &consensus.BlockUpdate{Block: b.params.GenesisBlock(), Update: &consensus.Update{Block: block.Index()}}
	}
	hashed := consensus.HashBlock(block.Block)
	var undo []types.Coin
	for _, o := range hashed.External {
		undo = append(undo, block.Parent.Coins[o])
	}
	u, err := consensus.RevertUpdate(hashed, block.Parent.Index(), block.Height, undo)
	if err != nil {
		b.t.Fatal(err)
	}
	return &consensus.BlockUpdate{Block: hashed, Update: u}
}

// wild are output scripts that a chain may have and text may not: NUL, bytes that are no UTF-8,
// what would be SQL or the end of a line of COPY.
var wild = [][]byte{
	{0x6a, 0}, {0x6a, 4, 0xff, 0xfe, 0, 0x80}, append([]byte{0x6a, 4}, `\.`+"\n\x00"...), append([]byte{0x6a, 22}, "'); drop table blocks;"...),
	{0x6a}, append([]byte{0x51, 2}, 0x4e, 0x73),
}

// grow writes steps: mostly blocks with payments, and now and then a reorganisation.
func (b *book) grow(steps int) {
	b.t.Helper()
	for until := len(b.tips) + steps; len(b.tips) < until; {
		back := 0
		if b.chance.IntN(8) == 0 {
			back = 1 + b.chance.IntN(4)
		}
		for ; back > 0 && b.tip().Height > 1; back-- {
			b.step(journal.Disconnected, b.tip())
		}
		b.step(journal.Connected, b.block())
	}
}

func (b *book) block() *chaintest.Block {
	parent := b.tip()
	var txs []*types.Tx
	for i, from := range parent.Spendable(0, nil) {
		if i == 6 {
			break
		}
		tx := b.tree.Pay(1, 1+b.chance.IntN(3), from)
		if b.chance.IntN(3) == 0 {
			tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: wild[b.chance.IntN(len(wild))]})
		}
		if b.chance.IntN(20) == 0 { // no rule of consensus is asked for here
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: 1<<62 - 1, ScriptPubKey: wild[len(wild)-1]})
		}
		if b.chance.IntN(4) == 0 {
			tx.Inputs[0].Witness = [][]byte{{}, {0, 0xff}, []byte("\x00\"}\\")}
		}
		txs = append(txs, tx)
	}
	b.blocks++
	return b.tree.Block(fmt.Sprint(b.blocks), parent, txs...)
}

// stream is a stream of a server that a journal is written into.
type stream struct {
	js   jetstream.JetStream
	name string
}

func (b *book) stream(url string) *stream {
	b.t.Helper()
	_, js := natsd.Connect(b.t, url, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := &stream{js, journal.Stream(b.params.Name, journal.JSON)}
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s.name, Subjects: []string{journal.Subjects(b.params.Name, journal.JSON)}})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// publish sends messages, each once whatever becomes of the server meanwhile.
func (s *stream) publish(messages []journal.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for _, m := range messages {
		for {
			_, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, jetstream.WithRetryAttempts(0))
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// anew publishes messages that the server may take for ones that it remembers, until it does not.
func (s *stream) anew(t *testing.T, messages []journal.Message) {
	t.Helper()
	for _, m := range messages {
		for known := true; known; {
			ack, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
			if err != nil {
				t.Fatal(err)
			}
			if known = ack.Duplicate; known {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}
