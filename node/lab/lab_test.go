package lab

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc/labinfo"
)

// run opens a lab on the dev network, and runs it until the test is done with it.
func run(t *testing.T, o Options, test func(ctx context.Context, l *Lab)) {
	t.Helper()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 2
	o.Params, o.Dir = params, filepath.Join(t.TempDir(), "lab")
	if testing.Verbose() && o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	up, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- l.Run(ctx, func([]node.Started) { close(up) }) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-up:
		test(ctx, l)
	case err := <-done:
		done <- nil
		t.Fatal("the lab ended: ", err)
	}
}

// tipsOf returns the tip of each node.
func tipsOf(l *Lab) (tips []types.Index) {
	for _, m := range l.members {
		tips = append(tips, m.Chain().Tip())
	}
	return tips
}

func status(t *testing.T, l *Lab) labinfo.Status {
	t.Helper()
	s, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// do fails the test with the first of some errors.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// story is a run with all that a lab has: blocks found at the same time, delay, loss, a
// partition, a link that is slower than the others. It returns the tips after each part.
func story(t *testing.T, seed uint64) (tips [][]types.Index) {
	run(t, Options{Nodes: 5, Seed: seed, Spacing: 10 * time.Second, Delay: 3 * time.Second, Loss: 0.1}, func(ctx context.Context, l *Lab) {
		part := func(errs ...error) {
			t.Helper()
			do(t, errs...)
			tips = append(tips, tipsOf(l))
		}
		part(l.Blocks(ctx, 9))
		part(l.Partition(ctx, [][]int{{0, 1}, {2, 3, 4}}), l.Blocks(ctx, 7))
		if tips[1][0] == tips[1][3] {
			t.Error("the partition leaks")
		}
		part(l.Heal(ctx), l.SetDelay(ctx, 20*time.Second, 0, 1), l.SetLoss(ctx, 0.5), l.Advance(ctx, 2*time.Minute))
		part(l.Mine(ctx, 2, 3), l.Settle(ctx))
		if slices.ContainsFunc(tips[3], func(at types.Index) bool { return at != tips[3][0] }) {
			t.Errorf("not all are on one tip in the end: %v", tips[3])
		}
		if !status(t, l).Repeatable {
			t.Error("the lab says that this cannot be repeated")
		}
	})
	return tips
}

// TestSameSeedSameTip: two runs with one seed have the same tips at each node all along,
// and another seed has others.
func TestSameSeedSameTip(t *testing.T) {
	first, second := story(t, 7), story(t, 7)
	for part := range first {
		if !slices.Equal(first[part], second[part]) {
			t.Errorf("part %d: seed 7 ends at %v and at %v", part, first[part], second[part])
		}
	}
	last := len(first) - 1
	if other := story(t, 8); other[last][0].Hash == first[last][0].Hash {
		t.Error("another seed ends at the same tip")
	}
}

// TestPaymentOfAClient: what a client gives to one node goes over the links into a block
// of another, and the lab says that the seed alone did not make this.
func TestPaymentOfAClient(t *testing.T) {
	run(t, Options{Nodes: 3, Seed: 1, Delay: time.Second}, func(ctx context.Context, l *Lab) {
		do(t, l.Mine(ctx, 0, 3), l.Settle(ctx))
		if tips := tipsOf(l); tips[2] != tips[0] || tips[0].Height != 3 {
			t.Fatalf("the tips are %v", tips)
		}
		// A coin that everybody may spend: the lab's own blocks pay to keys.
		if _, err := l.members[0].MineBlock(ctx, chaintest.Anchor, 1); err != nil {
			t.Fatal(err)
		}
		do(t, l.Mine(ctx, 0, 2), l.Settle(ctx))
		if status(t, l).Repeatable {
			t.Error("a client's block is as if it came from the seed")
		}
		hash, _ := l.members[0].Chain().HashAt(4)
		raw, err := l.members[0].Chain().Block(hash)
		if err != nil {
			t.Fatal(err)
		}
		block, err := types.DecodeBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: block.Txs[0].TxID()}, Sequence: 0xfffffffd}}, Outputs: []types.TxOut{
			{Value: block.Txs[0].Outputs[0].Value / 2, ScriptPubKey: chaintest.Anchor},
			{Value: block.Txs[0].Outputs[0].Value / 4, ScriptPubKey: chaintest.Anchor},
		}}
		if _, err := l.members[0].Pool().Accept(ctx, tx, 0); err != nil {
			t.Fatal(err)
		}
		do(t, l.Settle(ctx))
		for i, n := range status(t, l).Nodes {
			if n.Waiting != 1 {
				t.Errorf("%d transactions wait at node %d", n.Waiting, i)
			}
		}
		do(t, l.Mine(ctx, 2, 1), l.Settle(ctx))
		for i, n := range status(t, l).Nodes {
			if n.Waiting != 0 || n.Tip.Height != 7 {
				t.Errorf("node %d is at %s, and %d transactions wait", i, n.Tip, n.Waiting)
			}
		}
	})
}

// TestRefusals: what a lab refuses says what is wrong.
func TestRefusals(t *testing.T) {
	params, err := karat.LoadNetwork("main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Params: params, Nodes: 3, Dir: t.TempDir()}); err == nil {
		t.Error("a lab on a network whose blocks cost work")
	}
	for _, speed := range []float64{-1, math.NaN(), math.Inf(1)} {
		params, err := karat.LoadNetwork("dev")
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Options{Params: params, Nodes: 3, Speed: speed}).check(); err == nil {
			t.Errorf("a speed of %v", speed)
		}
	}
	run(t, Options{Nodes: 3, Seed: 1}, func(ctx context.Context, l *Lab) {
		for what, err := range map[string]error{
			"one node too many":      l.Mine(ctx, 3, 1),
			"no blocks":              l.Mine(ctx, 0, 0),
			"nobody looks for any":   l.Blocks(ctx, 1),
			"twice":                  l.Partition(ctx, [][]int{{0, 1}, {1, 2}}),
			"a delay of a day":       l.SetDelay(ctx, 24*time.Hour),
			"a link of a node":       l.SetDelay(ctx, time.Second, 1, 1),
			"everything is lost":     l.SetLoss(ctx, 1),
			"time runs backwards":    l.SetSpeed(ctx, -1),
			"no time":                l.Advance(ctx, 0),
			"no number, but a speed": l.SetSpeed(ctx, math.NaN()),
		} {
			if err == nil {
				t.Errorf("%s: not refused", what)
			}
		}
	})
}
