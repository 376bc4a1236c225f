package network

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Scan tries all nonces of a header and returns one whose hash is at most the target, if any.
// It may return early when the context ends.
type Scan func(ctx context.Context, header types.Header, target consensus.Uint256) (nonce uint32, ok bool)

// MineGenesis finds a nonce with which the genesis block has the work that its bits ask
// for. When none of four billion has, it tries the next second. scan does the search; with
// nil it is done here, slowly. Errors: those of Check, and the context's.
func MineGenesis(ctx context.Context, p *consensus.Params, scan Scan) error {
	if err := Check(p); err != nil {
		return err
	}
	if scan == nil {
		scan = scanSlowly
	}
	target, _, _ := consensus.ExpandBits(p.Genesis.Bits)
	header := p.GenesisBlock().Block.Header
	for {
		nonce, ok := scan(ctx, header, target)
		if err := ctx.Err(); err != nil && !ok {
			return err
		}
		if ok {
			p.Genesis.Nonce, p.Genesis.Timestamp = nonce, header.Timestamp
			return nil
		}
		header.Timestamp++
	}
}

func scanSlowly(ctx context.Context, header types.Header, target consensus.Uint256) (uint32, bool) {
	for nonce := range uint32(math.MaxUint32) {
		if header.Nonce = nonce; consensus.Uint256FromHash(header.Hash()).Cmp(target) <= 0 {
			return nonce, true
		}
		if nonce%(1<<16) == 0 && ctx.Err() != nil {
			break
		}
	}
	return 0, false
}

// Allocate gives the genesis block its outputs, each "address=amount", and sets MaxMoney
// to what can ever exist with them. If there are none, the coinbase gets one output
// that holds nothing, as a transaction must have one.
func Allocate(p *consensus.Params, allocations []string) error {
	p.Genesis.Outputs = nil
	for _, allocation := range allocations {
		address, amount, ok := strings.Cut(allocation, "=")
		if !ok {
			return fmt.Errorf("%.100q: want address=amount", allocation)
		}
		script, err := taproot.DecodeAddress(p.HRP, address)
		if err != nil {
			return err
		}
		value, err := types.ParseAmount(amount)
		if err != nil {
			return err
		}
		p.Genesis.Outputs = append(p.Genesis.Outputs, types.TxOut{Value: value, ScriptPubKey: script})
	}
	if len(p.Genesis.Outputs) == 0 {
		p.Genesis.Outputs = []types.TxOut{{ScriptPubKey: []byte{taproot.OpReturn}}}
	}
	left, ok := leftOf(p, maxMoneyLimit)
	if !ok {
		return badField("max_money", "allocations and subsidies are more than %s", maxMoneyLimit)
	}
	p.MaxMoney = maxMoneyLimit - left
	return nil
}

// leftOf returns what is left of limit after the allocations and all subsidies that will
// ever be. It reports false if they are more. It goes down from the limit because going
// up could overflow, and counts an era of equal subsidies at a time.
func leftOf(p *consensus.Params, limit types.Amount) (left types.Amount, ok bool) {
	if p.HalvingInterval == 0 {
		return 0, false
	}
	left = limit
	for _, out := range p.Genesis.Outputs {
		if out.Value < 0 || out.Value > left {
			return 0, false
		}
		left -= out.Value
	}
	for subsidy := p.InitialSubsidy; subsidy > 0; subsidy >>= 1 {
		if subsidy > left/types.Amount(p.HalvingInterval) {
			return 0, false
		}
		left -= subsidy * types.Amount(p.HalvingInterval)
	}
	return left, true
}
