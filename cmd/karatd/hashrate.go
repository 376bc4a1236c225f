package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/forecast"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/miner/sha256d"
)

// hashUnits are the units of hash rates, each a thousand of the one before.
var hashUnits = []string{"H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"}

// hashRate writes hashes a second: 3.4 MH/s.
func hashRate(rate float64) string {
	unit := 0
	for rate >= 999.5 && unit < len(hashUnits)-1 {
		rate, unit = rate/1000, unit+1
	}
	return fmt.Sprintf("%.3g %s", rate, hashUnits[unit])
}

// parseHashRate reads hashes a second: 3.4MH/s, 3.4 M, 3400000.
func parseHashRate(text string) (float64, error) {
	number := strings.TrimSuffix(strings.ToLower(strings.ReplaceAll(text, " ", "")), "h/s")
	factor := 1.0
	for i, unit := range hashUnits[1:] {
		if cut, ok := strings.CutSuffix(number, strings.ToLower(unit[:1])); ok {
			number = cut
			for range i + 1 {
				factor *= 1000
			}
			break
		}
	}
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || !(rate > 0 && rate*factor < 1e24) {
		return 0, fmt.Errorf("%q: want hashes a second, such as 3.4MH/s", text)
	}
	return rate * factor, nil
}

// measureHere returns the hashes a second of all processors of this machine, as the miner
// would make them, after trying for a while.
func measureHere(ctx context.Context, d time.Duration) float64 {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	began := time.Now()
	var done atomic.Uint64
	scanAll(ctx, types.Header{}, consensus.Uint256{1}, &done) // a target that no hash meets
	return float64(done.Load()) / time.Since(began).Seconds()
}

// scanAll tries the nonces of a header with all processors until one is good, the context
// ends, or none is left. It counts them in done.
func scanAll(ctx context.Context, header types.Header, target consensus.Uint256, done *atomic.Uint64) (nonce uint32, ok bool) {
	const atOnce, all = 1 << 16, 1 << 32
	ctx, found := context.WithCancel(ctx)
	defer found()
	scanner := sha256d.New(&header, target)
	var next atomic.Uint64
	var best atomic.Int64
	best.Store(-1)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for ctx.Err() == nil {
				from := next.Add(atOnce) - atOnce
				if from >= all {
					return
				}
				if nonce, ok := scanner.Scan(from, from+atOnce); ok {
					best.CompareAndSwap(-1, int64(nonce))
					found()
				}
				done.Add(atOnce)
			}
		})
	}
	workers.Wait()
	return uint32(best.Load()), best.Load() >= 0
}

// mineGenesis finds the nonce of a genesis block, and shows how far it is: as many hashes as
// expected are as likely as not to be enough.
func mineGenesis(c *cli.Context, p *consensus.Params) error {
	m := cmdline.NewMeter(c.App.ErrWriter)
	defer m.Finish()
	expected := forecast.Hashes(p.Genesis.Bits)
	var done atomic.Uint64
	result := make(chan error, 1)
	ctx, stop := context.WithCancel(c.Context)
	defer stop()
	go func() {
		result <- network.MineGenesis(ctx, p, func(ctx context.Context, header types.Header, target consensus.Uint256) (uint32, bool) {
			return scanAll(ctx, header, target, &done)
		})
	}()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case err := <-result:
			return err
		case <-every.C:
			m.Update(int64(min(float64(done.Load()), expected)), int64(expected), func() string {
				return fmt.Sprintf("%.3g hashes, %.3g expected", float64(done.Load()), expected)
			})
		}
	}
}
