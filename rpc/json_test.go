package rpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// randomScript returns a script of any kind, some of them long.
func randomScript(r *rand.Rand) []byte {
	bytes := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	push := func(op byte, n int) []byte { return append([]byte{op, byte(n)}, bytes(n)...) }
	switch r.IntN(8) {
	case 0:
		return push(taproot.Op1, 32)
	case 1:
		return push(byte(0x51+r.IntN(16)), 2+r.IntN(39))
	case 2:
		return push(0, 20+12*r.IntN(2))
	case 3:
		return push(taproot.OpReturn, r.IntN(75))
	case 4:
		return []byte("\x51\x02\x4e\x73")
	case 5:
		key := push(33, 33)[1:]
		key[0], key[1] = 33, byte(2+r.IntN(2))
		return append(key, taproot.OpCheckSig)
	case 6:
		n := r.IntN(3 * pieceBytes)
		return append([]byte{taproot.OpReturn, taproot.OpPushData4, byte(n), byte(n >> 8), byte(n >> 16), 0}, bytes(n)...)
	}
	return bytes(r.IntN(100))
}

// sameInPieces checks that what writes itself is the same whole, in pieces and counted.
func sameInPieces(t *testing.T, v streamer) []byte {
	t.Helper()
	whole := written(nil, v)
	count := jsonWriter{count: true, piece: func([]byte) error { return nil }, ctx: context.Background()}
	var sent bytes.Buffer
	w := jsonWriter{piece: func(piece []byte) error {
		if len(piece) > 2*pieceBytes {
			t.Errorf("a piece of %d bytes", len(piece))
		}
		sent.Write(piece)
		return nil
	}, ctx: context.Background()}
	if v.writeJSON(&count) != nil || v.writeJSON(&w) != nil || w.flush() != nil {
		t.Fatal("an error without a cause")
	}
	if count.total() != int64(len(whole)) || !bytes.Equal(sent.Bytes(), whole) || !json.Valid(whole) {
		t.Fatalf("%d bytes whole, %d in pieces, %d counted: %.500s", len(whole), sent.Len(), count.total(), whole)
	}
	return whole
}

// TestAppendHex: it is hex.AppendEncode.
func TestAppendHex(t *testing.T) {
	for n := range 300 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i + n)
		}
		if got, want := string(appendHex([]byte("x"), data)), string(hex.AppendEncode([]byte("x"), data)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// TestScriptJSON: each script is told as the parts that it consists of, whose own tests
// have Core's texts.
func TestScriptJSON(t *testing.T) {
	s := newFake().server(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		script := randomScript(r)
		var got struct{ Asm, Desc, Hex, Address, Type string }
		if err := json.Unmarshal(sameInPieces(t, s.scriptJSON(script)), &got); err != nil {
			t.Fatal(err)
		}
		address, _ := taproot.EncodeAddress(s.Params.HRP, script)
		if got.Asm != asmOf(script) || got.Address != address || got.Type != scriptType(script) {
			t.Fatalf("%x: %+v", script, got)
		}
		text, sum := got.Desc[:len(got.Desc)-9], got.Desc[len(got.Desc)-8:]
		if descriptor.Checksum(text) != sum {
			t.Errorf("%s has the checksum %s", text, sum)
		}
		want := "raw(" + got.Hex + ")"
		switch {
		case got.Type == "witness_v1_taproot" && secp.IsPublicKey((*[32]byte)(script[2:])):
			want = "rawtr(" + got.Hex[4:] + ")"
		case address != "":
			want = "addr(" + address + ")"
		case got.Type == "pubkey":
			want = "pk(" + got.Hex[2:68] + ")"
		}
		if text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
}

// TestOddPrefix: the prefix of a network's addresses may hold what JSON escapes.
func TestOddPrefix(t *testing.T) {
	script := append([]byte{taproot.Op1, 31}, make([]byte, 31)...)
	var got struct{ Address, Desc string }
	if err := json.Unmarshal(sameInPieces(t, scriptJSON{hrp: `a"b\`, script: script}), &got); err != nil {
		t.Fatal(err)
	}
	want, err := taproot.EncodeAddress(`a"b\`, script)
	if text := "addr(" + want + ")"; err != nil || got.Address != want || got.Desc != text+"#"+descriptor.Checksum(text) {
		t.Errorf("%+v, want %s", got, want)
	}
}

// TestBlockJSON: a block with long transactions is the same in pieces.
func TestBlockJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	block := &types.Block{}
	for i := range 30 {
		tx := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, ScriptSig: []byte{1, 2}, Witness: [][]byte{make([]byte, 32)}}}}
		if i > 0 {
			tx.Inputs = []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{byte(i)}}, Witness: [][]byte{make([]byte, r.IntN(pieceBytes)), nil}}}
		}
		for range 1 + r.IntN(5) {
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(r.Int64N(1 << 50)), ScriptPubKey: randomScript(r)})
		}
		block.Txs = append(block.Txs, tx)
	}
	v := newBlockView(consensus.HashBlock(block), nil)
	for i := range block.Txs {
		tx := &block.Txs[i]
		var got struct {
			TxID, Hash                types.Hash
			Hex                       string
			Size, VSize, Weight, Vout any
		}
		if err := json.Unmarshal(sameInPieces(t, v.tx(i, "krt", false)), &got); err != nil {
			t.Fatal(err)
		}
		if got.TxID != tx.TxID() || got.Hash != tx.WTxID() || got.Size != float64(tx.Size()) || got.Weight != float64(tx.Weight()) || got.VSize != float64(tx.VirtualSize()) {
			t.Errorf("transaction %d: %s %s, size %v, weight %v", i, got.TxID, got.Hash, got.Size, got.Weight)
		}
	}
}

// asmOf is a script in words, made without pieces.
func asmOf(script []byte) string {
	var text []byte
	for at := 0; at < len(script); {
		if at > 0 {
			text = append(text, ' ')
		}
		op, data, next, ok := taproot.NextOp(script, at)
		if !ok {
			return string(append(text, "[error]"...))
		}
		text = taproot.AppendWord(text, op, data)
		at = next
	}
	return string(text)
}
