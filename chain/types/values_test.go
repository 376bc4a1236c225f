package types

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// The genesis block of Bitcoin, whose hash everybody knows.
const (
	genesisHeader = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
	genesisHash   = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
	genesisRoot   = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
)

func TestHeader(t *testing.T) {
	h, err := DecodeHeader(vectors.Hex(t, genesisHeader))
	if err != nil {
		t.Fatal(err)
	}
	root, err := ParseHash(genesisRoot)
	if want := (Header{1, Hash{}, root, 1231006505, 0x1d00ffff, 2083236893}); err != nil || h != want {
		t.Errorf("%+v, want %+v (%v)", h, want, err)
	}
	if h.Hash().String() != genesisHash || h.PrevBlock.IsZero() != true || h.Hash().IsZero() {
		t.Errorf("hash %s", h.Hash())
	}
	raw := vectors.Hex(t, genesisHeader)
	for _, b := range [][]byte{nil, raw[:79], append(raw, 0)} {
		if _, err := DecodeHeader(b); !errors.Is(err, ErrEncoding) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	h.Version = -1
	if back, err := DecodeHeader(h.AppendTo(nil)); err != nil || back != h {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestBlock(t *testing.T) {
	tx := hexVersion + "01" + hexInput + "01" + hexOutput + hexLock
	withWitness := hexVersion + "0001" + "01" + hexInput + "01" + hexOutput + "01" + "01aa" + hexLock
	encoded := genesisHeader + "02" + tx + withWitness
	block, err := DecodeBlock(vectors.Hex(t, encoded))
	if err != nil {
		t.Fatal(err)
	}
	if block.Hash().String() != genesisHash || len(block.Txs) != 2 || block.Txs[0].HasWitness() || !block.Txs[1].HasWitness() {
		t.Errorf("%+v", block)
	}
	stripped := 81 + len(tx)
	if block.Size() != len(encoded)/2 || block.StrippedSize() != stripped || block.Weight() != 4*stripped+5 {
		t.Errorf("size %d, stripped %d, weight %d", block.Size(), block.StrippedSize(), block.Weight())
	}
	if !bytes.Equal(block.AppendTo(nil), vectors.Hex(t, encoded)) {
		t.Error("does not round trip")
	}

	if empty, err := DecodeBlock(vectors.Hex(t, genesisHeader+"00")); err != nil || len(empty.Txs) != 0 || empty.Size() != 81 {
		t.Errorf("block without transactions: %+v, %v", empty, err)
	}
	for name, encoded := range map[string]string{
		"no count":            genesisHeader,
		"count not canonical": genesisHeader + "fd0100" + tx,
		"one too few":         genesisHeader + "03" + tx + tx,
		"trailing":            encoded + "00",
		"bad in the middle":   genesisHeader + "02" + hexVersion + "0002" + strings.Repeat("00", 40) + tx,
		"huge count":          genesisHeader + "feffffffff" + tx,
	} {
		if block, err := DecodeBlock(vectors.Hex(t, encoded)); block != nil || !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashText(t *testing.T) {
	h, err := ParseHash(genesisHash)
	if err != nil || h[31] != 0 || h[0] != 0x6f || h.String() != genesisHash {
		t.Errorf("%x, %v", h[:], err)
	}
	if upper, err := ParseHash(strings.ToUpper(genesisHash)); err != nil || upper != h {
		t.Errorf("upper case: %s, %v", upper, err)
	}
	for _, s := range []string{"", genesisHash[1:], genesisHash + "0", genesisHash + "00", "0x" + genesisHash[2:], genesisHash[:63] + "g", strings.Repeat(" ", 64), strings.Repeat("ü", 32)} {
		if h, err := ParseHash(s); err == nil || h != (Hash{}) {
			t.Errorf("%q: %s, %v", s, h, err)
		}
	}
	if got := (Index{Height: 3, Hash: h}).String(); got != "3:"+genesisHash {
		t.Error(got)
	}
	if got := DoubleSHA256(vectors.Hex(t, genesisHeader)); got != h {
		t.Errorf("double SHA-256 %s", got)
	}
}

func TestHashJSON(t *testing.T) {
	type object struct {
		Hash Hash
		Map  map[Hash]int
	}
	h, _ := ParseHash(genesisHash)
	want := object{h, map[Hash]int{h: 1}}
	encoded, err := json.Marshal(want)
	if err != nil || string(encoded) != `{"Hash":"`+genesisHash+`","Map":{"`+genesisHash+`":1}}` {
		t.Errorf("%s, %v", encoded, err)
	}
	var got object
	if err := json.Unmarshal(encoded, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"Hash":"12"}`), &got); err == nil || got.Hash != h {
		t.Errorf("bad text: %v, hash %s", err, got.Hash)
	}
}

func TestAmountText(t *testing.T) {
	for _, tc := range []struct {
		amount Amount
		text   string
	}{
		{0, "0.00000000"}, {1, "0.00000001"}, {12345, "0.00012345"}, {GrainsPerCoin, "1.00000000"},
		{123456789012, "1234.56789012"}, {math.MaxInt64, "92233720368.54775807"},
	} {
		if got := tc.amount.String(); got != tc.text {
			t.Errorf("%d: %s, want %s", int64(tc.amount), got, tc.text)
		}
		if got, err := ParseAmount(tc.text); err != nil || got != tc.amount {
			t.Errorf("%s: %d, %v", tc.text, got, err)
		}
	}
	for amount, want := range map[Amount]string{
		-1: "-0.00000001", -GrainsPerCoin: "-1.00000000", math.MinInt64: "-92233720368.54775808",
	} {
		if got := amount.String(); got != want {
			t.Errorf("%d: %s, want %s", int64(amount), got, want)
		}
	}
	for text, want := range map[string]Amount{
		"10": 10 * GrainsPerCoin, "0.5": GrainsPerCoin / 2, "007": 7 * GrainsPerCoin, "0.10": GrainsPerCoin / 10, "0": 0,
	} {
		if got, err := ParseAmount(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", ".", "1.", ".5", "-1", "+1", "1e3", "1_0", "1,5", " 1", "1 ", "0x1", "1.2.3", "1.000000001", "٣",
		"92233720368.54775808", "92233720369", "99999999999999999999", "NaN", "1.+5", "1.-5",
	} {
		if got, err := ParseAmount(text); !errors.Is(err, ErrAmount) || got != 0 {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestMerkleRoot(t *testing.T) {
	if root, mutated := MerkleRoot(nil); root != (Hash{}) || mutated {
		t.Errorf("no leaves: %s, %t", root, mutated)
	}
	a, b, c, d := Hash{1}, Hash{2}, Hash{3}, Hash{4}
	if root, mutated := MerkleRoot([]Hash{a}); root != a || mutated {
		t.Errorf("one leaf: %s, %t", root, mutated)
	}
	pair := func(x, y Hash) Hash { return DoubleSHA256(append(x[:], y[:]...)) }
	for _, tc := range []struct {
		name    string
		leaves  []Hash
		root    Hash
		mutated bool
	}{
		{"two", []Hash{a, b}, pair(a, b), false},
		{"two equal", []Hash{a, a}, pair(a, a), true},
		{"three", []Hash{a, b, c}, pair(pair(a, b), pair(c, c)), false},
		{"three, the last repeated", []Hash{a, b, c, c}, pair(pair(a, b), pair(c, c)), true},
		{"four", []Hash{a, b, c, d}, pair(pair(a, b), pair(c, d)), false},
		{"equal but no siblings", []Hash{a, b, b, c}, pair(pair(a, b), pair(b, c)), false},
		{"equal pairs", []Hash{a, b, a, b}, pair(pair(a, b), pair(a, b)), true},
		{"five", []Hash{a, b, c, d, a}, pair(pair(pair(a, b), pair(c, d)), pair(pair(a, a), pair(a, a))), false},
	} {
		leaves := append(make([]Hash, 0, len(tc.leaves)+1), tc.leaves...)
		sentinel := leaves[:cap(leaves)]
		sentinel[len(leaves)] = Hash{99}
		root, mutated := MerkleRoot(leaves)
		if root != tc.root || mutated != tc.mutated {
			t.Errorf("%s: %s, mutated %t", tc.name, root, mutated)
		}
		if !reflect.DeepEqual(leaves, tc.leaves) || sentinel[len(leaves)] != (Hash{99}) {
			t.Errorf("%s: the caller's slice was written to", tc.name)
		}
	}
}

func TestCoin(t *testing.T) {
	for n := range MaxCoinScriptSize + 3 {
		out := TxOut{Value: Amount(n), ScriptPubKey: bytes.Repeat([]byte{byte(n)}, n)}
		coin, ok := NewCoin(&out, 77, n%2 == 0)
		if ok != (n <= MaxCoinScriptSize) {
			t.Errorf("script of %d bytes: %t", n, ok)
		}
		if !ok {
			if coin != (Coin{}) {
				t.Errorf("script of %d bytes: a coin was made", n)
			}
			continue
		}
		got := coin.Output()
		if got.Value != out.Value || !bytes.Equal(got.ScriptPubKey, out.ScriptPubKey) || cap(got.ScriptPubKey) != n ||
			coin.Height != 77 || coin.IsCoinbase != (n%2 == 0) {
			t.Errorf("script of %d bytes: %+v", n, coin)
		}
		if n > 0 {
			out.ScriptPubKey[0] ^= 1
			if coin.ScriptPubKey()[0] == out.ScriptPubKey[0] {
				t.Error("the coin shares the output's script")
			}
		}
	}
}

func TestWitnessProgram(t *testing.T) {
	push := func(op byte, n int) []byte { return append([]byte{op, byte(n)}, make([]byte, n)...) }
	for _, tc := range []struct {
		name    string
		script  []byte
		version int
		length  int // of the program; 0 if it is none
	}{
		{"taproot", push(0x51, 32), 1, 32},
		{"version 0", push(0x00, 20), 0, 20},
		{"anchor", []byte{0x51, 0x02, 0x4e, 0x73}, 1, 2},
		{"version 16, longest", push(0x60, 40), 16, 40},
		{"too short", push(0x51, 1), 0, 0},
		{"too long", push(0x51, 41), 0, 0},
		{"OP_NOP", push(0x61, 32), 0, 0},
		{"OP_RESERVED", push(0x50, 32), 0, 0},
		{"OP_1NEGATE", push(0x4f, 32), 0, 0},
		{"OP_RETURN", push(0x6a, 32), 0, 0},
		{"more behind", append(push(0x51, 32), 0), 0, 0},
		{"push too long", push(0x51, 32)[:33], 0, 0},
		{"pushdata", append([]byte{0x51, 0x4c, 32}, make([]byte, 32)...), 0, 0},
		{"nothing", nil, 0, 0},
		{"version alone", []byte{0x51}, 0, 0},
	} {
		version, program, ok := WitnessProgram(tc.script)
		if ok != (tc.length > 0) || version != tc.version || len(program) != tc.length {
			t.Errorf("%s: version %d, program %x, %t", tc.name, version, program, ok)
		}
	}
}

// TestPlaces: the bytes at each place are the transaction, however many there are.
func TestPlaces(t *testing.T) {
	for _, n := range []int{1, 2, 252, 253, 300} {
		b := &Block{}
		for i := range n {
			tx := Tx{Version: uint32(i), Inputs: make([]TxIn, 1), Outputs: make([]TxOut, i%3+1)}
			if i%2 == 0 {
				tx.Inputs[0].Witness = [][]byte{make([]byte, i)}
			}
			b.Txs = append(b.Txs, tx)
		}
		raw, hash := b.AppendTo(nil), b.Hash()
		places := b.Places(hash)
		if len(places) != n {
			t.Fatalf("%d places of %d transactions", len(places), n)
		}
		for i, p := range places {
			got := raw[p.Offset : p.Offset+p.Size]
			if p.Block != hash || p.N != uint32(i) || !bytes.Equal(got, b.Txs[i].AppendTo(nil)) {
				t.Fatalf("transaction %d of %d: %+v", i, n, p)
			}
		}
	}
}
