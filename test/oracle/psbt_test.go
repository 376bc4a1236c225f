package oracle

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	btcd "github.com/btcsuite/btcd/psbt/v2"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// TestPSBT: PSBTs of version 0 that karat writes are read by btcd with the same content,
// what btcd writes again is the same PSBT, and both make the same transaction of it.
func TestPSBT(t *testing.T) {
	runs := int(setting(t, "KARAT_ORACLE_RUNS", defaultRuns)) / 100
	random := rand.New(rand.NewPCG(setting(t, "KARAT_ORACLE_SEED", 1), 2))
	complete := 0
	for range runs {
		p := randomPSBT(t, random)
		raw := encodePSBT(t, p)
		theirs, err := btcd.NewFromRawBytes(bytes.NewReader(raw), false)
		if err != nil {
			t.Fatalf("btcd does not read %x: %v", raw, err)
		}
		var again bytes.Buffer
		if err := theirs.Serialize(&again); err != nil {
			t.Fatal(err)
		}
		back, err := psbt.Decode(again.Bytes())
		if err != nil {
			t.Fatalf("karat does not read what btcd wrote of %x: %v", raw, err)
		}
		if !bytes.Equal(encodePSBT(t, back), raw) {
			t.Fatalf("%x came back from btcd as %x", raw, again.Bytes())
		}
		ours := p.Finalize()
		if err := btcd.MaybeFinalizeAll(theirs); err != nil || !ours {
			t.Fatalf("%x is final here: %t, at btcd's: %v", raw, ours, err)
		}
		tx, err := p.Extract()
		if err != nil {
			t.Fatal(err)
		}
		their, err := btcd.Extract(theirs)
		if err != nil {
			t.Fatal(err)
		}
		var encoded bytes.Buffer
		if err := their.Serialize(&encoded); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded.Bytes(), tx.AppendTo(nil)) {
			t.Fatalf("%x is extracted as %x here, as %x at btcd's", raw, tx.AppendTo(nil), encoded.Bytes())
		}
		complete++
	}
	t.Logf("%d PSBTs went through both", complete)
}

func encodePSBT(t *testing.T, p *psbt.Packet) []byte {
	t.Helper()
	raw, err := p.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// randomPSBT makes one that is signed: each input by its key, or by a key in a leaf.
func randomPSBT(t *testing.T, random *rand.Rand) *psbt.Packet {
	t.Helper()
	some := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	tx := &types.Tx{Version: 2, LockTime: random.Uint32N(500)}
	n := 1 + random.IntN(3)
	utxos := make([]types.TxOut, n)
	keys := make([]*btcec.PrivateKey, n)
	leaves := make([][]byte, n)
	for i := range n {
		keys[i], _ = btcec.PrivKeyFromBytes(append([]byte{1}, some(31)...))
		output := [32]byte(schnorr.SerializePubKey(keys[i].PubKey()))
		if random.IntN(2) == 0 {
			leaves[i] = append(append([]byte{32}, output[:]...), taproot.OpCheckSig)
			root := taproot.LeafHash(taproot.LeafVersionTapscript, leaves[i])
			var err error
			if output, _, err = taproot.OutputKey(output, root[:]); err != nil {
				t.Fatal(err)
			}
		}
		utxos[i] = types.TxOut{Value: types.Amount(1000 + random.Int64N(1e12)), ScriptPubKey: taproot.OutputScript(output)}
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: types.Hash(some(32)), Index: random.Uint32N(9)}, Sequence: random.Uint32()})
	}
	for range 1 + random.IntN(3) {
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(random.Int64N(1e6)), ScriptPubKey: taproot.OutputScript([32]byte(some(32)))})
	}
	p := psbt.New(tx, 0)
	ctx := taproot.NewContext(tx, utxos)
	for i := range p.Inputs {
		in := &p.Inputs[i]
		in.WitnessUTXO = &utxos[i]
		signInput(t, in, ctx, i, keys[i], leaves[i])
		if random.IntN(2) == 0 {
			in.Unknown = []psbt.Field{{Key: append([]byte{0xf0}, some(5)...), Value: some(9)}}
		}
		key := [32]byte(schnorr.SerializePubKey(keys[i].PubKey()))
		in.TapDerivations = []psbt.TapDerivation{{Key: key, Origin: psbt.KeyOrigin{Fingerprint: [4]byte(some(4)), Path: []uint32{random.Uint32(), 7}}}}
		in.TapInternalKey = &key
	}
	return p
}

func signInput(t *testing.T, in *psbt.Input, ctx *taproot.Context, i int, key *btcec.PrivateKey, leaf []byte) {
	t.Helper()
	var path *taproot.ScriptPath
	if leaf != nil {
		path = &taproot.ScriptPath{LeafHash: taproot.LeafHash(taproot.LeafVersionTapscript, leaf), CodeSeparator: taproot.NoCodeSeparator}
	}
	message, err := ctx.SignatureHash(i, taproot.SigHashDefault, nil, path)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := schnorr.Sign(key, message[:])
	if err != nil {
		t.Fatal(err)
	}
	if leaf == nil {
		in.TapKeySig = sig.Serialize()
		return
	}
	x := [32]byte(schnorr.SerializePubKey(key.PubKey()))
	root := path.LeafHash
	_, parity, err := taproot.OutputKey(x, root[:])
	if err != nil {
		t.Fatal(err)
	}
	in.TapMerkleRoot = &root
	in.TapScripts = []psbt.TapScript{{Script: leaf, LeafVersion: taproot.LeafVersionTapscript, ControlBlocks: [][]byte{append([]byte{taproot.LeafVersionTapscript | parity}, x[:]...)}}}
	in.TapScriptSigs = []psbt.TapScriptSig{{Key: x, LeafHash: root, Signature: sig.Serialize()}}
}
