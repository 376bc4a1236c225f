package consensus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

func hexUint32(t testing.TB, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func hexUint256(t testing.TB, s string) Uint256 {
	t.Helper()
	u, err := ParseUint256(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Bitcoin's easiest targets.
const (
	mainnetLimit = "00000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	regtestLimit = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
)

func TestVectorsCompactTargets(t *testing.T) {
	var compacts, targets int
	for _, name := range vectors.Files(t, "pow/*.json") {
		var file struct {
			Compact []struct {
				Bits, Recompact, Work string
				Negative, Overflow    bool
				Target                *string
				Mainnet               bool `json:"valid_pow_bits_mainnet"`
				Regtest               bool `json:"valid_pow_bits_regtest"`
			}
			ToCompact []struct {
				Target, Compact string
				Again           string `json:"decoded_again"`
			} `json:"to_compact"`
		}
		vectors.ReadJSON(t, name, &file)
		for _, v := range file.Compact {
			bits := hexUint32(t, v.Bits)
			target, negative, overflow := ExpandBits(bits)
			if negative != v.Negative || overflow != v.Overflow {
				t.Errorf("%s: negative %v, overflow %v", v.Bits, negative, overflow)
			}
			if v.Target != nil && target.String() != *v.Target {
				t.Errorf("%s: target %s, want %s", v.Bits, target, *v.Target)
			}
			if work := BlockWork(bits); work.String() != v.Work {
				t.Errorf("%s: work %s, want %s", v.Bits, work, v.Work)
			}
			// Core writes back the sign, which a target has not.
			if got := CompactBits(target); v.Target != nil && !negative && got != hexUint32(t, v.Recompact) {
				t.Errorf("%s: again compact %08x, want %s", v.Bits, got, v.Recompact)
			}
			header := types.Header{Bits: bits}
			for limit, want := range map[string]bool{mainnetLimit: v.Mainnet, regtestLimit: v.Regtest} {
				// A hash of zero meets every target.
				err := CheckHeader(&Params{PowLimit: hexUint256(t, limit)}, &header, types.Hash{})
				if want != (err == nil) || err != nil && !errors.Is(err, ReasonHighHash) {
					t.Errorf("%s under %s: %v, want it allowed: %v", v.Bits, limit, err, want)
				}
			}
			compacts++
		}
		for _, v := range file.ToCompact {
			bits := CompactBits(hexUint256(t, v.Target))
			if bits != hexUint32(t, v.Compact) {
				t.Errorf("%s: compact %08x, want %s", v.Target, bits, v.Compact)
			}
			if again, _, _ := ExpandBits(bits); again.String() != v.Again {
				t.Errorf("%08x: target %s, want %s", bits, again, v.Again)
			}
			targets++
		}
	}
	vectors.Ran(t, compacts, "compact targets")
	vectors.Ran(t, targets, "targets to make compact")
}

func bitsOf(a asert, seconds int64, blocks uint64) uint32 {
	return CompactBits(a.target(seconds, blocks))
}

func anchorOf(bits uint32) Uint256 {
	target, _, _ := ExpandBits(bits)
	return target
}

// Bitcoin Cash's vectors of aserti3-2d: a header of "##" lines, then rows of
// iteration, height, time and the bits of the block after.
func TestVectorsASERTBitcoinCash(t *testing.T) {
	rows := 0
	for _, name := range vectors.Files(t, "asert/run*") {
		header := map[string]string{}
		for line := range strings.Lines(string(vectors.ReadFile(t, name))) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, "##"); ok {
				key, value, _ := strings.Cut(rest, ":")
				header[strings.Replace(strings.TrimSpace(key), "ancestor", "parent", 1)] = strings.TrimSpace(value)
				continue
			}
			if line == "" || line[0] == '#' {
				continue
			}
			a := asert{
				anchor: anchorOf(hexUint32(t, header["anchor nBits"])), limit: anchorOf(0x1d00ffff),
				halfLife: 172_800, spacing: 600,
			}
			var iteration, height, time, anchorHeight, parentTime uint64
			var bits string
			if _, err := fmt.Sscan(line, &iteration, &height, &time, &bits); err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			if _, err := fmt.Sscan(header["anchor height"]+" "+header["anchor parent time"], &anchorHeight, &parentTime); err != nil {
				t.Fatalf("%s: %v: %v", name, header, err)
			}
			// The schedule begins with the anchor's parent.
			if got := bitsOf(a, int64(time-parentTime), height-anchorHeight+1); got != hexUint32(t, bits) {
				t.Fatalf("%s: row %q: got %08x", name, line, got)
			}
			rows++
		}
	}
	vectors.Ran(t, rows, "rows of Bitcoin Cash")
}

func TestVectorsASERTBitcoinABC(t *testing.T) {
	cases := 0
	for _, name := range vectors.Files(t, "asert/bitcoin-abc*.json") {
		var file struct {
			PowLimit string
			HalfLife int64
			Cases    []struct {
				RefTarget, ExpectedTarget, ExpectedBits string
				TargetSpacing, TimeDiff                 int64
				HeightDiff                              uint64
			}
		}
		vectors.ReadJSON(t, name, &file)
		for i, v := range file.Cases {
			a := asert{
				anchor: hexUint256(t, v.RefTarget), limit: hexUint256(t, file.PowLimit),
				halfLife: file.HalfLife, spacing: v.TargetSpacing,
			}
			target := a.target(v.TimeDiff, v.HeightDiff+1)
			if target.String() != v.ExpectedTarget || CompactBits(target) != hexUint32(t, v.ExpectedBits) {
				t.Errorf("case %d: target %s, %08x, want %s, %s", i, target, CompactBits(target), v.ExpectedTarget, v.ExpectedBits)
			}
			cases++
		}
	}
	vectors.Ran(t, cases, "cases of Bitcoin ABC")
}

// Decred's vectors: the same polynomial with other spacings, half-lives and
// limits.
func TestVectorsASERTDecred(t *testing.T) {
	cases := 0
	for _, name := range vectors.Files(t, "asert/decred*.json") {
		var file struct {
			Params map[string]struct {
				PowLimit                         string
				TargetSecsPerBlock, HalfLifeSecs int64
			}
			Scenarios []struct {
				Description, Params    string
				StartDiffBits          uint32
				StartHeight, StartTime int64
				Tests                  []struct {
					Height           uint64
					Timestamp        int64
					ExpectedDiffBits uint32
				}
			}
		}
		vectors.ReadJSON(t, name, &file)
		for _, s := range file.Scenarios {
			params, ok := file.Params[s.Params]
			if !ok {
				t.Fatalf("%s: no parameters %q", s.Description, s.Params)
			}
			a := asert{
				anchor: anchorOf(s.StartDiffBits), limit: hexUint256(t, params.PowLimit),
				halfLife: params.HalfLifeSecs, spacing: params.TargetSecsPerBlock,
			}
			for _, v := range s.Tests {
				if got := bitsOf(a, v.Timestamp-s.StartTime, v.Height-uint64(s.StartHeight)); got != v.ExpectedDiffBits {
					t.Fatalf("%s: height %d: %08x, want %08x", s.Description, v.Height, got, v.ExpectedDiffBits)
				}
				cases++
			}
		}
	}
	vectors.Ran(t, cases, "cases of Decred")
}

// checkMerkle makes a block whose transactions' ids are the leaves.
func checkMerkle(leaves []types.Hash, root types.Hash) error {
	return checkMerkleRoot(&HashedBlock{Block: &types.Block{Header: types.Header{MerkleRoot: root}}, TxIDs: leaves})
}

func TestVectorsMerkle(t *testing.T) {
	type vector struct {
		Note    string
		Leaves  []types.Hash
		Root    types.Hash
		Mutated bool
	}
	cases := 0
	for _, name := range vectors.Files(t, "merkle/*.json") {
		var file struct{ Plain, Malleation []vector }
		vectors.ReadJSON(t, name, &file)
		for _, v := range append(file.Plain, file.Malleation...) {
			err := checkMerkle(v.Leaves, v.Root)
			if v.Mutated {
				expect(t, err, "bad-txns-duplicate", ErrMutated)
			} else if err != nil {
				t.Errorf("%s: %v", v.Note, err)
			}
			v.Root[0] ^= 1
			expect(t, checkMerkle(v.Leaves, v.Root), "bad-txnmrklroot", ErrMutated)
			cases++
		}
	}
	vectors.Ran(t, cases, "merkle trees")
}

// certainlyForbidden reports what R1 forbids whatever follows: a script that
// begins neither like a witness program above version 0 nor with OP_RETURN.
func certainlyForbidden(tx *types.Tx) bool {
	for _, out := range tx.Outputs {
		s := out.ScriptPubKey
		if len(s) == 0 || s[0] != 0x6a && (s[0] < 0x51 || s[0] > 0x60 || len(s) < 4 || len(s) > 42 || int(s[1]) != len(s)-2) {
			return true
		}
	}
	return false
}

// Core's CheckTransaction. R1 comes last, so every other reason must be Core's.
func TestVectorsCheckTransaction(t *testing.T) {
	params := regtest(t)
	type vector struct {
		ID, Tx, TxID, WTxID string
		Verdict             string `json:"check_transaction"`
		Weight              int
	}
	core, derived, breakR1 := 0, 0, 0
	for _, name := range vectors.Files(t, "tx/check-transaction*.json") {
		var file struct {
			Core    []vector `json:"core_tx_tests"`
			Derived []vector `json:"derived_v1_outputs"`
		}
		vectors.ReadJSON(t, name, &file)
		check := func(v vector, mayBreakR1 bool) {
			tx, err := types.DecodeTx(vectors.Hex(t, v.Tx))
			if err != nil {
				t.Fatalf("%s: %v", v.ID, err)
			}
			if tx.TxID().String() != v.TxID || tx.WTxID().String() != v.WTxID || tx.Weight() != v.Weight {
				t.Errorf("%s: ids or weight differ", v.ID)
			}
			verdict := "ok"
			if err := CheckTransaction(params, tx); err != nil {
				var rule *RuleError
				if !errors.As(err, &rule) || rule.Kind != ErrInvalid {
					t.Fatalf("%s: %v", v.ID, err)
				}
				verdict = string(rule.Reason)
			}
			if mayBreakR1 && v.Verdict == "ok" && certainlyForbidden(tx) != (verdict == "bad-txns-vout-script") {
				t.Errorf("%s: %s, R1 broken: %v", v.ID, verdict, certainlyForbidden(tx))
			}
			if mayBreakR1 && verdict == "bad-txns-vout-script" {
				breakR1++
				verdict = "ok"
			}
			if verdict != v.Verdict {
				t.Errorf("%s: %s, Core says %s", v.ID, verdict, v.Verdict)
			}
		}
		for _, v := range file.Core {
			check(v, true)
			core++
		}
		for _, v := range file.Derived {
			check(v, false)
			derived++
		}
	}
	vectors.Ran(t, core, "transactions of Core's tests")
	vectors.Ran(t, derived, "transactions with taproot outputs")
	if breakR1 == 0 {
		t.Error("no transaction breaks R1")
	}
}

// spendData is one way to fill an input.
type spendData struct {
	ScriptSig string   `json:"scriptSig"`
	Witness   []string `json:"witness"`
}

func (d *spendData) fill(t testing.TB, in *types.TxIn) {
	in.ScriptSig, in.Witness = vectors.Hex(t, d.ScriptSig), nil
	for _, element := range d.Witness {
		in.Witness = append(in.Witness, vectors.Hex(t, element))
	}
}

// Transactions that Core accepted in blocks, and with any one input spoiled
// refused.
func TestVectorsTaprootTransactions(t *testing.T) {
	params := regtest(t)
	var txs, failures int
	for _, name := range vectors.Files(t, "taproot-tx/*.json") {
		var file []struct {
			ID, Tx, TxID string
			WTxID        string `json:"wtxid_all_success"`
			Prevouts     []string
			Fee          types.Amount
			Weight       int `json:"weight_all_success"`
			Inputs       []struct {
				Comment string
				Success spendData
				Failure *spendData
			}
		}
		vectors.ReadJSON(t, name, &file)
		for n, v := range file {
			if testing.Short() && n%8 != 0 {
				continue
			}
			tx, err := types.DecodeTx(vectors.Hex(t, v.Tx))
			if err != nil {
				t.Fatal(err)
			}
			var prevouts []types.TxOut
			fee := types.Amount(0)
			for _, s := range v.Prevouts {
				out, err := decodeTxOut(vectors.Hex(t, s))
				if err != nil {
					t.Fatal(err)
				}
				prevouts = append(prevouts, out)
				fee += out.Value
			}
			for _, out := range tx.Outputs {
				fee -= out.Value
			}
			for i := range tx.Inputs {
				v.Inputs[i].Success.fill(t, &tx.Inputs[i])
			}
			if tx.TxID().String() != v.TxID || tx.WTxID().String() != v.WTxID || tx.Weight() != v.Weight || fee != v.Fee {
				t.Errorf("%s: ids, weight or fee differ", v.ID)
			}
			if err := CheckTransaction(params, tx); err != nil {
				t.Errorf("%s: %v", v.ID, err)
			}
			if err := bothScripts(t, tx, prevouts); err != nil {
				t.Errorf("%s: %v", v.ID, err)
			}
			txs++
			for i := range tx.Inputs {
				if v.Inputs[i].Failure == nil {
					continue
				}
				v.Inputs[i].Failure.fill(t, &tx.Inputs[i])
				if err := bothScripts(t, tx, prevouts); !errors.Is(err, ReasonScript) {
					t.Errorf("%s: input %d (%s) spoiled: %v", v.ID, i, v.Inputs[i].Comment, err)
				}
				v.Inputs[i].Success.fill(t, &tx.Inputs[i])
				failures++
			}
		}
	}
	vectors.Ran(t, txs, "transactions")
	vectors.Ran(t, failures, "spoiled inputs")
}

// decodeTxOut reads one output. All of b must be used.
func decodeTxOut(b []byte) (types.TxOut, error) {
	d := types.NewDecoder(b)
	out := types.TxOut{Value: types.Amount(d.Uint64()), ScriptPubKey: d.VarBytes()}
	return out, d.Finish()
}
