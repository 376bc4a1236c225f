package web

import (
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// busyScript is a chain of blocks, each with so many transactions that concern one script.
type busyScript struct {
	Headers
	Blocks
	blocks []*consensus.HashedBlock // the newest first
	reads  map[types.Hash]int
}

func (b *busyScript) Info(hash types.Hash) (header.Info, bool) {
	info := header.Info{OnBestChain: true}
	info.Hash, info.Status = hash, header.StatusUndo
	return info, true
}

func (b *busyScript) find(hash types.Hash) *consensus.HashedBlock {
	b.reads[hash]++
	for _, block := range b.blocks {
		if block.Hash == hash {
			return block
		}
	}
	return nil
}

func (b *busyScript) BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error) {
	block := b.find(hash)
	return consensus.BlockUpdate{Block: block, Update: &consensus.Update{Spent: make([]consensus.CoinEntry, len(block.Block.Txs)-1)}}, nil
}

func (b *busyScript) BlockTx(hash types.Hash, n int) (types.BlockTx, []types.Coin, error) {
	tx, err := types.DecodeBlockTx(b.find(hash).Raw, n)
	return tx, make([]types.Coin, len(tx.Tx.Inputs)), err
}

func (b *busyScript) ScriptHistory([]indexed.ScriptHash, indexed.Page) (h indexed.History, err error) {
	for _, block := range b.blocks {
		for n := len(block.TxIDs) - 1; n > 0; n-- {
			h.Txs = append(h.Txs, indexed.ScriptTx{TxID: block.TxIDs[n], Place: types.TxPlace{Block: block.Hash, N: uint32(n)}})
		}
	}
	return h, nil
}

func (b *busyScript) ScriptBalances([]indexed.ScriptHash) (indexed.Balances, error) {
	return indexed.Balances{}, nil
}

func (b *busyScript) ScriptCoins([]indexed.ScriptHash, indexed.Page) (indexed.Coins, error) {
	return indexed.Coins{}, nil
}

// TestBlocksReadOnce: a page of an address's transactions reads each of their blocks once.
func TestBlocksReadOnce(t *testing.T) {
	b := &busyScript{reads: map[types.Hash]int{}}
	for i, payments := range []int{1, 12, 2, 10} {
		block := types.Block{Header: types.Header{Nonce: uint32(i)}, Txs: []types.Tx{{Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: 0xffffffff}}}, Outputs: []types.TxOut{{}}}}}
		for n := range payments {
			block.Txs = append(block.Txs, types.Tx{Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}, Index: uint32(100*i + n)}}}, Outputs: []types.TxOut{{}}})
		}
		hashed, err := consensus.DecodeBlock(block.AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		b.blocks = append(b.blocks, hashed)
	}
	s := &Server{Options: Options{Params: &consensus.Params{HRP: "krtd"}, Headers: b, Blocks: b, Scripts: b}}
	s.blocks = newBlockCache(s.loadBlock, s.connected)
	list, err := s.chainTxs(t.Context(), namedScript{}, nil)
	if err != nil || len(list) != 25 {
		t.Fatalf("%d transactions, %v", len(list), err)
	}
	for i, block := range b.blocks {
		if b.reads[block.Hash] != 1 {
			t.Errorf("block %d was read %d times", i, b.reads[block.Hash])
		}
	}
}

// TestLeafAsm: a script path is told in words, behind an annex too, and nothing else is.
func TestLeafAsm(t *testing.T) {
	taproot := append([]byte{0x51, 32}, make([]byte, 32)...)
	leaf, control, annex := []byte{0x51, 1, 7, 0xac}, append([]byte{0xc0}, make([]byte, 32)...), []byte{0x50}
	for name, c := range map[string]struct {
		spent   []byte
		witness [][]byte
		want    string
	}{
		"script path":    {taproot, [][]byte{{1}, leaf, control}, "OP_PUSHNUM_1 OP_PUSHBYTES_1 07 OP_CHECKSIG"},
		"with an annex":  {taproot, [][]byte{leaf, control, annex}, "OP_PUSHNUM_1 OP_PUSHBYTES_1 07 OP_CHECKSIG"},
		"key path":       {taproot, [][]byte{make([]byte, 64)}, ""},
		"key and annex":  {taproot, [][]byte{make([]byte, 64), annex}, ""},
		"none":           {taproot, nil, ""},
		"short control":  {taproot, [][]byte{leaf, {0xc0}}, ""},
		"another output": {[]byte{0x51, 2, 0x4e, 0x73}, [][]byte{leaf, control}, ""},
		"long":           {taproot, [][]byte{make([]byte, maxLeafAsm+1), control}, ""},
	} {
		if got := leafAsm(c.spent, c.witness); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
