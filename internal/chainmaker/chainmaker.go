// Package chainmaker writes long chains of signed payments to files, for measurements.
package chainmaker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

const (
	// FanOut is how many coins a coinbase is divided into.
	FanOut    = 2500
	firstTime = 1577836800 // 2020: after the dates of all soft forks
	spacing   = 60         // seconds
	fee       = 200        // grains for an input of a payment
	hotKeys   = 16
)

// Coin is an output that can be spent, and the number of the key that does.
type Coin struct {
	At    types.OutPoint
	Out   types.TxOut
	Owner int
}

// Maker makes a chain on the genesis block of a network whose difficulty is trivial and
// fixed. The same calls make the same chain, but for its signatures.
type Maker struct {
	Coins  []Coin // that Payments may spend
	Height uint32 // of the last block
	Tip    types.Header

	params  *consensus.Params
	random  *rand.Rand
	keys    []*btcec.PrivateKey
	scripts [][]byte
	file    *bufio.Writer
}

// New begins a chain with so many keys, and writes its genesis block.
func New(params *consensus.Params, file io.Writer, keys int) *Maker {
	m := &Maker{params: params, random: rand.New(rand.NewPCG(1, 2)), file: bufio.NewWriterSize(file, 1<<20)}
	for range keys {
		var secret [32]byte
		for i := range secret {
			secret[i] = byte(m.random.Uint32())
		}
		key, public := btcec.PrivKeyFromBytes(secret[:])
		m.keys = append(m.keys, key)
		m.scripts = append(m.scripts, append([]byte{0x51, 32}, schnorr.SerializePubKey(public)...))
	}
	genesis := params.GenesisBlock()
	m.Tip = genesis.Block.Header
	m.write(genesis.Raw)
	return m
}

// Flush writes what was not written yet, and returns the first error of all writing.
func (m *Maker) Flush() error { return m.file.Flush() }

// write appends a block as Bitcoin's block files have it.
func (m *Maker) write(raw []byte) {
	_, _ = m.file.Write(m.params.Magic[:])
	_ = binary.Write(m.file, binary.LittleEndian, uint32(len(raw)))
	_, _ = m.file.Write(raw) // Flush tells of errors
}

// Block makes the next block, and returns its coinbase's coin.
func (m *Maker) Block(txs []*types.Tx) Coin {
	m.Height++
	owner := int(m.Height) % len(m.keys)
	coinbase := chaintest.Coinbase(m.Height, []byte{1}, types.TxOut{Value: consensus.Subsidy(m.params, m.Height), ScriptPubKey: m.scripts[owner]})
	block := chaintest.NewBlock(&m.Tip, coinbase, txs...)
	block.Header.Timestamp = firstTime + spacing*m.Height
	chaintest.Mine(block)
	m.write(block.AppendTo(nil))
	m.Tip = block.Header
	return Coin{types.OutPoint{TxID: block.Txs[0].TxID()}, block.Txs[0].Outputs[0], owner}
}

// Divide makes FanOut coins of one.
func (m *Maker) Divide(from Coin) (*types.Tx, []Coin) {
	tx := Spending(from)
	var coins []Coin
	each := (from.Out.Value - 1_000_000) / FanOut
	for range FanOut {
		coins = append(coins, m.Pay(tx, each))
	}
	m.Sign(tx, []Coin{from}, nil)
	return tx, coins
}

// FanOut makes blocks that divide the coinbases that are given and those of these blocks,
// until there are so many coins. It returns the coinbases that are left.
func (m *Maker) FanOut(coinbases []Coin, coins int) []Coin {
	for len(m.Coins) < coins {
		tx, made := m.Divide(coinbases[0])
		coinbases = append(coinbases[1:], m.Block([]*types.Tx{tx}))
		m.Add([]*types.Tx{tx}, made)
	}
	return coinbases
}

// owner is a random key. Where there are many, an eighth of all coins goes to a few of them,
// as it does where many pay a few shops.
func (m *Maker) owner() int {
	if len(m.keys) > 100*hotKeys && m.random.IntN(8) == 0 {
		return m.random.IntN(hotKeys)
	}
	return m.random.IntN(len(m.keys))
}

// Pay adds an output to a random key.
func (m *Maker) Pay(tx *types.Tx, value types.Amount) Coin {
	owner := m.owner()
	out := types.TxOut{Value: value, ScriptPubKey: m.scripts[owner]}
	tx.Outputs = append(tx.Outputs, out)
	return Coin{types.OutPoint{Index: uint32(len(tx.Outputs) - 1)}, out, owner}
}

// Payments makes payments of random coins, to two outputs each.
func (m *Maker) Payments(n, inputs int) (txs []*types.Tx, coins []Coin) {
	from := make([][]Coin, n)
	for i := range n {
		total := types.Amount(-fee * inputs)
		for range inputs {
			k := m.random.IntN(len(m.Coins))
			from[i] = append(from[i], m.Coins[k])
			total += m.Coins[k].Out.Value
			m.Coins[k] = m.Coins[len(m.Coins)-1]
			m.Coins = m.Coins[:len(m.Coins)-1]
		}
		tx := Spending(from[i]...)
		coins = append(coins, m.Pay(tx, total/2), m.Pay(tx, total-total/2))
		txs = append(txs, tx)
	}
	var all sync.WaitGroup
	workers := min(runtime.NumCPU(), n)
	for start := range workers {
		all.Go(func() {
			for i := start; i < n; i += workers {
				m.Sign(txs[i], from[i], nil)
			}
		})
	}
	all.Wait()
	return txs, coins
}

// Add notes coins that transactions made, in order.
func (m *Maker) Add(txs []*types.Tx, coins []Coin) {
	next := 0
	for _, tx := range txs {
		txid := tx.TxID()
		for range tx.Outputs {
			coins[next].At.TxID = txid
			next++
		}
	}
	m.Coins = append(m.Coins, coins...)
}

// Spending begins a transaction that spends coins.
func Spending(from ...Coin) *types.Tx {
	tx := &types.Tx{Version: 2}
	for _, c := range from {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: c.At, Sequence: 1})
	}
	return tx
}

// Sign signs all inputs, with an annex unless it is nil.
func (m *Maker) Sign(tx *types.Tx, from []Coin, annex []byte) {
	var spent []types.TxOut
	for i := range from {
		spent = append(spent, from[i].Out)
	}
	context := taproot.NewContext(tx, spent)
	for i := range from {
		message, err := context.SignatureHash(i, taproot.SigHashDefault, annex, nil)
		if err != nil {
			panic(err) // this type of hash is defined for every input
		}
		signature, err := schnorr.Sign(m.keys[from[i].Owner], message[:], schnorr.FastSign())
		if err != nil {
			panic(fmt.Sprintf("a key that is none: %v", err))
		}
		tx.Inputs[i].Witness = [][]byte{signature.Serialize()}
		if annex != nil {
			tx.Inputs[i].Witness = append(tx.Inputs[i].Witness, annex)
		}
	}
}
