package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// The chain. Coinbases are divided into many coins; then each block of payments spends
// blockInputs of them, and the last block is as large as one may be.
const (
	fanOut      = 2500 // coins that a coinbase is divided into
	blockInputs = 2000
	blockTxs    = 1000
	keyCount    = 64
	annexBytes  = 1_600_000
	firstTime   = 1577836800 // 2020: after the dates of all soft forks
)

// coin is an output that can be spent, and the key that does.
type coin struct {
	at    types.OutPoint
	out   types.TxOut
	owner int
}

// maker makes the chain.
type maker struct {
	params  *consensus.Params
	random  *rand.Rand
	keys    []*btcec.PrivateKey
	scripts [][]byte
	file    *bufio.Writer
	tip     types.Header
	height  uint32
	coins   []coin
}

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
	m := &maker{params: params, random: rand.New(rand.NewPCG(1, 2)), file: bufio.NewWriterSize(f, 1<<20)}
	for range keyCount {
		var secret [32]byte
		for i := range secret {
			secret[i] = byte(m.random.Uint32())
		}
		key, public := btcec.PrivKeyFromBytes(secret[:])
		m.keys = append(m.keys, key)
		m.scripts = append(m.scripts, append([]byte{0x51, 32}, schnorr.SerializePubKey(public)...))
	}
	genesis := params.GenesisBlock()
	m.tip = genesis.Block.Header
	m.write(genesis.Raw)
	var coinbases []coin
	for range 110 {
		coinbases = append(coinbases, m.block(nil))
	}
	for len(m.coins) < utxos {
		tx, made := m.divide(coinbases[0])
		coinbases = append(coinbases[1:], m.block([]*types.Tx{tx}))
		m.add([]*types.Tx{tx}, made)
	}
	result := &made{}
	for range blocks {
		txs, coins := m.payments(blockTxs, blockInputs/blockTxs)
		m.block(txs)
		m.add(txs, coins)
		result.payments, result.paid = m.tip.Hash(), txs[blockTxs/2].TxID()
		result.unspent = types.OutPoint{TxID: result.paid}
	}
	m.block(m.largest(&coinbases))
	result.large, result.height = m.tip.Hash(), m.height
	m.coins = remove(m.coins, result.unspent)
	txs, _ := m.payments(loose, 1)
	for _, tx := range txs {
		result.loose = append(result.loose, hex.EncodeToString(tx.AppendTo(nil)))
	}
	return result, m.file.Flush()
}

func remove(coins []coin, at types.OutPoint) []coin {
	for i := range coins {
		if coins[i].at == at {
			return append(coins[:i], coins[i+1:]...)
		}
	}
	return coins
}

// write appends a block as Bitcoin's block files have it.
func (m *maker) write(raw []byte) {
	_, _ = m.file.Write(m.params.Magic[:])
	_ = binary.Write(m.file, binary.LittleEndian, uint32(len(raw)))
	_, _ = m.file.Write(raw) // Flush tells of errors
}

// block makes the next block, and returns its coinbase's coin.
func (m *maker) block(txs []*types.Tx) coin {
	m.height++
	owner := int(m.height) % keyCount
	coinbase := chaintest.Coinbase(m.height, []byte{1}, types.TxOut{Value: consensus.Subsidy(m.params, m.height), ScriptPubKey: m.scripts[owner]})
	block := chaintest.NewBlock(&m.tip, coinbase, txs...)
	block.Header.Timestamp = firstTime + 60*m.height
	chaintest.Mine(block)
	m.write(block.AppendTo(nil))
	m.tip = block.Header
	return coin{types.OutPoint{TxID: block.Txs[0].TxID()}, block.Txs[0].Outputs[0], owner}
}

// divide makes many coins of one.
func (m *maker) divide(from coin) (*types.Tx, []coin) {
	tx := spending(from)
	var coins []coin
	each := (from.out.Value - 1_000_000) / fanOut
	for range fanOut {
		coins = append(coins, m.pay(tx, each))
	}
	m.sign(tx, []coin{from}, nil)
	return tx, coins
}

// pay adds an output to a random key.
func (m *maker) pay(tx *types.Tx, value types.Amount) coin {
	owner := m.random.IntN(keyCount)
	out := types.TxOut{Value: value, ScriptPubKey: m.scripts[owner]}
	tx.Outputs = append(tx.Outputs, out)
	return coin{types.OutPoint{Index: uint32(len(tx.Outputs) - 1)}, out, owner}
}

// payments makes payments of random coins, to two outputs each.
func (m *maker) payments(n, inputs int) (txs []*types.Tx, coins []coin) {
	from := make([][]coin, n)
	for i := range n {
		total := types.Amount(-200 * inputs)
		for range inputs {
			k := m.random.IntN(len(m.coins))
			from[i] = append(from[i], m.coins[k])
			total += m.coins[k].out.Value
			m.coins[k] = m.coins[len(m.coins)-1]
			m.coins = m.coins[:len(m.coins)-1]
		}
		tx := spending(from[i]...)
		coins = append(coins, m.pay(tx, total/2), m.pay(tx, total-total/2))
		txs = append(txs, tx)
	}
	var all sync.WaitGroup
	for start := range runtime.NumCPU() {
		all.Go(func() {
			for i := start; i < n; i += runtime.NumCPU() {
				m.sign(txs[i], from[i], nil)
			}
		})
	}
	all.Wait()
	return txs, coins
}

// add notes coins that transactions made, in order.
func (m *maker) add(txs []*types.Tx, coins []coin) {
	next := 0
	for _, tx := range txs {
		txid := tx.TxID()
		for range tx.Outputs {
			coins[next].at.TxID = txid
			next++
		}
	}
	m.coins = append(m.coins, coins...)
}

// largest fills a block: with outputs, and with a witness of one large piece.
func (m *maker) largest(coinbases *[]coin) (txs []*types.Tx) {
	for range 5 {
		tx, _ := m.divide((*coinbases)[0])
		*coinbases = (*coinbases)[1:]
		txs = append(txs, tx)
	}
	from := (*coinbases)[0]
	tx := spending(from)
	m.pay(tx, from.out.Value-10_000_000)
	annex := make([]byte, annexBytes)
	annex[0] = 0x50 // by which an annex is known (BIP341)
	m.sign(tx, []coin{from}, annex)
	return append(txs, tx)
}

func spending(from ...coin) *types.Tx {
	tx := &types.Tx{Version: 2}
	for _, c := range from {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: c.at, Sequence: 1})
	}
	return tx
}

func (m *maker) sign(tx *types.Tx, from []coin, annex []byte) {
	var spent []types.TxOut
	for i := range from {
		spent = append(spent, from[i].out)
	}
	context := taproot.NewContext(tx, spent)
	for i := range from {
		message, err := context.SignatureHash(i, taproot.SigHashDefault, annex, nil)
		if err != nil {
			panic(err) // this type of hash is defined for every input
		}
		signature, err := schnorr.Sign(m.keys[from[i].owner], message[:], schnorr.FastSign())
		if err != nil {
			panic(fmt.Sprintf("a key that is none: %v", err))
		}
		tx.Inputs[i].Witness = [][]byte{signature.Serialize()}
		if annex != nil {
			tx.Inputs[i].Witness = append(tx.Inputs[i].Witness, annex)
		}
	}
}
