package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/vectors"
)

func testRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func TestDecodeBlock(t *testing.T) {
	c := newChainTest(t)
	good := HashBlock(chaintest.Mine(c.template(c.spend(c.allocation(0)), c.spend(c.allocation(10)))))
	b, err := DecodeBlock(good.Raw)
	if err != nil || b.Hash != good.Hash || b.Weight != good.Weight || !slices.Equal(b.WTxIDs, good.WTxIDs) {
		t.Fatalf("a block is not read as it was written: %v", err)
	}
	for name, raw := range map[string][]byte{
		"empty":     {},
		"header":    good.Raw[:80],
		"cut":       good.Raw[:len(good.Raw)-1],
		"left over": append(slices.Clone(good.Raw), 0),
		"count":     append(slices.Clone(good.Raw[:80]), 0xfd, 3, 0),
	} {
		_, err := DecodeBlock(raw)
		if err == nil {
			t.Fatalf("%s: decoded", name)
		}
		expect(t, err, "block-decode-failed", ErrMutated)
	}
}

// R1 as the design words it: a witness program of version 1 to 16 of 2 to 40
// bytes, or OP_RETURN and pushes.
func TestAllowedOutputs(t *testing.T) {
	program := func(op byte, size int) []byte { return append([]byte{op, byte(size)}, make([]byte, size)...) }
	for _, test := range []struct {
		name              string
		script            []byte
		allowed, spending bool
	}{
		{"taproot", chaintest.KeyScript(), true, true},
		{"version 1, 2 bytes", program(0x51, 2), true, true},
		{"version 1, 40 bytes", program(0x51, 40), true, true},
		{"version 16", program(0x60, 32), true, true},
		{"pay to anchor", []byte{0x51, 2, 0x4e, 0x73}, true, true},
		{"version 1, 1 byte", program(0x51, 1), false, false},
		{"version 1, 41 bytes", program(0x51, 41), false, false},
		{"version 1 with something behind", append(program(0x51, 32), 0x51), false, false},
		{"version 1 with another push", append([]byte{0x51, 0x4c, 32}, make([]byte, 32)...), false, false},
		{"version 0, 20 bytes", program(0x00, 20), false, false},
		{"version 0, 32 bytes", program(0x00, 32), false, false},
		{"OP_1NEGATE", program(0x4f, 32), false, false},
		{"OP_RESERVED", program(0x50, 32), false, false},
		{"OP_NOP", program(0x61, 32), false, false},
		{"empty", nil, false, false},
		{"OP_TRUE", []byte{0x51}, false, false},
		{"P2PKH", append(append([]byte{0x76, 0xa9, 20}, make([]byte, 20)...), 0x88, 0xac), false, false},
		{"P2SH", append(append([]byte{0xa9, 20}, make([]byte, 20)...), 0x87), false, false},
		{"P2PK", append(program(33, 32), 0xac), false, false},
		{"OP_RETURN", []byte{0x6a}, true, false},
		{"OP_RETURN, push", []byte{0x6a, 2, 1, 2}, true, false},
		{"OP_RETURN, two pushes", []byte{0x6a, 1, 1, 1, 2}, true, false},
		{"OP_RETURN, OP_0, OP_1NEGATE, OP_RESERVED, OP_16", []byte{0x6a, 0x00, 0x4f, 0x50, 0x60}, true, false},
		{"OP_RETURN, pushes with lengths", []byte{0x6a, 0x4c, 1, 9, 0x4d, 1, 0, 9, 0x4e, 1, 0, 0, 0, 9}, true, false},
		{"OP_RETURN, 75 bytes", append([]byte{0x6a, 75}, make([]byte, 75)...), true, false},
		{"OP_RETURN, very long", data(100_000), true, false},
		{"OP_RETURN, OP_NOP", []byte{0x6a, 0x61}, false, false},
		{"OP_RETURN, push, OP_RETURN", []byte{0x6a, 1, 1, 0x6a}, false, false},
		{"OP_RETURN, OP_CHECKSIG", []byte{0x6a, 0xac}, false, false},
		{"OP_RETURN, half a push", []byte{0x6a, 2, 1}, false, false},
		{"OP_RETURN, half a PUSHDATA1", []byte{0x6a, 0x4c, 2, 1}, false, false},
		{"OP_RETURN, PUSHDATA1 alone", []byte{0x6a, 0x4c}, false, false},
		{"OP_RETURN, half a length", []byte{0x6a, 0x4d, 1}, false, false},
		{"OP_RETURN, half a PUSHDATA4", []byte{0x6a, 0x4e, 0xff, 0xff, 0xff, 0xff, 1}, false, false},
	} {
		if got := IsAllowedOutput(test.script); got != test.allowed {
			t.Errorf("%s: allowed %v", test.name, got)
		}
		if got := IsSpendable(test.script); got != test.spending {
			t.Errorf("%s: can be spent %v", test.name, got)
		}
	}
}

// A transaction of a million bytes without witnesses is the largest. In a block
// it cannot be reached, as the block would be too long.
func TestOversizedTransaction(t *testing.T) {
	params := regtest(t)
	tx := pay(0, types.OutPoint{TxID: types.Hash{1}})
	tx.Outputs[0].ScriptPubKey = data(900_000)
	tx.Outputs[0].ScriptPubKey = data(900_000 + 1_000_000 - tx.StrippedSize())
	if err := CheckTransaction(params, &tx); err != nil || tx.StrippedSize() != 1_000_000 {
		t.Errorf("%d bytes: %v", tx.StrippedSize(), err)
	}
	tx.Inputs[0].Witness = [][]byte{make([]byte, 3_000_000)} // does not count
	if err := CheckTransaction(params, &tx); err != nil {
		t.Error(err)
	}
	tx.Outputs[0].ScriptPubKey = append(tx.Outputs[0].ScriptPubKey, 0)
	expect(t, CheckTransaction(params, &tx), "bad-txns-oversize", ErrInvalid)
	// With outputs of two scripts each fault is still its own.
	expect(t, CheckTransaction(params, &types.Tx{Outputs: tx.Outputs}), "bad-txns-vin-empty", ErrInvalid)
	expect(t, CheckTransaction(params, &types.Tx{Inputs: tx.Inputs}), "bad-txns-vout-empty", ErrInvalid)
}

// Repeated inputs are found among few, where all pairs are compared, and many.
func TestRepeatedInputs(t *testing.T) {
	params := regtest(t)
	for _, n := range []int{2, 3, fewInputs, fewInputs + 1, 1000} {
		tx := pay(1)
		for i := range n {
			tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: types.Hash{9}, Index: uint32(i)}})
		}
		if err := CheckTransaction(params, &tx); err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]int{{0, 1}, {0, n - 1}, {n - 2, n - 1}} {
			spoiled := tx
			spoiled.Inputs = slices.Clone(tx.Inputs)
			spoiled.Inputs[pair[1]] = spoiled.Inputs[pair[0]]
			expect(t, CheckTransaction(params, &spoiled), "bad-txns-inputs-duplicate", ErrInvalid)
		}
	}
}

// Counted as Bitcoin Core does without looking at the number before a multisig,
// up to where a script cannot be decoded.
func TestLegacySigOps(t *testing.T) {
	for script, want := range map[string]int{
		"": 0, "\xac": 1, "\xad": 1, "\xae": 20, "\xaf": 20, "\x51\xae": 20, "\xac\xac\xae": 22,
		"\x01\xac": 0, "\x02\xac\xac\xac": 1, "\xac\x02\xac": 1, "\x4c\x01\xac\xac": 1, "\xac\x4d\xff": 1, "\xba\xac": 1,
	} {
		if got := scriptSigOps([]byte(script)); got != want {
			t.Errorf("%x has %d signature operations, want %d", script, got, want)
		}
	}
}

// The state keeps eleven times, whatever way it is made.
func TestStateExtend(t *testing.T) {
	r := testRand(1)
	params := regtest(t)
	state := params.GenesisState()
	timestamps := []uint32{state.Header.Timestamp}
	work := BlockWork(0x207fffff)
	if state.Index.Hash != params.GenesisBlock().Hash || state.Work != work || work != (Uint256{2}) {
		t.Fatalf("the genesis state is %+v", state)
	}
	for height := uint32(1); height <= 40; height++ {
		header := types.Header{Timestamp: r.Uint32(), Bits: []uint32{0x207fffff, 0x1d00ffff, 0x1b0404cb}[r.IntN(3)]}
		hash := types.Hash{byte(height)}
		before := state
		state = state.Extend(&header, hash)
		timestamps = append(timestamps, header.Timestamp)
		work = work.Add(BlockWork(header.Bits))
		want := NewState(types.Index{Height: height, Hash: hash}, header, work, timestamps)
		if state != want {
			t.Fatalf("height %d: extended %+v, made %+v", height, state, want)
		}
		last := slices.Clone(timestamps[max(0, len(timestamps)-11):])
		slices.Sort(last)
		if got := state.MedianTimePast(); got != last[len(last)/2] {
			t.Fatalf("height %d: the median of %d is %d", height, last, got)
		}
		// A value: a second child of the same parent changes nothing.
		other := before.Extend(&types.Header{Timestamp: 1}, types.Hash{})
		if state != want || other == state {
			t.Fatalf("height %d: states share memory", height)
		}
	}
}

func TestHeaderTargets(t *testing.T) {
	params := &Params{PowLimit: hexUint256(t, mainnetLimit)}
	target, _, _ := ExpandBits(0x1d00ffff)
	var atTarget types.Hash
	for i, b := range vectors.Hex(t, target.String()) {
		atTarget[31-i] = b
	}
	above := atTarget
	above[0]++
	for _, test := range []struct {
		name string
		bits uint32
		hash types.Hash
		ok   bool
	}{
		{"at the target", 0x1d00ffff, atTarget, true},
		{"above the target", 0x1d00ffff, above, false},
		{"zero", 0x1d00ffff, types.Hash{}, true},
		{"easier than the limit", 0x1d010000, types.Hash{}, false},
		{"no target", 0, types.Hash{}, false},
		{"a target that is shifted away", 0x01000001, types.Hash{}, false},
		{"negative", 0x1c80ffff, types.Hash{}, false},
		{"overflow", 0xff123456, types.Hash{}, false},
		{"the least target", 0x01010000, types.Hash{}, true},
		{"not the shortest form", 0x1d00007f, types.Hash{}, true}, // as in Bitcoin
	} {
		err := CheckHeader(params, &types.Header{Bits: test.bits}, test.hash)
		if test.ok && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !test.ok {
			expect(t, err, "high-hash", ErrInvalid)
		}
	}
}

// On a network with ASERT the schedule begins with the genesis block.
func TestNextBits(t *testing.T) {
	params := mainNetwork()
	at := func(height, seconds uint32) uint32 {
		return NextBits(params, &State{
			Index: types.Index{Height: height}, Header: types.Header{Timestamp: params.Genesis.Timestamp + seconds},
		})
	}
	half := CompactBits(anchorOf(params.Genesis.Bits).shift(-1))
	if got := at(0, 0); got != params.Genesis.Bits {
		t.Errorf("block 1 has bits %08x, the genesis block %08x", got, params.Genesis.Bits)
	}
	if got := at(1000, 60_000); got != params.Genesis.Bits {
		t.Errorf("on schedule the bits are %08x", got)
	}
	// A half-life (12 hours, 720 blocks) ahead of schedule: half the target.
	if got := at(720, 0); got != half {
		t.Errorf("a half-life ahead the bits are %08x, want %08x", got, half)
	}
	if got := at(1440, 43_200); got != half {
		t.Errorf("later, a half-life ahead, the bits are %08x, want %08x", got, half)
	}
	if got := at(0, 43_200); got != CompactBits(params.PowLimit) {
		t.Errorf("behind schedule the bits are %08x, easier than the limit", got)
	}
	if got := at(0xffffffff, 0); got != 0x01010000 {
		t.Errorf("the hardest bits are %08x", got)
	}
	if got := at(0, 0xffffffff-params.Genesis.Timestamp); got != CompactBits(params.PowLimit) {
		t.Errorf("the easiest bits are %08x", got)
	}
	fixed := regtest(t)
	if got := NextBits(fixed, &State{Index: types.Index{Height: 5}, Header: types.Header{Timestamp: 1}}); got != 0x207fffff {
		t.Errorf("fixed bits are %08x", got)
	}
	// ValidateHeader asks for them.
	state := params.GenesisState()
	header := types.Header{Version: 4, Bits: params.Genesis.Bits, Timestamp: params.Genesis.Timestamp + 1}
	if err := ValidateHeader(params, &state, &header, testNow); err != nil {
		t.Error(err)
	}
	header.Bits--
	expect(t, ValidateHeader(params, &state, &header, testNow), "bad-diffbits", ErrInvalid)
}

func TestUint256(t *testing.T) {
	r := testRand(2)
	modulus := new(big.Int).Lsh(big.NewInt(1), 256)
	random := func() Uint256 {
		u := Uint256{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
		for i := range u { // often limbs that carry
			switch r.IntN(4) {
			case 0:
				u[i] = 0
			case 1:
				u[i] = 1<<64 - 1
			}
		}
		return u
	}
	for range 2000 {
		u, v := random(), random()
		a, b := u.Big(), v.Big()
		if got := u.Add(v).Big(); got.Cmp(new(big.Int).Mod(new(big.Int).Add(a, b), modulus)) != 0 {
			t.Fatalf("%s + %s = %x", u, v, got)
		}
		if got := u.Sub(v).Big(); got.Cmp(new(big.Int).Mod(new(big.Int).Sub(a, b), modulus)) != 0 {
			t.Fatalf("%s - %s = %x", u, v, got)
		}
		if u.Cmp(v) != a.Cmp(b) || u.IsZero() != (a.Sign() == 0) || u.bitLen() != a.BitLen() {
			t.Fatalf("%s and %s compare wrongly", u, v)
		}
		n := r.IntN(300)
		if u.shift(n).Big().Cmp(new(big.Int).Mod(new(big.Int).Lsh(a, uint(n)), modulus)) != 0 ||
			u.shift(-n).Big().Cmp(new(big.Int).Rsh(a, uint(n))) != 0 {
			t.Fatalf("%s is shifted by %d wrongly", u, n)
		}
		if fmt.Sprintf("%064x", a) != u.String() || hexUint256(t, u.String()) != u || Uint256FromBig(a) != u {
			t.Fatalf("%s is not %x", u, a)
		}
		if text, err := u.MarshalText(); err != nil || string(text) != u.String() {
			t.Fatalf("%s is marshalled as %s, %v", u, text, err)
		}
		var hash types.Hash
		copy(hash[:], a.FillBytes(make([]byte, 32)))
		slices.Reverse(hash[:])
		if Uint256FromHash(hash) != u {
			t.Fatalf("the hash %s is not %s", hash, u)
		}
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("0", 63) + "g"} {
		if _, err := ParseUint256(bad); err == nil {
			t.Errorf("%q is a number", bad)
		}
	}
}

func TestErrors(t *testing.T) {
	if Local(nil) != nil {
		t.Error("Local(nil) is an error")
	}
	disk := errors.New("the disk is full")
	local := Local(disk)
	if !errors.Is(local, ErrLocal) || !errors.Is(local, disk) || errors.Is(local, ErrInvalid) || Local(local) != local {
		t.Errorf("Local gives %v", local)
	}
	if !errors.Is(ErrMutated, ErrInvalid) || errors.Is(ErrInvalid, ErrMutated) || errors.Is(ErrNotYet, ErrInvalid) {
		t.Error("the kinds are mixed up")
	}
	bare := &RuleError{Kind: ErrNotYet, Reason: ReasonParentUnknown}
	if bare.Error() != "prev-blk-not-found" || !errors.Is(bare, ReasonParentUnknown) || errors.Is(bare, ReasonBits) {
		t.Errorf("got %v", bare)
	}
	if err := inTransaction(disk, types.Hash{}); err != disk {
		t.Errorf("an error that is no rule's becomes %v", err)
	}
	named := inTransaction(bare, types.Hash{}).Error()
	if want := "prev-blk-not-found: transaction " + strings.Repeat("0", 64); named != want {
		t.Errorf("got %q", named)
	}
}

// What is our own fault is never the block's.
func TestLocalFaults(t *testing.T) {
	c := newChainTest(t)
	b := HashBlock(c.template(c.spend(c.allocation(0))))
	if _, err := RevertUpdate(b, c.state.Index, 1, nil); !errors.Is(err, ErrLocal) || errors.Is(err, ErrInvalid) {
		t.Errorf("undo data of another block: %v", err)
	}
	err := CheckScripts(b, []types.TxOut{{Value: 1, ScriptPubKey: []byte{0x51}}}, 1, 2, nil, nil)
	if !errors.Is(err, ErrLocal) || errors.Is(err, ErrInvalid) {
		t.Errorf("a prevout that no rule lets in: %v", err)
	}
}

// Any split of a block's transactions gives the same verdicts.
func TestCheckScriptsInParts(t *testing.T) {
	c := newChainTest(t)
	txs := []types.Tx{
		c.spend(c.allocation(0), c.allocation(10)), c.spend(c.allocation(11)), c.spend(c.allocation(12), c.allocation(1), c.allocation(13)),
		c.spend(c.allocation(14)),
	}
	txs[2].Inputs[2].Witness[0][10] ^= 1
	b := HashBlock(c.template(txs...))
	_, connection := c.check(b, stageConnect)
	if connection == nil || len(connection.Prevouts) != 7 {
		t.Fatal("the block does not connect")
	}
	for first := 0; first <= 5; first++ {
		for end := max(first, 1); end <= 5; end++ {
			err := CheckScripts(b, connection.Prevouts, first, end, nil, nil)
			if bad := first <= 3 && end > 3; bad != (err != nil) {
				t.Errorf("transactions %d to %d: %v", first, end, err)
			} else if bad {
				expect(t, err, "block-script-verify-flag-failed", ErrInvalid)
				if want := "Invalid Schnorr signature (input 2 of transaction " + b.TxIDs[3].String() + ")"; !strings.HasSuffix(err.Error(), want) {
					t.Errorf("got %q, want %q", err, want)
				}
			}
		}
	}
}

// The verdict on several faults is that on the first one, whatever they are and however
// signatures are put off.
func TestJudgeScripts(t *testing.T) {
	c := newChainTest(t)
	var txs []types.Tx
	for i := range uint32(5) {
		txs = append(txs, c.spend(c.allocation(10+2*i), c.allocation(11+2*i)))
	}
	for faults := range 1 << 8 {
		spoilt := make([]types.Tx, len(txs))
		for i := range txs {
			tx, err := types.DecodeTx(txs[i].AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			spoilt[i] = *tx
		}
		for bit := range 8 {
			in := &spoilt[bit%5].Inputs[bit/5]
			switch {
			case faults>>bit&1 == 0:
			case bit%2 == 0:
				in.Witness[0][20] ^= 1 // a claim
			default:
				in.Witness[0] = in.Witness[0][:63] // seen at once
			}
		}
		b := HashBlock(c.template(spoilt...))
		_, connection := c.check(b, stageConnect)
		if connection == nil {
			t.Fatal("the block does not connect")
		}
		want := CheckScripts(b, connection.Prevouts, 1, len(b.Block.Txs), nil, nil)
		if got := JudgeScripts(b, connection.Prevouts); fmt.Sprint(got) != fmt.Sprint(want) || (got == nil) != (faults == 0) {
			t.Errorf("%08b: %v, want %v", faults, got, want)
		}
	}
}

// randomBlock makes a block of transactions that spend each other's outputs, or
// others, at random: sources, orders and double spends that no valid block has.
func randomBlock(r *rand.Rand) *types.Block {
	block := &types.Block{Txs: []types.Tx{{Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: 0xffffffff}}}}}}
	outside := func() types.OutPoint {
		return types.OutPoint{TxID: types.Hash{byte(r.IntN(4)), 8: byte(r.IntN(3))}, Index: uint32(r.IntN(3))}
	}
	for range r.IntN(12) {
		tx := types.Tx{LockTime: r.Uint32N(3)}
		for range 1 + r.IntN(3) {
			outPoint := outside()
			if r.IntN(2) == 0 {
				from := &block.Txs[r.IntN(len(block.Txs))]
				outPoint = types.OutPoint{TxID: from.TxID(), Index: uint32(r.IntN(3))}
			}
			in := types.TxIn{PreviousOutPoint: outPoint}
			if r.IntN(2) == 0 {
				in.Witness = [][]byte{make([]byte, r.IntN(300)), {}}
			}
			tx.Inputs = append(tx.Inputs, in)
		}
		for range r.IntN(3) {
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: 1, ScriptPubKey: choose(r.IntN(3) == 0, []byte{0x6a}, chaintest.Anyone(r.IntN(2)))})
		}
		block.Txs = append(block.Txs, tx)
	}
	r.Shuffle(len(block.Txs)-1, func(i, j int) { block.Txs[i+1], block.Txs[j+1] = block.Txs[j+1], block.Txs[i+1] })
	return block
}

// HashedBlock against a naive twin, on blocks of every shape.
func TestHashedBlockAgainstTwin(t *testing.T) {
	r := testRand(3)
	doubles, internals := 0, 0
	for range 3000 {
		block := randomBlock(r)
		b := HashBlock(block)
		// An input before its source looks outside, where it finds nothing; that is
		// a fault of its own and no double spend with one behind the source.
		type spend struct {
			outPoint types.OutPoint
			internal bool
		}
		made, spent := map[types.Hash]int{}, map[spend]bool{}
		inside := map[types.OutPoint]bool{}
		double, input := -1, 0
		var external []types.OutPoint
		for i := range block.Txs {
			tx := &block.Txs[i]
			if b.TxIDs[i] != tx.TxID() || i > 0 && b.WTxIDs[i] != tx.WTxID() || i == 0 && !b.WTxIDs[i].IsZero() {
				t.Fatalf("ids of transaction %d are wrong", i)
			}
			for j := range tx.Inputs {
				if i == 0 {
					break
				}
				outPoint := tx.Inputs[j].PreviousOutPoint
				source, internal := made[outPoint.TxID]
				if !internal {
					source = -1
					external = append(external, outPoint)
				} else {
					inside[outPoint] = true
					internals++
				}
				if int(b.source[input]) != source {
					t.Fatalf("input %d comes from %d, want %d", input, b.source[input], source)
				}
				there := !internal || int(outPoint.Index) < len(block.Txs[source].Outputs)
				if spent[spend{outPoint, internal}] && there && double < 0 {
					double = input
					doubles++
				}
				spent[spend{outPoint, internal}] = true
				input++
			}
			if _, repeated := made[b.TxIDs[i]]; !repeated {
				made[b.TxIDs[i]] = i
			}
		}
		if !slices.Equal(b.External, external) || b.doubleSpend != double || len(b.source) != input {
			t.Fatalf("external %v, double spend %d; want %v, %d", b.External, b.doubleSpend, external, double)
		}
		if !bytes.Equal(b.Raw, block.AppendTo(nil)) || b.Weight != block.Weight() || b.Hash != block.Hash() || strippedSize(b) != block.StrippedSize() {
			t.Fatal("encoding, weight or hash are wrong")
		}
		var created []types.OutPoint
		for i := range block.Txs {
			for j := range block.Txs[i].Outputs {
				outPoint := types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)}
				if !inside[outPoint] && block.Txs[i].Outputs[j].ScriptPubKey[0] != 0x6a {
					created = append(created, outPoint)
				}
			}
		}
		if double >= 0 || len(made) != len(block.Txs) {
			continue // such a block never comes so far
		}
		entries := b.created(9)
		if !slices.EqualFunc(entries, created, func(e CoinEntry, o types.OutPoint) bool { return e.OutPoint == o && e.Coin.Height == 9 }) {
			t.Fatalf("the block makes %v, want %v", entries, created)
		}
	}
	if doubles < 100 || internals < 100 {
		t.Fatalf("only %d double spends and %d inner spends", doubles, internals)
	}
}

// The coins that ConnectBlock was given can be used for something else at once.
func TestConnectionKeepsNothingOfTheCaller(t *testing.T) {
	c := newChainTest(t)
	b := HashBlock(c.template(c.spend(c.allocation(0), c.allocation(1))))
	coins := c.fetch(b)
	connection, err := ConnectBlock(c.params, &c.state, b, coins, c)
	if err != nil {
		t.Fatal(err)
	}
	clear(coins)
	for i, out := range connection.Prevouts {
		if !bytes.Equal(out.ScriptPubKey, chaintest.Anyone(i)) || connection.Update.Spent[i].Coin.Value != testAllocation {
			t.Errorf("prevout %d is %v", i, out)
		}
	}
	if connection.Fees != coin {
		t.Errorf("fees are %s", connection.Fees)
	}
}
