package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/big"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// Compact targets against math/big.
func FuzzCompact(f *testing.F) {
	for _, bits := range []uint32{0, 0x1d00ffff, 0x207fffff, 0x01010000, 0x2100ffff, 0x2200ffff, 0x220000ff, 0xff000001, 0x1c80ffff, 0x04923456} {
		f.Add(bits, []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, bits uint32, number []byte) {
		target, negative, overflow := ExpandBits(bits)
		mantissa, exponent := big.NewInt(int64(bits&0x7fffff)), int(bits>>24)-3
		value := new(big.Int).Lsh(mantissa, uint(max(exponent, 0)*8))
		value.Rsh(value, uint(max(-exponent, 0)*8))
		if overflow != (value.BitLen() > 256) {
			t.Fatalf("%08x: overflow %v, value %x", bits, overflow, value)
		}
		if negative != (value.Sign() != 0 && bits&0x800000 != 0) {
			t.Fatalf("%08x: negative %v", bits, negative)
		}
		if !overflow && target.Big().Cmp(value) != 0 {
			t.Fatalf("%08x: target %s, want %x", bits, target, value)
		}
		work := BlockWork(bits).Big()
		want := new(big.Int)
		if !negative && !overflow && value.Sign() > 0 {
			want.Quo(new(big.Int).Lsh(big.NewInt(1), 256), new(big.Int).Add(value, big.NewInt(1)))
		}
		if work.Cmp(want) != 0 {
			t.Fatalf("%08x: work %x, want %x", bits, work, want)
		}

		// Of any number the compact form keeps what its mantissa holds.
		var full [32]byte
		copy(full[:], number)
		u := Uint256FromBig(new(big.Int).SetBytes(full[:])).shift(-8 * (32 - min(len(number), 32)))
		compact := CompactBits(u)
		kept, negative, overflow := ExpandBits(compact)
		if negative || overflow || kept.Cmp(u) > 0 || CompactBits(kept) != compact {
			t.Fatalf("%s: compact %08x is %s", u, compact, kept)
		}
		if lost := u.Sub(kept); lost.bitLen() > max(0, u.bitLen()-16) || u.bitLen() <= 16 && !lost.IsZero() {
			t.Fatalf("%s: compact %08x loses %s", u, compact, lost)
		}
	})
}

// twinASERT is aserti3-2d written another way: with rational numbers, the
// fraction by Euclid's division, the power of two by multiplication.
func twinASERT(a asert, seconds int64, blocks uint64) Uint256 {
	drift := new(big.Int).Mul(big.NewInt(a.spacing), new(big.Int).SetUint64(blocks))
	drift.Sub(big.NewInt(seconds), drift).Mul(drift, big.NewInt(65536))
	exponent, half := new(big.Int), big.NewInt(a.halfLife)
	if drift.Sign() < 0 { // towards zero
		exponent.Div(new(big.Int).Neg(drift), half)
		exponent.Neg(exponent)
	} else {
		exponent.Div(drift, half)
	}
	whole, x := new(big.Int).DivMod(exponent, big.NewInt(65536), new(big.Int))
	sum := new(big.Int)
	for power, factor := range []int64{1 << 47, 195_766_423_245_049, 971_821_376, 5_127} {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(factor), new(big.Int).Exp(x, big.NewInt(int64(power)), nil)))
	}
	fraction := new(big.Int).Add(big.NewInt(65536), sum.Div(sum, new(big.Int).Exp(big.NewInt(2), big.NewInt(48), nil)))
	if whole.Cmp(big.NewInt(2000)) > 0 {
		return a.limit
	}
	if whole.Cmp(big.NewInt(-2000)) < 0 {
		return Uint256{1}
	}
	target := new(big.Rat).SetFrac(new(big.Int).Mul(a.anchor.Big(), fraction), big.NewInt(65536))
	two := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(2), new(big.Int).Abs(whole), nil))
	if whole.Sign() < 0 {
		two.Inv(two)
	}
	target.Mul(target, two)
	result := new(big.Int).Div(target.Num(), target.Denom())
	switch {
	case result.Sign() == 0:
		return Uint256{1}
	case result.Cmp(a.limit.Big()) > 0:
		return a.limit
	}
	return Uint256FromBig(result)
}

// Every fraction that there is.
func TestASERTFractions(t *testing.T) {
	a := asert{anchor: Uint256{3: 1 << 40}, limit: Uint256{3: 1 << 62}, halfLife: 65536, spacing: 1}
	for x := range int64(65536) {
		if got, want := a.target(x, 0), twinASERT(a, x, 0); got != want {
			t.Fatalf("fraction %d: target %s, want %s", x, got, want)
		}
	}
	for x := range int64(100) { // and with the sign
		if got, want := a.target(-x*655, 0), twinASERT(a, -x*655, 0); got != want {
			t.Fatalf("fraction %d: target %s, want %s", -x*655, got, want)
		}
	}
}

func FuzzASERT(f *testing.F) {
	f.Add(uint32(0x1d00ffff), []byte{0, 0, 0, 0, 255}, uint32(172800), uint32(600), int64(600), uint64(1))
	f.Add(uint32(0x207fffff), bytes.Repeat([]byte{255}, 32), uint32(6), uint32(1), int64(-1), uint64(100))
	f.Add(uint32(0x01010000), bytes.Repeat([]byte{255}, 32), uint32(1), uint32(1), int64(1<<40), uint64(1<<63))
	f.Add(uint32(0x1e0fffff), []byte{0, 0, 15, 255}, uint32(43200), uint32(60), int64(6_000_123), uint64(99_000))
	f.Fuzz(func(t *testing.T, bits uint32, limit []byte, halfLife, spacing uint32, seconds int64, blocks uint64) {
		anchor, negative, overflow := ExpandBits(bits)
		var full [32]byte
		copy(full[:], limit)
		a := asert{
			anchor: anchor, limit: Uint256FromBig(new(big.Int).SetBytes(full[:])), halfLife: int64(halfLife), spacing: int64(spacing),
		}
		if negative || overflow || anchor.IsZero() || a.limit.Cmp(anchor) < 0 || halfLife == 0 || spacing == 0 {
			return // refused by Params
		}
		target := a.target(seconds, blocks)
		if want := twinASERT(a, seconds, blocks); target != want {
			t.Fatalf("target %s, want %s", target, want)
		}
		if target.IsZero() || target.Cmp(a.limit) > 0 {
			t.Fatalf("target %s is out of range", target)
		}
		// A later block is never harder, one more block never easier.
		if later := seconds + 1; later > seconds && a.target(later, blocks).Cmp(target) < 0 {
			t.Fatalf("a second later the target falls below %s", target)
		}
		if more := blocks + 1; more > blocks && a.target(seconds, more).Cmp(target) > 0 {
			t.Fatalf("a block more and the target rises above %s", target)
		}
	})
}

// fuzzBlock is what FuzzCheckBlock changes: a valid block with payments of all
// kinds, on a chain of one block.
func fuzzBlock(t testing.TB) (*chainTest, *types.Block) {
	c := newChainTest(t)
	parent := c.spend(c.allocation(0), c.allocation(10))
	parent.Outputs = append(parent.Outputs, types.TxOut{ScriptPubKey: []byte{0x6a, 1, 1}})
	child := spendOutput(&parent, 0)
	child.Inputs[0].Sequence = 0
	return c, chaintest.Mine(c.template(parent, child, c.spend(c.allocation(11))))
}

// with returns the chain for another test, with coins of its own.
func (c *chainTest) with(t testing.TB) *chainTest {
	copied := *c
	copied.TB, copied.coins = t, maps.Clone(c.coins)
	return &copied
}

// Blocks of any bytes: no step panics, each gives the same verdict twice, an
// error has a kind, and what connects leaves the coins that a replay leaves.
// repair makes roots and commitments right again, so that changes reach the
// rules behind them.
func FuzzCheckBlock(f *testing.F) {
	chain, seed := fuzzBlock(f)
	f.Add(HashBlock(seed).Raw, uint16(0), byte(0), false)
	f.Add(HashBlock(seed).Raw, uint16(200), byte(1), true)
	f.Add(HashBlock(seed).Raw[:81], uint16(80), byte(0), true)
	f.Fuzz(func(t *testing.T, raw []byte, at uint16, value byte, repair bool) {
		raw = bytes.Clone(raw)
		if int(at) < len(raw) {
			raw[at] ^= value
		}
		b, err := DecodeBlock(raw)
		if err != nil {
			if !errors.Is(err, ErrMutated) || !errors.Is(err, ReasonDecode) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if again := HashBlock(b.Block); !bytes.Equal(again.Raw, raw) || again.Weight != b.Weight {
			t.Fatal("the encoding changes")
		}
		if repair && len(b.Block.Txs) > 0 {
			if outputs := b.Block.Txs[0].Outputs; len(outputs) > 1 {
				chaintest.Commit(b.Block)
			}
			chaintest.SetMerkleRoot(b.Block)
			b = HashBlock(b.Block)
		}
		fuzzVerdict(chain.with(t), b)
	})
}

func fuzzVerdict(c *chainTest, b *HashedBlock) {
	before := HashBlock(b.Block).Raw
	steps := []func() error{
		func() error { return ValidateHeader(c.params, &c.state, &b.Block.Header, testNow) },
		func() error { return CheckBlock(c.params, b) },
		func() error { return ValidateBlock(c.params, &c.state, b) },
		func() error {
			connection, err := ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
			if err != nil {
				return err
			}
			return CheckScripts(b, connection.Prevouts, 0, len(b.Block.Txs), nil, nil)
		},
	}
	for i, step := range steps {
		err := step()
		if again := step(); (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			c.Fatalf("step %d says %v, then %v", i, err, again)
		}
		if err == nil {
			continue
		}
		var rule *RuleError
		if !errors.As(err, &rule) || errors.Is(err, ErrLocal) || rule.Reason == "" {
			c.Fatalf("step %d: the error is %v", i, err)
		}
		if i > 0 {
			return // a body that fails is asked no further
		}
	}
	if !bytes.Equal(HashBlock(b.Block).Raw, before) {
		c.Fatal("a step changed the block")
	}
	connection, err := ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
	if err != nil {
		c.Fatal(err)
	}
	coins := maps.Clone(c.coins)
	c.apply(&connection.Update)
	c.replay(b, coins)
}

// FuzzConnect makes random graphs of payments, valid and not, of a few bytes
// each, and holds ConnectBlock against rules written naively.
func FuzzConnect(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Add(bytes.Repeat([]byte{0, 0, 10, 0}, 8))
	f.Add(bytes.Repeat([]byte{7, 21, 10, 0}, 8))
	chain := newChainTest(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := chain.with(t)
		var txs []types.Tx
		ids := []types.Hash{c.genesis}
		for len(data) >= 4 && len(txs) < 64 {
			word := binary.LittleEndian.Uint32(data)
			data = data[4:]
			from := types.OutPoint{TxID: ids[int(word&0xff)%len(ids)], Index: word >> 8 & 15}
			tx := pay(types.Amount(word>>16&0xff)*coin, from)
			tx.Inputs[0].Sequence = choose(word>>24&1 == 0, final, word>>25&3)
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: coin, ScriptPubKey: choose(word>>30 == 0, []byte{0x6a}, chaintest.Anyone(5))})
			txs = append(txs, tx)
			ids = append(ids, tx.TxID())
		}
		block := c.template(txs...)
		block.Txs[0].Outputs[0].Value = btcSubsidy
		chaintest.SetMerkleRoot(block)
		b := HashBlock(block)
		connection, err := ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
		if want := naiveConnect(c, block); want != nil {
			expect(t, err, *want, ErrInvalid)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		coins := maps.Clone(c.coins)
		c.apply(&connection.Update)
		c.replay(b, coins)
	})
}

// naiveConnect applies transactions one after the other to a copy of the coins
// and returns the first broken rule, of a chain that consists of the genesis
// block.
func naiveConnect(c *chainTest, block *types.Block) *Reason {
	reason := func(r Reason) *Reason { return &r }
	coins := maps.Clone(c.coins)
	for i := range block.Txs {
		tx := &block.Txs[i]
		balance, locked := types.Amount(0), false
		for _, in := range tx.Inputs {
			if i == 0 {
				continue
			}
			entry, there := coins[in.PreviousOutPoint]
			if !there {
				return reason("bad-txns-inputs-missingorspent")
			}
			delete(coins, in.PreviousOutPoint)
			balance += entry.Value
			if in.Sequence < 1<<31 && 1 < entry.Height+in.Sequence {
				locked = true
			}
		}
		for j := range tx.Outputs {
			balance -= tx.Outputs[j].Value
			if tx.Outputs[j].ScriptPubKey[0] != 0x6a {
				entry, _ := types.NewCoin(&tx.Outputs[j], 1, i == 0)
				coins[types.OutPoint{TxID: tx.TxID(), Index: uint32(j)}] = entry
			}
		}
		if i > 0 && balance < 0 {
			return reason("bad-txns-in-belowout")
		}
		if locked {
			return reason("bad-txns-nonfinal")
		}
	}
	return nil
}
