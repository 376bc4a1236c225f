package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// book is a journal that a test has written, and what must be read from it.
type book struct {
	params   *consensus.Params
	heads    []*journal.Head
	updates  []*consensus.BlockUpdate // nil: given up
	coins    []chaintest.Coins        // behind each step
	messages []journal.Message
	step     []int // of each message
}

func index(b *chaintest.Block) types.Index { return b.Index() }

func update(t *testing.T, params *consensus.Params, b *chaintest.Block) *consensus.BlockUpdate {
	t.Helper()
	if b.Height == 0 {
		return &consensus.BlockUpdate{Block: params.GenesisBlock(), Update: &consensus.Update{Block: index(b)}}
	}
	block := consensus.HashBlock(b.Block)
	var undo []types.Coin
	for _, o := range block.External {
		undo = append(undo, b.Parent.Coins[o])
	}
	u, err := consensus.RevertUpdate(block, index(b.Parent), b.Height, undo)
	if err != nil {
		t.Fatal(err)
	}
	return &consensus.BlockUpdate{Block: block, Update: u}
}

// add writes a step.
func (k *book) add(t *testing.T, w *journal.Writer, d journal.Direction, b *chaintest.Block) {
	t.Helper()
	u := update(t, k.params, b)
	h := &journal.Head{
		Network: k.params.Identity(), Number: uint64(len(k.heads)), Direction: d, Block: index(b), Parent: b.Block.Header.PrevBlock, Txs: len(b.Txs), At: index(b),
		Work: consensus.Uint256{7}, Goal: journal.Goal{Hash: b.Hash, Work: consensus.Uint256{8, 9}},
	}
	coins := b.Coins
	if d == journal.Disconnected {
		h.At, coins = index(b.Parent), b.Parent.Coins
	}
	for m, err := range w.Messages(h, u, journal.Place{}) {
		if err != nil {
			t.Fatal(err)
		}
		k.messages, k.step = append(k.messages, m), append(k.step, len(k.heads))
	}
	k.heads, k.updates, k.coins = append(k.heads, h), append(k.updates, u), append(k.coins, coins)
}

// giveUp writes the first messages of a step, and that they do not hold.
func (k *book) giveUp(t *testing.T, w *journal.Writer, b *chaintest.Block, told int) {
	t.Helper()
	last := k.heads[len(k.heads)-1]
	n := len(k.messages)
	k.add(t, w, journal.Connected, b)
	k.messages, k.step = k.messages[:n+told], k.step[:n+told]
	h := *last
	h.Number, h.Direction, h.Block, h.Parent, h.Txs = last.Number+1, journal.Abandoned, index(b), types.Hash{}, 0
	m, err := w.Abandon(&h)
	if err != nil {
		t.Fatal(err)
	}
	at := len(k.heads) - 1
	k.messages, k.step = append(k.messages, m), append(k.step, at)
	k.heads[at], k.updates[at], k.coins[at] = &h, nil, k.coins[at-1]
}

// newBook: a chain with payments and a transaction of many parts, a reorganisation, a
// block that was given up.
func newBook(t *testing.T, f journal.Format) *book {
	t.Helper()
	text, err := os.ReadFile("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params, err := network.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	tree := chaintest.NewTree(params.GenesisBlock().Block)
	a := tree.Blocks("a", tree.Genesis, 2)
	out := func(b *chaintest.Block) types.OutPoint { return b.Spendable(0, nil)[0] }
	first := tree.Spend(5, tree.Anyone(), out(a[1]))
	second := tree.Spend(6, tree.Anyone(), chaintest.Output(first, 0))
	big := tree.Spend(7, tree.Anyone(), chaintest.Output(second, 0))
	big.Outputs = append(big.Outputs, types.TxOut{ScriptPubKey: append([]byte{0x6a, 0x4e, 0xe0, 0x22, 0x02, 0}, make([]byte, 140_000)...)})
	a = append(a, tree.Block("a3", a[1], first, second, big))
	b := tree.Blocks("b", a[0], 1)
	b = append(b, tree.Block("b2", b[0], tree.Spend(9, tree.Anyone(), out(a[0]))))
	b = append(b, tree.Blocks("c", b[1], 2)...)
	k, w := &book{params: params}, &journal.Writer{Params: params, Format: f}
	for _, block := range append([]*chaintest.Block{tree.Genesis}, a...) {
		k.add(t, w, journal.Connected, block)
	}
	k.add(t, w, journal.Disconnected, a[2])
	k.add(t, w, journal.Disconnected, a[1])
	k.add(t, w, journal.Connected, b[0])
	k.giveUp(t, w, a[2], 3)
	for _, block := range b[1:] {
		k.add(t, w, journal.Connected, block)
	}
	return k
}

// work changes coins by what a step in JSON says.
func work(t *testing.T, coins chaintest.Coins, step *journal.Step) {
	t.Helper()
	for i := range step.Txs {
		if step.Direction == journal.Disconnected {
			i = len(step.Txs) - 1 - i
		}
		tx, err := step.Tx(i)
		if err != nil {
			t.Fatal(err)
		}
		for n, o := range tx.Outputs {
			at := types.OutPoint{TxID: tx.TxID, Index: uint32(n)}
			coin, ok := types.NewCoin(&types.TxOut{Value: o.Value, ScriptPubKey: o.ScriptPubKey}, tx.Height, tx.Coinbase)
			switch {
			case o.Unspendable:
			case !ok:
				t.Fatalf("a coin with the script %x", o.ScriptPubKey)
			case step.Direction == journal.Connected:
				coins[at] = coin
			default:
				delete(coins, at)
			}
		}
		for _, in := range tx.Inputs {
			at := types.OutPoint{TxID: in.TxID, Index: in.Index}
			switch {
			case in.Coin == nil:
			case step.Direction == journal.Connected:
				delete(coins, at)
			default:
				coins[at], _ = types.NewCoin(&types.TxOut{Value: in.Coin.Value, ScriptPubKey: in.Coin.ScriptPubKey}, in.Coin.Height, in.Coin.Coinbase)
			}
		}
	}
}

// TestRead: what was written is read again, and a reader's coins are those of the chain
// behind each step.
func TestRead(t *testing.T) {
	for _, f := range []journal.Format{journal.JSON, journal.Raw} {
		k := newBook(t, f)
		r := journal.Reader{Network: k.params.Identity()}
		coins, steps, ids := chaintest.Coins{}, 0, map[string]bool{}
		for i := range k.messages {
			m := &k.messages[i]
			if id := m.Header[journal.HeaderID][0]; ids[id] {
				t.Errorf("%s is there twice", id)
			} else {
				ids[id] = true
			}
			if len(m.Data) > journal.PartSize {
				t.Errorf("a message of %d bytes", len(m.Data))
			}
			step, err := r.Read(m)
			if err != nil {
				t.Fatal(err)
			}
			if step == nil {
				continue
			}
			if step.Head != *k.heads[steps] {
				t.Errorf("read %+v, written was %+v", step.Head, *k.heads[steps])
			}
			if f == journal.JSON {
				work(t, coins, step)
				if b, err := step.Block(); err != nil || b.Hash != step.Head.Block.Hash || b.Event != step.Direction {
					t.Errorf("%+v, %v", b, err)
				}
				if !maps.Equal(coins, k.coins[steps]) {
					t.Errorf("behind step %d there are %d coins, not these %d", steps, len(coins), len(k.coins[steps]))
				}
			} else if u := k.updates[steps]; u != nil {
				raw := slices.Concat(step.Body, []byte{byte(len(step.Txs))}, bytes.Join(step.Txs, nil))
				if !bytes.Equal(raw, u.Block.Raw) {
					t.Errorf("block %s was read as %d bytes, not as its %d", step.Head.Block, len(raw), len(u.Block.Raw))
				}
			}
			steps++
		}
		if steps != len(k.heads) || r.At.Steps != uint64(steps) {
			t.Errorf("%d steps were read, and %d written", steps, len(k.heads))
		}
	}
}

// TestWriteOn: whoever reads the end of a journal after any of its messages writes the
// next one.
func TestWriteOn(t *testing.T) {
	k := newBook(t, journal.JSON)
	w := &journal.Writer{Params: k.params, Format: journal.JSON}
	var lastStep *journal.Message
	for i := range k.messages {
		var last *journal.Message
		if i > 0 {
			last = &k.messages[i-1]
		}
		if i > 0 && k.step[i] != k.step[i-1] {
			lastStep = last
		}
		end, err := journal.ReadEnd(k.params.Identity(), lastStep, last)
		if err != nil {
			t.Fatal(err)
		}
		step := k.step[i]
		if end.At.Steps != uint64(step) || (end.Open != nil) != (i > 0 && step == k.step[i-1]) {
			t.Fatalf("behind message %d: %+v, which is step %d", i, end, step)
		}
		if k.updates[step] == nil {
			continue
		}
		for m, err := range w.Messages(k.heads[step], k.updates[step], end.Place(k.heads[step].Txs)) {
			if err != nil || m.Header[journal.HeaderID][0] != k.messages[i].Header[journal.HeaderID][0] || !bytes.Equal(m.Data, k.messages[i].Data) {
				t.Fatalf("message %d is written as %v, not as %v (%v)", i, m.Header, k.messages[i].Header, err)
			}
			break
		}
	}
	for _, err := range w.Messages(k.heads[1], k.updates[1], journal.Place{Txs: 2}) {
		if !errors.Is(err, journal.ErrForeign) {
			t.Errorf("beyond the end: %v", err)
		}
	}
	for _, err := range w.Messages(k.heads[1], k.updates[1], journal.Place{Parts: 1}) {
		if !errors.Is(err, journal.ErrForeign) {
			t.Errorf("beyond the last part: %v", err)
		}
	}
}

// TestGaps: a message that is missing, told twice or in the wrong place is noticed, and the
// reader goes on where it was.
func TestGaps(t *testing.T) {
	k := newBook(t, journal.Raw)
	spoil := map[string]func(list []journal.Message, i int) []journal.Message{
		"missing": func(list []journal.Message, i int) []journal.Message { return slices.Delete(list, i, i+1) },
		"twice":   func(list []journal.Message, i int) []journal.Message { return slices.Insert(list, i, list[i]) },
		"swapped": func(list []journal.Message, i int) []journal.Message {
			list[i], list[i+1] = list[i+1], list[i]
			return list
		},
	}
	for name, change := range spoil {
		for i := range len(k.messages) - 1 {
			if k.updates[k.step[i]] == nil || k.updates[k.step[i+1]] == nil {
				continue // what was given up may be anything
			}
			r := journal.Reader{Network: k.params.Identity()}
			var err error
			for _, m := range change(slices.Clone(k.messages), i) {
				if _, err = r.Read(&m); err != nil {
					break
				}
			}
			if !errors.Is(err, journal.ErrGap) {
				t.Errorf("message %d %s: %v", i, name, err)
			}
			if at := r.At.Steps; at != uint64(k.step[i]) && at != uint64(k.step[i]+1) {
				t.Errorf("message %d %s: the reader is at %d, and not at %d", i, name, at, k.step[i])
			}
		}
	}
}

// TestForeign: what karat has not written is refused with what is wrong.
func TestForeign(t *testing.T) {
	k := newBook(t, journal.JSON)
	end := k.messages[len(k.messages)-1]
	id := end.Header[journal.HeaderID][0]
	for name, c := range map[string]struct {
		change func(m *journal.Message)
		want   string
	}{
		"no id":         {func(m *journal.Message) { delete(m.Header, journal.HeaderID) }, "has the id"},
		"two ids":       {func(m *journal.Message) { m.Header[journal.HeaderID] = []string{id, id} }, "has the id"},
		"another shape": {func(m *journal.Message) { m.Header[journal.HeaderID] = []string{"0" + id} }, "has the id"},
		"no part":       {func(m *journal.Message) { m.Header[journal.HeaderID] = []string{strings.TrimSuffix(id, "b") + "0.1"} }, "has the id"},
		"a transaction": {func(m *journal.Message) { m.Header[journal.HeaderID] = []string{strings.TrimSuffix(id, "b") + "0"} }, "has the id"},
		"a subject":     {func(m *journal.Message) { m.Subject = "orders.block.disconnected" }, "has the id"},
		"a version":     {func(m *journal.Message) { m.Header[journal.HeaderVersion] = []string{"2"} }, `version "2"`},
		"no version":    {func(m *journal.Message) { delete(m.Header, journal.HeaderVersion) }, "lacks the header Karat-Version"},
		"a network":     {func(m *journal.Message) { m.Header[journal.HeaderNetwork] = []string{types.Hash{}.String()} }, "of network 00"},
		"no hash":       {func(m *journal.Message) { m.Header[journal.HeaderParent] = []string{"12"} }, `Karat-Parent: "12"`},
		"no height":     {func(m *journal.Message) { m.Header[journal.HeaderAt] = []string{"-1 " + types.Hash{}.String()} }, `Karat-At: "-1`},
		"another block": {func(m *journal.Message) { m.Header[journal.HeaderBlock] = []string{"5 " + types.Hash{}.String()} }, "not of it"},
		"a goal":        {func(m *journal.Message) { m.Header[journal.HeaderGoal] = []string{types.Hash{}.String()} }, "not of it"},
		"transactions":  {func(m *journal.Message) { m.Header[journal.HeaderTxs] = []string{"0"} }, "Karat-Txs"},
		"elsewhere":     {func(m *journal.Message) { m.Header[journal.HeaderAt] = []string{"9 " + types.Hash{}.String()} }, "leads to 9"},
	} {
		m := journal.Message{Subject: end.Subject, Header: maps.Clone(end.Header), Data: end.Data}
		c.change(&m)
		r := journal.Reader{Network: k.params.Identity(), At: journal.Position{Steps: k.heads[len(k.heads)-1].Number, Block: types.Index{}}}
		if _, err := r.Read(&m); !errors.Is(err, journal.ErrForeign) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "elsewhere" {
			continue
		}
		if _, err := journal.ReadEnd(k.params.Identity(), &m, &m); !errors.Is(err, journal.ErrForeign) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s at the end: %v", name, err)
		}
	}
	if _, err := journal.ReadEnd(k.params.Identity(), &k.messages[0], &end); !errors.Is(err, journal.ErrForeign) {
		t.Errorf("an end that does not fit: %v", err)
	}
}

// TestSeekHeight: from each height there is a way on, however the journal went.
func TestSeekHeight(t *testing.T) {
	k := newBook(t, journal.JSON)
	lookups := 0
	lookup := func(from uint64) (*journal.Message, uint64, error) {
		lookups++
		for ; from <= uint64(len(k.messages)); from++ {
			if m := &k.messages[from-1]; strings.Contains(m.Subject, ".block.") {
				return m, from, nil
			}
		}
		return nil, 0, nil
	}
	last := uint64(len(k.messages))
	for height := range uint32(6) {
		h, at, err := journal.SeekHeight(1, last, height, lookup)
		if err != nil || h.At.Height != height || !strings.Contains(k.messages[at-1].Header[journal.HeaderID][0], h.Block.Hash.String()) {
			t.Errorf("height %d: %+v, %v", height, h, err)
			continue
		}
		r := journal.Reader{Network: k.params.Identity(), At: h.Behind()}
		for i := at; i < last; i++ {
			if _, err := r.Read(&k.messages[i]); err != nil {
				t.Fatalf("from height %d: %v", height, err)
			}
		}
		if r.At.Block != k.heads[len(k.heads)-1].At {
			t.Errorf("from height %d to %s", height, r.At.Block)
		}
	}
	if _, _, err := journal.SeekHeight(1, last, 99, lookup); !errors.Is(err, journal.ErrGap) {
		t.Errorf("above the end: %v", err)
	}
	if _, _, err := journal.SeekHeight(3, last, 0, lookup); !errors.Is(err, journal.ErrGap) {
		t.Errorf("below the beginning: %v", err)
	}
	if lookups > 9*6 {
		t.Errorf("%d lookups", lookups)
	}
}

// TestManyObjects: JSON that is small for what it would take in memory is no journal's. What
// a journal writes of an output with nothing in it is.
func TestManyObjects(t *testing.T) {
	least, err := json.Marshal(journal.Output{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, object string
		foreign      bool
	}{
		{"empty inputs", "{}", true},
		{"least outputs", string(least), false},
	} {
		text := `{"inputs":[` + strings.Repeat(c.object+",", 10_000) + c.object + `],"outputs":[` + strings.Repeat(c.object+",", 10_000) + c.object + `]}`
		s := journal.Step{Body: []byte(text), Txs: [][]byte{[]byte(text)}}
		if _, err := s.Tx(0); errors.Is(err, journal.ErrForeign) != c.foreign {
			t.Errorf("%s of a transaction: %v", c.what, err)
		}
		if _, err := s.Block(); errors.Is(err, journal.ErrForeign) != c.foreign {
			t.Errorf("%s of a block: %v", c.what, err)
		}
	}
}
