package types

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// Parts of encodings, each named for what it is.
const (
	hexVersion = "02000000"
	hexPrev    = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" + "05000000"
	hexInput   = hexPrev + "00" + "fdffffff"
	hexOutput  = "e803000000000000" + "03" + "515202"
	hexLock    = "07000000"
)

func TestDecodeTx(t *testing.T) {
	prev := OutPoint{Index: 5}
	for i := range prev.TxID {
		prev.TxID[i] = byte(i)
	}
	input := TxIn{PreviousOutPoint: prev, ScriptSig: []byte{}, Sequence: 0xfffffffd}
	withWitness := input
	withWitness.Witness = [][]byte{{0xaa, 0xbb}, {}}
	output := TxOut{Value: 1000, ScriptPubKey: []byte{0x51, 0x52, 0x02}}
	for _, tc := range []struct {
		name, encoded string
		want          Tx
	}{
		{"without witness", hexVersion + "01" + hexInput + "01" + hexOutput + hexLock,
			Tx{2, []TxIn{input}, []TxOut{output}, 7}},
		{"with witness", hexVersion + "0001" + "01" + hexInput + "01" + hexOutput + "02" + "02aabb" + "00" + hexLock,
			Tx{2, []TxIn{withWitness}, []TxOut{output}, 7}},
		{"witness of the second input only", hexVersion + "0001" + "02" + hexInput + hexInput + "00" + "00" + "02" + "02aabb" + "00" + hexLock,
			Tx{2, []TxIn{input, withWitness}, nil, 7}},
		{"witness of the first input only", hexVersion + "0001" + "02" + hexInput + hexInput + "00" + "02" + "02aabb" + "00" + "00" + hexLock,
			Tx{2, []TxIn{withWitness, input}, nil, 7}},
		{"no outputs", hexVersion + "01" + hexInput + "00" + hexLock, Tx{2, []TxIn{input}, nil, 7}},
		{"neither inputs nor outputs", hexVersion + "00" + "00" + hexLock, Tx{2, nil, nil, 7}},
		{"all bits", "ffffffff" + "01" + hexInput + "01" + "ffffffffffffffff" + "00" + "ffffffff",
			Tx{0xffffffff, []TxIn{input}, []TxOut{{-1, []byte{}}}, 0xffffffff}},
	} {
		tx := decodeBack(t, tc.name, vectors.Hex(t, tc.encoded))
		if !reflect.DeepEqual(*tx, tc.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tc.name, *tx, tc.want)
		}
		if reencoded := hex.EncodeToString(tc.want.AppendTo(nil)); reencoded != tc.encoded {
			t.Errorf("%s: encodes as %s, want %s", tc.name, reencoded, tc.encoded)
		}
	}
}

func TestDecodeTxRefuses(t *testing.T) {
	const body = "01" + hexInput + "01" + hexOutput
	for _, tc := range []struct{ name, encoded, reason string }{
		{"nothing", "", "4 bytes wanted"},
		{"superfluous witness", hexVersion + "0001" + body + "00" + hexLock, "superfluous witness"},
		{"superfluous witnesses", hexVersion + "0001" + "02" + hexInput + hexInput + "00" + "0000" + hexLock, "superfluous witness"},
		{"witness form without inputs", hexVersion + "0001" + "00" + "01" + hexOutput + hexLock, "superfluous witness"},
		{"flag 2", hexVersion + "0002" + body + hexLock, "unknown transaction flag 2"},
		{"flag 3 with a witness", hexVersion + "0003" + body + "0101aa" + hexLock, "unknown transaction flag 3"},
		{"flag 255", hexVersion + "00ff" + body + hexLock, "unknown transaction flag 255"},
		{"flag 0 before inputs", hexVersion + "0000" + body + hexLock, "left over"},
		{"no flag", hexVersion + "00", "1 bytes wanted"},
		{"trailing byte", hexVersion + body + hexLock + "00", "1 bytes left over"},
		{"trailing bytes after a witness", hexVersion + "0001" + body + "0100" + hexLock + "0000", "2 bytes left over"},
		{"no lock time", hexVersion + body, "4 bytes wanted"},
		{"three bytes of lock time", hexVersion + body + "070000", "4 bytes wanted"},
		{"more inputs than there are", hexVersion + "02" + hexInput + "01" + hexOutput + hexLock, "list of 2 elements"},
		{"input count not canonical", hexVersion + "fd0100" + hexInput + "01" + hexOutput + hexLock, "canonical"},
		{"output count not canonical", hexVersion + "01" + hexInput + "fd0100" + hexOutput + hexLock, "canonical"},
		{"script length not canonical", hexVersion + "01" + hexPrev + "fd0000" + "fdffffff" + "01" + hexOutput + hexLock, "canonical"},
		{"witness count not canonical", hexVersion + "0001" + body + "fd0100" + "01aa" + hexLock, "canonical"},
		{"witness length not canonical", hexVersion + "0001" + body + "01" + "fd0100aa" + hexLock, "canonical"},
		{"more elements than there are", hexVersion + "0001" + body + "05" + "00" + hexLock + "00", "list of 7 elements"},
		{"element longer than the rest", hexVersion + "0001" + body + "01" + "09" + hexLock, "list of 9 elements"},
	} {
		tx, err := DecodeTx(vectors.Hex(t, tc.encoded))
		if tx != nil || !errors.Is(err, ErrEncoding) || !strings.Contains(err.Error(), tc.reason) {
			t.Errorf("%s: got %+v, %v; want an error of %q", tc.name, tx, err, tc.reason)
		}
	}
}

// TestDecodeTxCutOff: no beginning of an encoding is an encoding.
func TestDecodeTxCutOff(t *testing.T) {
	for _, encoded := range []string{
		hexVersion + "02" + hexInput + hexInput + "01" + hexOutput + hexLock,
		hexVersion + "0001" + "02" + hexInput + hexInput + "01" + hexOutput + "02" + "02aabb" + "00" + "01" + "00" + hexLock,
	} {
		raw := vectors.Hex(t, encoded)
		for n := range raw {
			if tx, err := DecodeTx(raw[:n]); tx != nil || !errors.Is(err, ErrEncoding) {
				t.Errorf("%x: %+v, %v", raw[:n], tx, err)
			}
		}
		decodeBack(t, "whole", raw)
	}
}

// TestDecodedIsIndependent: appending to a part of a transaction does not
// reach into its neighbour, though both are parts of one input.
func TestDecodedIsIndependent(t *testing.T) {
	raw := vectors.Hex(t, hexVersion+"0001"+"02"+hexInput+hexInput+"01"+hexOutput+"02"+"01aa"+"01bb"+"01"+"01cc"+hexLock)
	tx := decodeBack(t, "whole", raw)
	before := hex.EncodeToString(raw)
	first, second := &tx.Inputs[0], &tx.Inputs[1]
	_ = append(first.ScriptSig, 0xff)
	_ = append(tx.Outputs[0].ScriptPubKey, 0xff)
	_ = append(first.Witness[0], 0xff)
	first.Witness = append(first.Witness, []byte{0xdd})
	if hex.EncodeToString(raw) != before || hex.EncodeToString(second.Witness[0]) != "cc" || len(first.Witness) != 3 {
		t.Errorf("witnesses %x and %x, input %x", first.Witness, second.Witness, raw)
	}
}

// TestTransactionsAreIndependent: the transactions of a block share arrays, yet
// one that grows does not write over the next.
func TestTransactionsAreIndependent(t *testing.T) {
	tx := hexVersion + "0001" + "01" + hexInput + "01" + hexOutput + "01" + "01aa" + hexLock
	raw := vectors.Hex(t, genesisHeader+"02"+tx+tx)
	block, err := DecodeBlock(raw)
	if err != nil {
		t.Fatal(err)
	}
	first, second := &block.Txs[0], &block.Txs[1]
	first.Inputs = append(first.Inputs, TxIn{Sequence: 1})
	first.Outputs = append(first.Outputs, TxOut{Value: 1})
	first.Inputs[0].Witness = append(first.Inputs[0].Witness, []byte{0xbb})
	if got := hex.EncodeToString(second.AppendTo(nil)); got != tx {
		t.Errorf("the second transaction became %s", got)
	}
}

// TestSmallestElements: the bounds that lists are held to before they are read
// refuse no list of the smallest elements there can be, however long it is.
func TestSmallestElements(t *testing.T) {
	const input = hexPrev + "00" + "fdffffff"
	const output = "0000000000000000" + "00"
	empty := hexVersion + "0000" + hexLock
	for _, n := range []int{1, 7, 252, 253, 3000} {
		count := hex.EncodeToString(AppendCompactSize(nil, uint64(n)))
		tx := decodeBack(t, "inputs", vectors.Hex(t, hexVersion+count+strings.Repeat(input, n)+"00"+hexLock))
		if len(tx.Inputs) != n {
			t.Errorf("%d inputs of %d", len(tx.Inputs), n)
		}
		tx = decodeBack(t, "outputs", vectors.Hex(t, hexVersion+"01"+input+count+strings.Repeat(output, n)+hexLock))
		if len(tx.Outputs) != n {
			t.Errorf("%d outputs of %d", len(tx.Outputs), n)
		}
		tx = decodeBack(t, "elements", vectors.Hex(t, hexVersion+"0001"+"01"+input+"00"+count+strings.Repeat("00", n)+hexLock))
		if len(tx.Inputs[0].Witness) != n {
			t.Errorf("%d witness elements of %d", len(tx.Inputs[0].Witness), n)
		}
		raw := vectors.Hex(t, genesisHeader+count+strings.Repeat(empty, n))
		block, err := DecodeBlock(raw)
		if err != nil || len(block.Txs) != n || !bytes.Equal(block.AppendTo(nil), raw) {
			t.Errorf("%d empty transactions: %v", n, err)
		}
	}
}

func TestSizes(t *testing.T) {
	script := make([]byte, 34)
	tx := Tx{Inputs: make([]TxIn, 1), Outputs: []TxOut{{ScriptPubKey: script}}}
	check := func(stripped, size, weight, virtual int) {
		t.Helper()
		if tx.StrippedSize() != stripped || tx.Size() != size || tx.Weight() != weight || tx.VirtualSize() != virtual {
			t.Errorf("stripped %d, size %d, weight %d, virtual %d; want %d, %d, %d, %d", tx.StrippedSize(), tx.Size(),
				tx.Weight(), tx.VirtualSize(), stripped, size, weight, virtual)
		}
	}
	check(94, 94, 376, 94)
	tx.Inputs[0].Witness = [][]byte{make([]byte, 64)} // a key path spend
	check(94, 162, 444, 111)
	tx.Inputs[0].Witness[0] = make([]byte, 65) // with an explicit hash type: a quarter of a virtual byte
	check(94, 163, 445, 112)
	tx.Inputs[0].Witness = append(tx.Inputs[0].Witness, make([]byte, 252), make([]byte, 253))
	check(94, 163+253+256, 94*4+69+253+256, 94+145)
	tx.Inputs = append(tx.Inputs, make([]TxIn, 252)...)
	tx.Outputs = append(tx.Outputs, make([]TxOut, 252)...)
	if tx.Size() != len(tx.AppendTo(nil)) || tx.StrippedSize() != len(tx.AppendStripped(nil)) {
		t.Errorf("253 inputs and outputs: size %d of %d, stripped %d of %d", tx.Size(), len(tx.AppendTo(nil)),
			tx.StrippedSize(), len(tx.AppendStripped(nil)))
	}
}

func TestOutPointAndCoinbase(t *testing.T) {
	null := OutPoint{Index: NullIndex}
	for _, tc := range []struct {
		prev []OutPoint
		want bool
	}{
		{[]OutPoint{null}, true},
		{nil, false},
		{[]OutPoint{null, null}, false},
		{[]OutPoint{{Index: 0}}, false},
		{[]OutPoint{{Index: NullIndex - 1}}, false},
		{[]OutPoint{{TxID: Hash{31: 1}, Index: NullIndex}}, false},
	} {
		var tx Tx
		for _, p := range tc.prev {
			tx.Inputs = append(tx.Inputs, TxIn{PreviousOutPoint: p})
		}
		if tx.IsCoinbase() != tc.want {
			t.Errorf("%v: IsCoinbase is %t", tc.prev, tx.IsCoinbase())
		}
	}
	if got, want := (OutPoint{Hash{31: 0xab}, 7}).String(), "ab"+strings.Repeat("00", 31)+":7"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// decodeTxOut reads one output. All of b must be used.
func decodeTxOut(b []byte) (out TxOut, err error) {
	d := NewDecoder(b)
	d.txOut(&out)
	return out, d.Finish()
}

func TestDecodeTxOut(t *testing.T) {
	out, err := decodeTxOut(vectors.Hex(t, hexOutput))
	if err != nil || out.Value != 1000 || hex.EncodeToString(out.AppendTo([]byte{1})) != "01"+hexOutput {
		t.Errorf("%+v, %v", out, err)
	}
	for _, encoded := range []string{"", hexOutput + "00", hexOutput[:len(hexOutput)-2]} {
		if _, err := decodeTxOut(vectors.Hex(t, encoded)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}
