package web

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// maxSummaries is how many blocks' summaries are kept, of some 300 bytes each.
const maxSummaries = 20_000

// Summary is what a block is shown by in a list.
type Summary struct {
	header.Info
	Stored  bool // its body is here, and so is all that follows
	Size    int  // bytes
	Weight  int  // weight units
	Full    float64
	Inputs  int
	Outputs int
	Sent    types.Amount // by all outputs but the coinbase's
	Reward  types.Amount // what the coinbase pays out
	HasFees bool         // what the block spends is known, and so are the fees
	Fees    types.Amount
	Median  types.FeeRate // of all transactions but the coinbase; 0: there is none
	Least   types.FeeRate
	Most    types.FeeRate
	Miner   string // the address that the coinbase pays; empty: it has none
	Message string // of the coinbase
}

// Payments is how many transactions there are besides the coinbase.
func (s Summary) Payments() int { return max(int(s.TxCount)-1, 0) }

// summaries keeps what was added up, since a list of blocks would otherwise read all of
// them.
type summaries struct {
	s  *Server
	mu sync.Mutex
	// Guarded by mu. When recent is full, it becomes older.
	recent, older map[types.Hash]Summary
}

func newSummaries(s *Server) *summaries {
	return &summaries{s: s, recent: map[types.Hash]Summary{}}
}

// get adds a block up. Without its body there is only what the header says.
func (c *summaries) get(ctx context.Context, info header.Info) (Summary, error) {
	sum, ok := c.find(info.Hash)
	sum.Info = info // which changes
	// One from before the block was connected lacks its fees.
	if ok && (sum.HasFees || !info.Status.Has(header.StatusUndo)) || !info.Status.Has(header.StatusBody) {
		return sum, nil
	}
	b, err := c.s.blocks.get(ctx, info.Hash)
	if ctx.Err() != nil {
		return sum, ctx.Err()
	}
	if err != nil { // it was pruned meanwhile, or cannot be read: the list goes on
		return sum, nil
	}
	return c.add(info, b), nil
}

func (c *summaries) find(hash types.Hash) (Summary, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sum, ok := c.recent[hash]; ok {
		return sum, true
	}
	sum, ok := c.older[hash]
	return sum, ok
}

// add adds a block up that was read.
func (c *summaries) add(info header.Info, b *body) Summary {
	sum := c.s.summarize(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) >= maxSummaries/2 {
		c.older, c.recent = c.recent, map[types.Hash]Summary{}
	}
	c.recent[info.Hash] = sum
	sum.Info = info
	return sum
}

func (s *Server) summarize(b *body) Summary {
	coinbase := &b.Block.Txs[0]
	sum := Summary{Stored: true, Size: len(b.Raw), Weight: b.Weight, Full: float64(b.Weight) / float64(s.Params.MaxBlockWeight), HasFees: b.spent != nil}
	sum.Message = coinbaseMessage(coinbase)
	var rates []types.FeeRate
	for i := range b.Block.Txs {
		tx := &b.Block.Txs[i]
		sum.Inputs += len(tx.Inputs)
		sum.Outputs += len(tx.Outputs)
		for j := range tx.Outputs {
			if i == 0 {
				sum.Reward += tx.Outputs[j].Value
			} else {
				sum.Sent += tx.Outputs[j].Value
			}
		}
		if fee, ok := b.fee(i); ok && i > 0 {
			sum.Fees += fee
			rates = append(rates, types.NewFeeRate(fee, tx.VirtualSize()))
		}
	}
	if len(rates) > 0 {
		slices.Sort(rates)
		sum.Least, sum.Median, sum.Most = rates[0], rates[len(rates)/2], rates[len(rates)-1]
	}
	for i := range coinbase.Outputs {
		if address, err := taproot.EncodeAddress(s.Params.HRP, coinbase.Outputs[i].ScriptPubKey); err == nil {
			sum.Miner = address
			break
		}
	}
	return sum
}

// fee returns what a transaction of the block pays, if that is known.
func (b *body) fee(i int) (types.Amount, bool) {
	if i == 0 || b.spent == nil {
		return 0, false
	}
	var fee types.Amount
	for j := range b.spent[i] {
		fee += b.spent[i][j].Value
	}
	for j := range b.Block.Txs[i].Outputs {
		fee -= b.Block.Txs[i].Outputs[j].Value
	}
	return fee, true
}

// maxMessage is how many characters of a message are shown.
const maxMessage = 100

// coinbaseMessage returns the text that a miner has put into a block, behind the height:
// the pushes that are readable as a whole, else what can be read anywhere. A number that
// is counted up has letters now and then.
func coinbaseMessage(coinbase *types.Tx) string {
	script := coinbase.Inputs[0].ScriptSig
	_, _, at, ok := taproot.NextOp(script, 0)
	behind, texts := script[min(at, len(script)):], []string(nil)
	for ok && at < len(script) {
		var data []byte
		if _, data, at, ok = taproot.NextOp(script, at); ok && readable(data) {
			texts = append(texts, string(data))
		}
	}
	if len(texts) > 0 {
		return strings.TrimSpace(Printable(strings.Join(texts, " "), maxMessage))
	}
	return message(behind, 6, maxMessage)
}

// summaryAt returns the summary of a block of the best chain.
func (s *Server) summaryAt(ctx context.Context, height uint32) (Summary, bool, error) {
	hash, ok := s.Headers.HashAt(height)
	if !ok {
		return Summary{}, false, nil
	}
	info, ok := s.Headers.Info(hash)
	if !ok {
		return Summary{}, false, nil
	}
	sum, err := s.sums.get(ctx, info)
	return sum, err == nil, err
}

// reward is what the rules let a block's miner have.
func (s *Server) reward(height uint32, fees types.Amount) types.Amount {
	return consensus.Subsidy(s.Params, height) + fees
}
