package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

// generateMethods are those with which tests make blocks when they want them. Core's
// help does not list them either.
func generateMethods() []method {
	maxTries := param{name: "maxtries", kind: kindNumber, optional: "1000000", about: "Hashes to try for each block"}
	return []method{
		{name: "generatetoaddress", slow: true, read: generateToAddress, about: "Mines blocks at once (on networks of fixed difficulty).", params: []param{
			{name: "nblocks", kind: kindNumber, about: "How many blocks"},
			{name: "address", kind: kindString, about: "The address that the blocks pay"},
			maxTries}},
		{name: "generatetodescriptor", slow: true, read: generateToDescriptor, about: "Mines blocks at once (on networks of fixed difficulty).", params: []param{
			{name: "num_blocks", kind: kindNumber, about: "How many blocks"},
			{name: "descriptor", kind: kindString, about: "What the blocks pay to: addr(), raw(), tr() or rawtr()"},
			maxTries}},
		{name: "generateblock", slow: true, read: generateBlock, about: "Mines a block with these transactions and no others, whose fees nobody gets (on networks of fixed difficulty).", params: []param{
			{name: "output", kind: kindString, about: "The address or the descriptor that the block pays"},
			{name: "transactions", kind: kindArray, sample: `'["TXID"]'`, about: "Transactions in hexadecimal, or ids of waiting ones, in the order of the block"},
			{name: "submit", kind: kindBool, optional: "true", about: "Add the block to the chain; false returns it instead"}}},
		{name: "generate", gone: true, read: generate, about: "has been replaced by the -generate cli option. Refer to -help for more information."},
		{name: "setmocktime", read: setMockTime, about: "Stops the node's clock at a time (on networks of fixed difficulty).", params: []param{
			{name: "timestamp", kind: kindNumber, about: "The time in seconds since 1970; 0 lets the clock go on"}}},
	}
}

// defaultTries is how many hashes are tried for a block, as in Core.
const defaultTries = 1_000_000

// maxGenerated keeps a call within its time.
const maxGenerated = 100_000

// forTesting refuses what would harm a network that is worth something.
func (s *Server) forTesting(method string) error {
	if s.Params.Difficulty.Algorithm != consensus.DifficultyFixed {
		return failf(CodeMisc, "%s works on networks of fixed difficulty only, such as dev", method)
	}
	return nil
}

// generate is Core's answer to whoever knows the method of old. bitcoin-cli -generate
// calls generatetoaddress.
func generate(s *Server, a *args) work {
	a.fail(failf(CodeMethodNotFound, "%s", s.table["generate"].help()))
	return nil
}

// generateToAddress is Core's generatetoaddress.
func generateToAddress(s *Server, a *args) work {
	a.fail(s.forTesting("generatetoaddress"))
	n, tries := a.howMany()
	script, err := taproot.DecodeAddress(s.Params.HRP, a.text(1, ""))
	if err != nil {
		a.fail(failf(CodeAddressOrKey, "Error: Invalid address"))
	}
	return s.generateBlocks(n, script, tries)
}

// generateToDescriptor is Core's generatetodescriptor.
func generateToDescriptor(s *Server, a *args) work {
	a.fail(s.forTesting("generatetodescriptor"))
	n, tries := a.howMany()
	script, err := s.scriptOfDescriptor(a.text(1, ""))
	if err != nil {
		a.fail(asDescriptorError(err, err.Error()))
	}
	return s.generateBlocks(n, script, tries)
}

// asDescriptorError keeps an error that has its code, and makes of another one that has
// the text.
func asDescriptorError(err error, text string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return failf(CodeAddressOrKey, "%s", text)
}

// howMany reads how many blocks are wanted, and how many hashes are tried for each. As in
// Core, less than none are none.
func (a *args) howMany() (blocks, tries int64) {
	blocks = max(a.int32(0, 0), 0)
	if blocks > maxGenerated {
		a.fail(failf(CodeInvalidParam, "%s is %d, at most %d are made in a call", a.method.params[0].first(), blocks, maxGenerated))
	}
	if tries = a.int32(2, defaultTries); tries < 0 {
		a.fail(failf(CodeMisc, "JSON integer out of range"))
	}
	if tries == 0 {
		blocks = 0
	}
	return blocks, tries
}

func (s *Server) generateBlocks(n int64, script []byte, tries int64) work {
	return func(ctx context.Context) (any, error) {
		if s.Miner == nil {
			return nil, errNoMiner
		}
		hashes, err := s.Miner.Generate(ctx, int(n), script, uint64(tries))
		switch {
		case err != nil && len(hashes) > 0:
			return nil, fmt.Errorf("after %d of %d blocks: %w", len(hashes), n, err)
		case err != nil:
			return nil, err
		}
		return append([]types.Hash{}, hashes...), nil
	}
}

// generatedJSON is the answer of generateblock.
type generatedJSON struct {
	Hash types.Hash `json:"hash"`
	Hex  string     `json:"hex,omitempty"`
}

// generateBlock is Core's generateblock. The transactions need not wait in the pool, and
// may be such as it would not take.
func generateBlock(s *Server, a *args) work {
	a.fail(s.forTesting("generateblock"))
	output := a.text(0, "")
	script, err := s.scriptOfDescriptor(output)
	if err != nil {
		var final *Error
		if script, final = nil, nil; errors.As(err, &final) {
			a.fail(final)
		} else if script, err = taproot.DecodeAddress(s.Params.HRP, output); err != nil {
			a.fail(failf(CodeAddressOrKey, "Error: Invalid address or descriptor"))
		}
	}
	list := a.texts(1, 100_000)
	submit := a.flag(2, true)
	return func(ctx context.Context) (any, error) {
		if s.Miner == nil {
			return nil, errNoMiner
		}
		entries, err := s.chosen(list)
		if err != nil {
			return nil, err
		}
		block, err := s.blockOf(ctx, entries, script)
		if err != nil {
			return nil, err
		}
		for tries := 0; consensus.CheckHeader(s.Params, &block.Header, block.Hash()) != nil; tries++ {
			if tries == defaultTries || ctx.Err() != nil {
				return nil, failf(CodeMisc, "Failed to make block.")
			}
			block.Header.Nonce++
		}
		if submit {
			return generatedJSON{Hash: block.Hash()}, s.Operator.AddBlock(ctx, block.AppendTo(nil))
		}
		return generatedJSON{block.Hash(), hex.EncodeToString(block.AppendTo(nil))}, nil
	}
}

// chosen returns transactions that are given by their ids or in hexadecimal.
func (s *Server) chosen(list []string) ([]*pending.Entry, error) {
	entries := make([]*pending.Entry, len(list))
	for i, text := range list {
		if txid, err := types.ParseHash(text); err == nil {
			if entries[i] = s.Pool.Get(txid); entries[i] == nil {
				return nil, failf(CodeAddressOrKey, "Transaction %s not in mempool.", text)
			}
			continue
		}
		raw, err := hex.DecodeString(text)
		var tx *types.Tx
		if err == nil {
			tx, err = types.DecodeTx(raw)
		}
		if err != nil || len(tx.Inputs) == 0 {
			return nil, failf(CodeDeserialization, "Transaction decode failed for %.1000s. Make sure the tx has at least one input.", text)
		}
		entries[i] = &pending.Entry{Tx: tx, Raw: raw, TxID: tx.TxID(), WTxID: tx.WTxID(), Weight: tx.Weight()}
	}
	return entries, nil
}

// blockOf returns a block on the tip with the transactions, which pay nothing to it. It
// lacks its proof of work only.
func (s *Server) blockOf(ctx context.Context, entries []*pending.Entry, script []byte) (*types.Block, error) {
	for {
		state := s.Headers.TipState()
		t := template.New(s.Params, &state, entries, 0, s.Control.Now())
		t.CoinbaseValue -= t.Fees
		coinbase := s.Miner.Coinbase(t, script)
		header := t.Header
		header.MerkleRoot = t.Root(coinbase.TxID())
		block := t.Block(header, coinbase)
		err := s.Operator.Propose(ctx, block.AppendTo(nil))
		var rule *consensus.RuleError
		switch {
		case err == nil:
			return block, nil
		case !errors.As(err, &rule):
			return nil, err
		case s.Headers.Tip() != state.Index && ctx.Err() == nil:
			continue // a block came meanwhile
		case rule.Detail == "":
			return nil, failf(CodeVerify, "TestBlockValidity failed: %s", rule.RejectReason())
		}
		return nil, failf(CodeVerify, "TestBlockValidity failed: %s, %s", rule.RejectReason(), rule.Detail)
	}
}

// setMockTime is Core's setmocktime. Core has it on regtest alone.
func setMockTime(s *Server, a *args) work {
	a.fail(s.forTesting("setmocktime"))
	at := a.integer(0, 0)
	if at < 0 || at > math.MaxUint32 {
		a.fail(failf(CodeInvalidParam, "Mocktime must be in the range [0, %d], not %d.", uint32(math.MaxUint32), at))
	}
	return func(context.Context) (any, error) {
		s.Control.SetTime(at)
		return nil, nil
	}
}
