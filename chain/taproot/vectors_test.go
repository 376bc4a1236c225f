package taproot

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

func decodeTx(t testing.TB, s string) *types.Tx {
	t.Helper()
	tx, err := types.DecodeTx(vectors.Hex(t, s))
	if err != nil {
		t.Fatalf("%.80s: %v", s, err)
	}
	return tx
}

// decodeTxOut reads one output. All of b must be used.
func decodeTxOut(b []byte) (types.TxOut, error) {
	d := types.NewDecoder(b)
	out := types.TxOut{Value: types.Amount(d.Uint64()), ScriptPubKey: d.VarBytes()}
	return out, d.Finish()
}

func decodePrevouts(t testing.TB, list []string) []types.TxOut {
	t.Helper()
	outs := make([]types.TxOut, len(list))
	for i, s := range list {
		out, err := decodeTxOut(vectors.Hex(t, s))
		if err != nil {
			t.Fatal(err)
		}
		outs[i] = out
	}
	return outs
}

// spendData is one way to fill an input.
type spendData struct {
	ScriptSig string   `json:"scriptSig"`
	Witness   []string `json:"witness"`
}

func (s *spendData) fill(t testing.TB, in *types.TxIn) {
	in.ScriptSig, in.Witness = vectors.Hex(t, s.ScriptSig), nil
	for _, element := range s.Witness {
		in.Witness = append(in.Witness, vectors.Hex(t, element))
	}
}

// verdictOf names a verdict as the vectors do.
func verdictOf(t testing.TB, err error) string {
	t.Helper()
	var script *ScriptError
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &script):
		return script.Name
	}
	t.Fatalf("no verdict: %v", err)
	return ""
}

// tally counts what a set of vectors was found to agree with.
type tally struct {
	inputs, verdicts, names int
}

// check verifies an input at once and with claims, and compares both with
// Core's verdict.
func (n *tally) check(t *testing.T, c *Context, index int, flags Flags, want, label string) {
	t.Helper()
	n.inputs++
	got := verdictOf(t, c.VerifyInput(index, flags, nil))
	if (got == "OK") != (want == "OK") {
		t.Errorf("%s: got %s, Core says %s", label, got, want)
		return
	}
	n.verdicts++
	if got == want {
		n.names++
	} else {
		t.Logf("%s: name %s, Core's is %s", label, got, want)
	}
	var batch secp.Batch
	deferred := c.VerifyInput(index, flags, &batch)
	if (deferred == nil && batch.Verify()) != (want == "OK") {
		t.Errorf("%s: deferred: %v with %d claims, Core says %s", label, deferred, batch.Len(), want)
	}
}

func (n *tally) report(t *testing.T) {
	t.Helper()
	vectors.Ran(t, n.inputs, "verdicts, each at once and deferred")
	t.Logf("%d agree with Core, %d names too", n.verdicts, n.names)
}

func TestVectorsTaprootRef(t *testing.T) {
	for _, folder := range []string{"taproot-ref", "taproot-ref-mixed-prevouts"} {
		t.Run(folder, func(t *testing.T) {
			var n tally
			for _, file := range vectors.Files(t, folder+"/*.json") {
				var cases []struct {
					ID, Tx   string
					Prevouts []string
					Index    int
					Comment  string
					Success  *spendData
					Failure  *spendData
					Core     map[string]string
				}
				vectors.ReadJSON(t, file, &cases)
				for _, tc := range cases {
					tx, prevouts := decodeTx(t, tc.Tx), decodePrevouts(t, tc.Prevouts)
					c := NewContext(tx, prevouts)
					for kind, data := range map[string]*spendData{"success": tc.Success, "failure": tc.Failure} {
						if data == nil {
							continue
						}
						data.fill(t, &tx.Inputs[tc.Index])
						label := tc.ID + " " + tc.Comment + " " + kind
						n.check(t, c, tc.Index, Consensus, tc.Core[kind+"_consensus"], label+" consensus")
						n.check(t, c, tc.Index, Standard, tc.Core[kind+"_standard"], label+" standard")
					}
				}
			}
			n.report(t)
		})
	}
}

func TestVectorsTaprootTx(t *testing.T) {
	var n tally
	c := new(Context)
	for _, file := range vectors.Files(t, "taproot-tx/*.json") {
		var cases []struct {
			ID, Tx   string
			Prevouts []string
			Inputs   []struct {
				Comment          string
				Success, Failure *spendData
				Core             map[string]string
			}
		}
		vectors.ReadJSON(t, file, &cases)
		for _, tc := range cases {
			tx, prevouts := decodeTx(t, tc.Tx), decodePrevouts(t, tc.Prevouts)
			for i := range tc.Inputs {
				tc.Inputs[i].Success.fill(t, &tx.Inputs[i])
			}
			c.Reset(tx, prevouts)
			for i := range tc.Inputs {
				in := &tc.Inputs[i]
				label := tc.ID + " " + in.Comment
				n.check(t, c, i, Consensus, in.Core["success_consensus"], label+" success consensus")
				n.check(t, c, i, Standard, in.Core["success_standard"], label+" success standard")
				if in.Failure == nil {
					continue
				}
				in.Failure.fill(t, &tx.Inputs[i])
				n.check(t, c, i, Consensus, in.Core["failure_consensus"], label+" failure consensus")
				n.check(t, c, i, Standard, in.Core["failure_standard"], label+" failure standard")
				in.Success.fill(t, &tx.Inputs[i])
			}
		}
	}
	n.report(t)
}

// verdictPair is Core's verdict under both sets of flags.
type verdictPair struct {
	Index               int
	Consensus, Standard string
}

func TestVectorsScript(t *testing.T) {
	for _, file := range vectors.Files(t, "script/*.json") {
		t.Run(path.Base(file), func(t *testing.T) {
			var n tally
			var cases []struct {
				ID, Tx   string
				Prevouts []string
				Index    int
				Comment  any // a string, in one file sometimes a list of them
				Core     json.RawMessage
			}
			vectors.ReadJSON(t, file, &cases)
			for _, tc := range cases {
				var verdicts []verdictPair
				if json.Unmarshal(tc.Core, &verdicts) != nil {
					one := verdictPair{Index: tc.Index}
					if err := json.Unmarshal(tc.Core, &one); err != nil {
						t.Fatal(err)
					}
					verdicts = []verdictPair{one}
				}
				c := NewContext(decodeTx(t, tc.Tx), decodePrevouts(t, tc.Prevouts))
				for _, v := range verdicts {
					n.check(t, c, v.Index, Consensus, v.Consensus, tc.ID+" consensus")
					n.check(t, c, v.Index, Standard, v.Standard, tc.ID+" standard")
				}
			}
			n.report(t)
		})
	}
}

func TestVectorsRealTransactions(t *testing.T) {
	var n tally
	for _, file := range vectors.Files(t, "real/tx/index.json") {
		var cases []struct {
			File     string
			Prevouts []string
			Core     []verdictPair
		}
		vectors.ReadJSON(t, file, &cases)
		for _, tc := range cases {
			if len(tc.Prevouts) == 0 || !strings.HasSuffix(tc.File, ".hex") {
				continue
			}
			data := vectors.ReadFile(t, path.Join("real", tc.File))
			c := NewContext(decodeTx(t, strings.TrimSpace(string(data))), decodePrevouts(t, tc.Prevouts))
			for i, v := range tc.Core {
				n.check(t, c, i, Consensus, v.Consensus, tc.File+" consensus")
				n.check(t, c, i, Standard, v.Standard, tc.File+" standard")
			}
		}
	}
	n.report(t)
}

// TestVectorsChain verifies every spend of the chains that Core's own wallet made.
func TestVectorsChain(t *testing.T) {
	var n tally
	for _, file := range vectors.Files(t, "chain/*.json") {
		var chain struct {
			Blocks []struct {
				Height   int
				Block    string
				Prevouts [][]string
			}
		}
		vectors.ReadJSON(t, file, &chain)
		for _, b := range chain.Blocks {
			block, err := types.DecodeBlock(vectors.Hex(t, b.Block))
			if err != nil {
				t.Fatal(err)
			}
			for i := range block.Txs[1:] {
				tx := &block.Txs[i+1]
				c := NewContext(tx, decodePrevouts(t, b.Prevouts[i]))
				for input := range tx.Inputs {
					n.check(t, c, input, Consensus, "OK", tx.TxID().String())
					n.check(t, c, input, Standard, "OK", tx.TxID().String())
				}
			}
		}
	}
	n.report(t)
}

// scriptTree is a node of BIP341's test vectors: a leaf or a pair.
type scriptTree struct {
	ID          int
	Script      string
	LeafVersion byte
}

// bip341Tree is a case of BIP341's vectors for outputs.
type bip341Tree struct {
	Given struct {
		InternalPubkey string
		ScriptTree     json.RawMessage
	}
	Intermediary struct {
		LeafHashes    []string
		MerkleRoot    string
		Tweak         string
		TweakedPubkey string
	}
	Expected struct {
		ScriptPubKey            string
		Bip350Address           string
		ScriptPathControlBlocks []string
	}
}

// bip341Spend is a case of BIP341's vectors for the key path.
type bip341Spend struct {
	Given struct {
		RawUnsignedTx string
		UtxosSpent    []struct {
			ScriptPubKey string
			AmountSats   int64
		}
	}
	InputSpending []struct {
		Given struct {
			TxinIndex int
			HashType  byte
		}
		Intermediary struct{ SigHash string }
		Expected     struct{ Witness []string }
	}
}

func TestVectorsBIP341(t *testing.T) {
	trees, spends := 0, 0
	for _, file := range vectors.Files(t, "bip341/*.json") {
		var all struct {
			ScriptPubKey    []bip341Tree
			KeyPathSpending []bip341Spend
		}
		vectors.ReadJSON(t, file, &all)
		for i := range all.ScriptPubKey {
			trees++
			checkBIP341Tree(t, &all.ScriptPubKey[i])
		}
		for i := range all.KeyPathSpending {
			spends += checkBIP341Spend(t, &all.KeyPathSpending[i])
		}
	}
	vectors.Ran(t, trees+spends, "trees and key path spends")
}

func checkBIP341Tree(t *testing.T, tc *bip341Tree) {
	t.Helper()
	var leaves []scriptTree
	flattenTree(t, tc.Given.ScriptTree, &leaves)
	internal := [32]byte(vectors.Hex(t, tc.Given.InternalPubkey))
	root := vectors.Hex(t, tc.Intermediary.MerkleRoot)
	equalHex(t, "tweak", TweakHash(internal, root), tc.Intermediary.Tweak)
	key, parity, err := OutputKey(internal, root)
	if err != nil {
		t.Fatal(err)
	}
	equalHex(t, "output key", key, tc.Intermediary.TweakedPubkey)
	address, err := EncodeAddress("bc", vectors.Hex(t, tc.Expected.ScriptPubKey))
	if err != nil || address != tc.Expected.Bip350Address {
		t.Errorf("address %s, %v; want %s", address, err, tc.Expected.Bip350Address)
	}
	for i, leaf := range leaves {
		script := vectors.Hex(t, leaf.Script)
		hash, _ := leafHash(nil, leaf.LeafVersion, script)
		equalHex(t, "leaf hash", hash, tc.Intermediary.LeafHashes[i])
		encoded := vectors.Hex(t, tc.Expected.ScriptPathControlBlocks[i])
		control, err := parseControlBlock(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if control.Parity != parity || control.InternalKey != internal || control.LeafVersion != leaf.LeafVersion ||
			!slices.Equal(control.encode(), encoded) {
			t.Errorf("control block %x reads as %+v", encoded, control)
		}
		equalHex(t, "root", control.merkleRoot(script), tc.Intermediary.MerkleRoot)
	}
}

func checkBIP341Spend(t *testing.T, tc *bip341Spend) int {
	t.Helper()
	tx := decodeTx(t, tc.Given.RawUnsignedTx)
	var prevouts []types.TxOut
	for _, utxo := range tc.Given.UtxosSpent {
		prevouts = append(prevouts, types.TxOut{Value: types.Amount(utxo.AmountSats), ScriptPubKey: vectors.Hex(t, utxo.ScriptPubKey)})
	}
	c := NewContext(tx, prevouts)
	for _, in := range tc.InputSpending {
		index := in.Given.TxinIndex
		hash, err := c.SignatureHash(index, in.Given.HashType, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		equalHex(t, "signature hash", hash, in.Intermediary.SigHash)
		tx.Inputs[index].Witness = [][]byte{vectors.Hex(t, in.Expected.Witness[0])}
		var n tally
		n.check(t, c, index, Standard, "OK", "key path spending")
		// A spoiled signature must fail, so that the check above can.
		tx.Inputs[index].Witness[0][40] ^= 1
		n.check(t, c, index, Standard, "SCHNORR_SIG", "key path spending, spoiled")
	}
	return len(tc.InputSpending)
}

func flattenTree(t *testing.T, node json.RawMessage, leaves *[]scriptTree) {
	var pair []json.RawMessage
	if json.Unmarshal(node, &pair) == nil {
		for _, child := range pair {
			flattenTree(t, child, leaves)
		}
		return
	}
	var leaf scriptTree
	if err := json.Unmarshal(node, &leaf); err != nil {
		t.Fatal(err)
	}
	*leaves = append(*leaves, leaf)
}

func equalHex(t *testing.T, what string, got [32]byte, want string) {
	t.Helper()
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("%s %x, want %s", what, got, want)
	}
}
