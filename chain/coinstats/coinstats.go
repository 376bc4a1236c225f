// Package coinstats computes statistics and hashes of a coin set exactly as
// Bitcoin Core's gettxoutsetinfo does, so that two nodes can compare all of
// their coins by one line of text.
//
//	c := coinstats.New(true, false) // MuHash, but not HashSerialized3
//	at, err := chain.ForEachCoin(ctx, func(op types.OutPoint, coin *types.Coin) error {
//		c.Add(op, coin)
//		return nil
//	})
//	fmt.Println(c.Result().MuHash)
//
// There are two hashes. HashSerialized3 is a SHA-256 of all coins one after another,
// so it needs them in order and on one core. MuHash is a product of one number for
// each coin, so it needs no order, goes on all cores, and follows a set that changes: a
// MuHash can be moved from block to block (chain/coinhistory).
//
// The package is told the coins. It reads no database and checks no rule.
package coinstats

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"runtime"

	"github.com/karatcoin/karat/chain/types"
)

// Stats describes a coin set. Amounts are in grains; the hashes print as
// Bitcoin Core prints them (byte-reversed).
type Stats struct {
	TxOuts       uint64       // coins
	Transactions uint64       // transactions with at least one coin
	TotalAmount  types.Amount // of all coins
	// BogoSize is a size in bytes that depends on no database: 50 for each coin
	// and its script.
	BogoSize uint64
	// MuHash is the MuHash3072 digest of the set; zero if it was not asked for.
	MuHash types.Hash
	// HashSerialized3 is the double SHA-256 of the encodings of all coins in key
	// order; zero if it was not asked for.
	HashSerialized3 types.Hash
}

// bogoOverhead is what BogoSize counts for a coin besides its script: txid,
// output index, height with the coinbase bit, amount and length of the script.
const bogoOverhead = 32 + 4 + 4 + 8 + 2

// BogoSize returns a coin's part of Stats.BogoSize.
func BogoSize(coin *types.Coin) uint64 { return bogoOverhead + uint64(len(coin.ScriptPubKey())) }

// maxEncodedCoin is the longest result of AppendCoin in bytes.
const maxEncodedCoin = types.HashSize + 4 + 4 + 8 + 1 + types.MaxCoinScriptSize

// batchCoins is how many coins a goroutine takes at a time. They are some
// milliseconds of work, beside which handing them over costs nothing.
const batchCoins = 1024

// AppendCoin appends the encoding of a coin that both set hashes are made of:
// txid, output index, twice the height plus the coinbase bit (all integers
// little-endian, 32 bits), then the output as in a transaction.
func AppendCoin(b []byte, op types.OutPoint, coin *types.Coin) []byte {
	code := coin.Height << 1
	if coin.IsCoinbase {
		code |= 1
	}
	b = append(b, op.TxID[:]...)
	b = binary.LittleEndian.AppendUint32(b, op.Index)
	b = binary.LittleEndian.AppendUint32(b, code)
	b = binary.LittleEndian.AppendUint64(b, uint64(coin.Value))
	return types.AppendVarBytes(b, coin.ScriptPubKey())
}

// Collector adds up the statistics of a coin set. MuHash is computed on all
// cores, and the result does not depend on how many there are. A Collector is for
// one goroutine, and may be given up without a call of Result.
type Collector struct {
	stats      Stats
	last       types.Hash // txid of the coin before
	serialized hash.Hash  // nil if HashSerialized3 is not wanted

	// A batch is the current one, or in the hands of a goroutine that ends by
	// putting it into idle, or in idle. All of this is nil if MuHash is not wanted.
	current *batch
	idle    chan *batch
	scratch []byte
}

// batch is a number of encoded coins, and the product of all coins that went
// through it.
type batch struct {
	coins  []byte
	ends   []int // where each coin of coins ends
	muhash MuHash
}

// New returns a Collector of the empty set. The two hashes are computed only if they
// are asked for: muhash costs some three microseconds a coin on one core.
func New(muhash, serialized bool) *Collector {
	c := &Collector{scratch: make([]byte, 0, maxEncodedCoin)}
	if serialized {
		c.serialized = sha256.New()
	}
	if muhash {
		// One batch is filled while every core works on another.
		c.idle = make(chan *batch, runtime.GOMAXPROCS(0)+1)
		for range cap(c.idle) {
			c.idle <- &batch{coins: make([]byte, 0, batchCoins*maxEncodedCoin), ends: make([]int, 0, batchCoins)}
		}
		c.current = <-c.idle
	}
	return c
}

// Add adds one coin. Coins must come in key order: by the bytes of the txid,
// then by output index.
func (c *Collector) Add(op types.OutPoint, coin *types.Coin) {
	if c.stats.TxOuts == 0 || op.TxID != c.last {
		c.stats.Transactions++
		c.last = op.TxID
	}
	c.stats.TxOuts++
	c.stats.TotalAmount += coin.Value
	c.stats.BogoSize += BogoSize(coin)

	if c.serialized == nil && c.current == nil {
		return
	}
	c.scratch = AppendCoin(c.scratch[:0], op, coin)
	if c.serialized != nil {
		c.serialized.Write(c.scratch) // never fails
	}
	if c.current != nil {
		c.current.add(c.scratch)
		if len(c.current.ends) == batchCoins {
			c.dispatch()
		}
	}
}

// Result returns the statistics of the coins that were added. More coins may
// follow.
func (c *Collector) Result() Stats {
	stats := c.stats
	if c.serialized != nil {
		stats.HashSerialized3 = sha256.Sum256(c.serialized.Sum(nil))
	}
	if c.current != nil {
		stats.MuHash = c.product()
	}
	return stats
}

// dispatch hands the current batch to a goroutine and takes one that is idle. If all
// are at work it waits, so that memory holds no more than they have.
func (c *Collector) dispatch() {
	full := c.current
	go func() {
		full.hash()
		c.idle <- full
	}()
	c.current = <-c.idle
}

// product waits for the goroutines and returns the digest of all batches.
// Multiplication commutes, so it does not matter which coin went into which batch.
func (c *Collector) product() types.Hash {
	c.current.hash()
	all := c.current.muhash
	for range cap(c.idle) - 1 {
		b := <-c.idle
		all.Combine(&b.muhash)
		defer func() { c.idle <- b }()
	}
	return all.Digest()
}

func (b *batch) add(encoded []byte) {
	b.coins = append(b.coins, encoded...)
	b.ends = append(b.ends, len(b.coins))
}

func (b *batch) hash() {
	start := 0
	for _, end := range b.ends {
		b.muhash.Insert(b.coins[start:end])
		start = end
	}
	b.coins, b.ends = b.coins[:0], b.ends[:0]
}
