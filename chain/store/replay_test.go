package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// replay is a chain that Bitcoin Core made, a branch that replaces its last
// blocks, and what Core says of the coins in the end.
type replay struct {
	params *consensus.Params
	blocks [][]byte
	branch [][]byte
	tip    types.Hash
	coins  types.Hash // MuHash
}

func loadReplay(t *testing.T) *replay {
	t.Helper()
	r := replay{blocks: vectors.ReadBlocks(t, "core-regtest/chain.dat"), branch: vectors.ReadBlocks(t, "core-regtest/fork.dat")}
	var fork struct {
		Tip    types.Hash `json:"tip"`
		MuHash struct {
			MuHash types.Hash `json:"muhash"`
		} `json:"muhash"`
	}
	vectors.ReadJSON(t, "core-regtest/fork.json", &fork)
	data, err := os.ReadFile("../../testdata/bitcoin-regtest.json")
	if err == nil {
		r.params, err = network.Parse(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(r.blocks) == 0 || len(r.branch) == 0 {
		t.Fatalf("%d and %d blocks in the vectors", len(r.blocks), len(r.branch))
	}
	r.tip, r.coins = fork.Tip, fork.MuHash.MuHash
	return &r
}

// live runs a node's chain on the disk from wherever it is to the end, with a
// save every few blocks and a flush now and then, and checks what is there.
func (r *replay) live(d *faultDisk, o Options) error {
	s, err := open(d, o)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = r.liveWith(s)
	if err != nil {
		closeErr := s.Close()
		go endDatabase(s)
		if closeErr != nil && !errors.Is(closeErr, consensus.ErrLocal) {
			return fmt.Errorf("WRONG: %w after %w", closeErr, err)
		}
		return err
	}
	return s.Close()
}

func (r *replay) liveWith(s *Store) error {
	ctx := context.Background()
	c, err := chain.New(ctx, r.params, s, chain.Options{Workers: 1})
	if err != nil {
		return err
	}
	var refused error
	parts := append(slices.Collect(slices.Chunk(r.blocks[1:], 9)), r.branch)
	for i, part := range parts {
		err := c.AddBlocks(ctx, slices.Values(part), func(result header.Result) { refused = errors.Join(refused, result.Err) })
		if err != nil {
			return err
		}
		if i%4 == 3 || i == len(parts)-1 {
			if err := c.Flush(); err != nil {
				return err
			}
		}
	}
	if refused != nil {
		return fmt.Errorf("WRONG: a block was refused: %w", refused)
	}
	if tip := c.Tip(); tip.Hash != r.tip || s.CoinsTip() != tip {
		return fmt.Errorf("WRONG: the tip is %s and the coins are at %s, want %s", tip, s.CoinsTip(), r.tip)
	}
	stats := coinstats.New(true, false)
	err = forEachCoin(s, func(name types.OutPoint, coin *types.Coin) error { stats.Add(name, coin); return nil })
	if got := stats.Result().MuHash; err == nil && got != r.coins {
		return fmt.Errorf("WRONG: the MuHash of the coins is %s, Bitcoin Core has %s", got, r.coins)
	}
	return err
}

// TestPowerCutUnderCoreChain follows a chain of Bitcoin Core's, a reorganisation
// included, through power cuts at operations chosen at random. Whatever survives
// each of them, the chain goes on by itself and ends with Core's coins.
func TestPowerCutUnderCoreChain(t *testing.T) {
	t.Parallel()
	r := loadReplay(t)
	o := Options{Network: r.params.Identity(), NetworkName: r.params.Name, CacheBytes: 1 << 20, SegmentSize: 20_000, cacheSlots: 1, batchSize: 5000, writeBuffer: 8000}
	d := newFaultDisk(1)
	if err := r.live(d, o); err != nil {
		t.Fatal(err)
	}
	operations := d.ops
	lives := 24
	switch {
	case long():
		lives = 1000
	case testing.Short():
		lives = 6
	}
	inParallel(t, lives, func(i int) error {
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		d, history := newFaultDisk(uint64(i)), ""
		for left := operations; left > 0; {
			mode := crashMode(rng.IntN(int(crashModes)))
			d.cut = 1 + rng.IntN(left)
			left -= max(d.cut, operations/4)
			history += fmt.Sprintf(" %d/%s", d.cut, mode)
			err := r.live(d, o)
			if err != nil && (strings.Contains(err.Error(), "WRONG") || !errors.Is(err, consensus.ErrLocal)) {
				return fmt.Errorf("cuts%s: %w", history, err)
			}
			d = d.reboot(mode, rng.Uint64())
		}
		if err := r.live(d, o); err != nil {
			return fmt.Errorf("after cuts%s: %w", history, err)
		}
		return nil
	})
	vectors.Ran(t, lives, "coin sets after power cuts")
	t.Logf("%d blocks, %d operations", len(r.blocks)+len(r.branch), operations)
}
