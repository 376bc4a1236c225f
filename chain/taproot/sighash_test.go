package taproot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// twinHash is BIP341's signature message written down as the BIP lists it,
// without caches, and hashed by TaggedHash.
func twinHash(tx *types.Tx, prevouts []types.TxOut, index int, hashType byte, annex []byte, path *ScriptPath) [32]byte {
	var m []byte
	u32 := func(b []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(b, n) }
	outPoint := func(b []byte, o types.OutPoint) []byte { return u32(append(b, o.TxID[:]...), o.Index) }
	sha := func(b []byte) { h := sha256.Sum256(b); m = append(m, h[:]...) }
	m = append(m, 0x00, hashType)
	m = u32(m, tx.Version)
	m = u32(m, tx.LockTime)
	if hashType&0x80 != 0x80 {
		var points, amounts, scripts, sequences []byte
		for i, in := range tx.Inputs {
			points = outPoint(points, in.PreviousOutPoint)
			amounts = binary.LittleEndian.AppendUint64(amounts, uint64(prevouts[i].Value))
			scripts = types.AppendVarBytes(scripts, prevouts[i].ScriptPubKey)
			sequences = u32(sequences, in.Sequence)
		}
		sha(points)
		sha(amounts)
		sha(scripts)
		sha(sequences)
	}
	if hashType&3 != 2 && hashType&3 != 3 {
		var outputs []byte
		for i := range tx.Outputs {
			outputs = tx.Outputs[i].AppendTo(outputs)
		}
		sha(outputs)
	}
	spendType := byte(0)
	if path != nil {
		spendType = 1 * 2
	}
	if annex != nil {
		spendType++
	}
	m = append(m, spendType)
	if hashType&0x80 == 0x80 {
		m = outPoint(m, tx.Inputs[index].PreviousOutPoint)
		m = binary.LittleEndian.AppendUint64(m, uint64(prevouts[index].Value))
		m = types.AppendVarBytes(m, prevouts[index].ScriptPubKey)
		m = u32(m, tx.Inputs[index].Sequence)
	} else {
		m = u32(m, uint32(index))
	}
	if annex != nil {
		sha(types.AppendVarBytes(nil, annex))
	}
	if hashType&3 == 3 {
		sha(tx.Outputs[index].AppendTo(nil))
	}
	if path != nil {
		m = append(m, path.LeafHash[:]...)
		m = append(m, 0x00)
		m = u32(m, path.CodeSeparator)
	}
	return TaggedHash("TapSighash", m)
}

// TestSignatureHashTwin compares the messages of random transactions, through
// one context, with the twin's.
func TestSignatureHashTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	c := new(Context)
	hashes := 0
	for range 300 {
		tx := &types.Tx{Version: r.Uint32(), LockTime: r.Uint32()}
		var prevouts []types.TxOut
		for range 1 + r.IntN(4) {
			tx.Inputs = append(tx.Inputs, types.TxIn{Sequence: r.Uint32(),
				PreviousOutPoint: types.OutPoint{TxID: types.Hash(data(32)), Index: r.Uint32()}})
			prevouts = append(prevouts, types.TxOut{Value: types.Amount(r.Int64()), ScriptPubKey: data(r.IntN(300))})
		}
		for range r.IntN(5) {
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(r.Int64()), ScriptPubKey: data(r.IntN(300))})
		}
		c.Reset(tx, prevouts)
		for range 12 {
			index, hashType := r.IntN(len(tx.Inputs)), byte(r.IntN(8))|byte(r.IntN(2))<<7
			var annex []byte
			var path *ScriptPath
			if r.IntN(2) == 0 {
				annex = append([]byte{AnnexTag}, data(r.IntN(300))...)
			}
			if r.IntN(2) == 0 {
				path = &ScriptPath{LeafHash: [32]byte(data(32)), CodeSeparator: r.Uint32()}
			}
			got, err := c.SignatureHash(index, hashType, annex, path)
			defined := bytes.IndexByte([]byte{0, 1, 2, 3, 0x81, 0x82, 0x83}, hashType) >= 0
			if defined = defined && (hashType&3 != 3 || index < len(tx.Outputs)); !defined {
				if verdictOf(t, err) != "SCHNORR_SIG_HASHTYPE" {
					t.Errorf("hash type %02x of input %d with %d outputs: %v", hashType, index, len(tx.Outputs), err)
				}
				continue
			}
			hashes++
			if want := twinHash(tx, prevouts, index, hashType, annex, path); err != nil || got != want {
				t.Errorf("hash type %02x, annex %v, path %v: %x, %v; want %x", hashType, annex != nil, path != nil, got, err, want)
			}
		}
	}
	if hashes < 1000 {
		t.Errorf("only %d messages compared", hashes)
	}
}
