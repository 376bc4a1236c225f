package main

import (
	"encoding/hex"
	"os"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chainmaker"
)

// The chain. Coinbases are divided into many coins; then each block of payments spends
// blockInputs of them, and the last block is as large as one may be.
const (
	blockInputs = 2000
	blockTxs    = 1000
	keyCount    = 64
	annexBytes  = 1_600_000
)

// made is what the benchmark asks about.
type made struct {
	height   uint32
	payments types.Hash // the hash of the last block of payments
	paid     types.Hash // a transaction in it
	large    types.Hash // the hash of the largest block
	unspent  types.OutPoint
	loose    []string // payments that no block has, in hexadecimal
}

// makeChain writes a chain for Bitcoin's regtest network to a file.
func makeChain(params *consensus.Params, path string, blocks, utxos, loose int) (*made, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := chainmaker.New(params, f, keyCount)
	var coinbases []chainmaker.Coin
	for range 110 {
		coinbases = append(coinbases, m.Block(nil))
	}
	coinbases = m.FanOut(coinbases, utxos)
	result := &made{}
	for range blocks {
		txs, coins := m.Payments(blockTxs, blockInputs/blockTxs)
		m.Block(txs)
		m.Add(txs, coins)
		result.payments, result.paid = m.Tip.Hash(), txs[blockTxs/2].TxID()
		result.unspent = types.OutPoint{TxID: result.paid}
	}
	m.Block(largest(m, &coinbases))
	result.large, result.height = m.Tip.Hash(), m.Height
	m.Coins = remove(m.Coins, result.unspent)
	txs, _ := m.Payments(loose, 1)
	for _, tx := range txs {
		result.loose = append(result.loose, hex.EncodeToString(tx.AppendTo(nil)))
	}
	return result, m.Flush()
}

func remove(coins []chainmaker.Coin, at types.OutPoint) []chainmaker.Coin {
	for i := range coins {
		if coins[i].At == at {
			return append(coins[:i], coins[i+1:]...)
		}
	}
	return coins
}

// largest fills a block: with outputs, and with a witness of one large piece.
func largest(m *chainmaker.Maker, coinbases *[]chainmaker.Coin) (txs []*types.Tx) {
	for range 5 {
		tx, _ := m.Divide((*coinbases)[0])
		*coinbases = (*coinbases)[1:]
		txs = append(txs, tx)
	}
	from := (*coinbases)[0]
	tx := chainmaker.Spending(from)
	m.Pay(tx, from.Out.Value-10_000_000)
	annex := make([]byte, annexBytes)
	annex[0] = 0x50 // by which an annex is known (BIP341)
	m.Sign(tx, []chainmaker.Coin{from}, annex)
	return append(txs, tx)
}
