package types

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

func readLines(tb testing.TB, file string) []string {
	tb.Helper()
	return strings.Split(strings.TrimSpace(string(vectors.ReadFile(tb, file))), "\n")
}

// txFacts is what Bitcoin Core says of a transaction.
type txFacts struct {
	TxID         Hash
	WTxID        Hash
	Size         int
	StrippedSize int `json:"stripped_size"`
	Weight       int
	VSize        int
	Inputs       int  `json:"n_in"`
	Outputs      int  `json:"n_out"`
	IsCoinbase   bool `json:"is_coinbase"`
}

func factsOf(tx *Tx) txFacts {
	return txFacts{
		TxID: tx.TxID(), WTxID: tx.WTxID(), Size: tx.Size(), StrippedSize: tx.StrippedSize(), Weight: tx.Weight(),
		VSize: tx.VirtualSize(), Inputs: len(tx.Inputs), Outputs: len(tx.Outputs), IsCoinbase: tx.IsCoinbase(),
	}
}

// decodeBack decodes a transaction and holds that encoding it gives the same
// bytes, of the length that Size promises.
func decodeBack(t *testing.T, name string, raw []byte) *Tx {
	t.Helper()
	tx, err := DecodeTx(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !bytes.Equal(tx.AppendTo(nil), raw) || tx.Size() != len(raw) {
		t.Fatalf("%s: does not round trip", name)
	}
	if len(tx.AppendStripped(nil)) != tx.StrippedSize() {
		t.Errorf("%s: stripped size %d, really %d", name, tx.StrippedSize(), len(tx.AppendStripped(nil)))
	}
	return tx
}

// TestCoreTransactions compares identities and sizes with Bitcoin Core's.
func TestCoreTransactions(t *testing.T) {
	type vector struct {
		txFacts
		ID        string
		Tx        string
		Roundtrip bool
		Version   int64
		LockTime  uint32 `json:"lock_time"`
	}
	good, bad := 0, 0
	for _, file := range vectors.Files(t, "tx/*.json") {
		var all struct {
			Core    []vector                             `json:"core_tx_tests"`
			Derived []vector                             `json:"derived_v1_outputs"`
			Refused []struct{ Tx, Comment, Core string } `json:"malformed_serialization"`
		}
		vectors.ReadJSON(t, file, &all)
		for _, v := range slices.Concat(all.Core, all.Derived) {
			raw := vectors.Hex(t, v.Tx)
			tx, err := DecodeTx(raw)
			if err != nil {
				t.Errorf("%s: %v", v.ID, err)
				continue
			}
			if got := factsOf(tx); got != v.txFacts {
				t.Errorf("%s:\ngot  %+v\nwant %+v", v.ID, got, v.txFacts)
			}
			if tx.Version != uint32(v.Version) || tx.LockTime != v.LockTime {
				t.Errorf("%s: version %d, lock time %d", v.ID, tx.Version, tx.LockTime)
			}
			if bytes.Equal(tx.AppendTo(nil), raw) != v.Roundtrip {
				t.Errorf("%s: round trip is not %t", v.ID, v.Roundtrip)
			}
			good++
		}
		for _, v := range all.Refused {
			_, err := DecodeTx(vectors.Hex(t, v.Tx))
			if accepted := err == nil; accepted == (v.Core == "decode error") {
				t.Errorf("%s: got %v, want %s", v.Comment, err, v.Core)
			}
			bad++
		}
	}
	vectors.Ran(t, good, "transactions")
	vectors.Ran(t, bad, "verdicts on malformed encodings")
}

func TestVectorsRealTransactions(t *testing.T) {
	n := 0
	for _, index := range vectors.Files(t, "real/tx/index.json") {
		var entries []struct {
			txFacts
			File     string
			Prevouts []string
		}
		vectors.ReadJSON(t, index, &entries)
		for _, e := range entries {
			raw := vectors.ReadFile(t, path.Join("real", e.File))
			switch {
			case strings.HasSuffix(e.File, ".hex"):
				raw = vectors.Hex(t, string(raw))
			case strings.HasSuffix(e.File, ".bz2"):
				var err error
				if raw, err = io.ReadAll(bzip2.NewReader(bytes.NewReader(raw))); err != nil {
					t.Fatal(err)
				}
			}
			got := factsOf(decodeBack(t, e.File, raw))
			if e.StrippedSize == 0 { // not given for the transaction without witnesses
				e.StrippedSize, e.VSize = e.Size, e.Size
			}
			if got != e.txFacts {
				t.Errorf("%s:\ngot  %+v\nwant %+v", e.File, got, e.txFacts)
			}
			for _, text := range e.Prevouts {
				raw := vectors.Hex(t, text)
				out, err := decodeTxOut(raw)
				if err != nil || !bytes.Equal(out.AppendTo(nil), raw) {
					t.Errorf("%s: prevout %s: %v", e.File, text, err)
				}
			}
			n++
		}
	}
	vectors.Ran(t, n, "real transactions")
}

// checkBlock decodes a block, holds that it round trips and that its header
// names its transactions, and returns it.
func checkBlock(t *testing.T, name string, raw []byte) *Block {
	t.Helper()
	block, err := DecodeBlock(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !bytes.Equal(block.AppendTo(nil), raw) || block.Size() != len(raw) {
		t.Fatalf("%s: does not round trip", name)
	}
	txids := make([]Hash, len(block.Txs))
	for i := range block.Txs {
		txids[i] = block.Txs[i].TxID()
	}
	if root, mutated := MerkleRoot(txids); root != block.Header.MerkleRoot || mutated {
		t.Errorf("%s: merkle root %s (mutated %t), header %s", name, root, mutated, block.Header.MerkleRoot)
	}
	return block
}

func TestVectorsRealBlocks(t *testing.T) {
	blocks, txs := 0, 0
	for _, index := range vectors.Files(t, "real/blocks/index.json") {
		var entries []struct {
			File, Bits          string
			Hash, Prev          Hash
			MerkleRoot          Hash `json:"merkle_root"`
			WitnessRoot         Hash `json:"witness_merkle_root"`
			Size, Weight        int
			StrippedSize        int `json:"stripped_size"`
			Txs                 int `json:"n_tx"`
			WithWitness         int `json:"n_tx_with_witness"`
			Time, Nonce         uint32
			Version             int32
			TxList              string `json:"tx_list"`
			WitnessCommitmentOK *bool  `json:"witness_commitment_valid"`
		}
		vectors.ReadJSON(t, index, &entries)
		for _, e := range entries {
			if !strings.HasSuffix(e.File, ".raw") {
				continue // several blocks in a file: TestVectorsBlockFiles
			}
			block := checkBlock(t, e.File, vectors.ReadFile(t, path.Join("real", e.File)))
			header := Header{
				Version: e.Version, PrevBlock: e.Prev, MerkleRoot: e.MerkleRoot, Timestamp: e.Time,
				Bits: binary.BigEndian.Uint32(vectors.Hex(t, e.Bits)), Nonce: e.Nonce,
			}
			if block.Hash() != e.Hash || block.Header != header || len(block.Txs) != e.Txs ||
				block.Size() != e.Size || block.StrippedSize() != e.StrippedSize || block.Weight() != e.Weight {
				t.Errorf("%s: %s %+v, %d transactions, size %d, stripped %d, weight %d", e.File, block.Hash(),
					block.Header, len(block.Txs), block.Size(), block.StrippedSize(), block.Weight())
			}
			withWitness := checkTxList(t, block, path.Join("real", e.TxList), e.WitnessRoot)
			if withWitness != e.WithWitness {
				t.Errorf("%s: %d transactions with a witness, want %d", e.File, withWitness, e.WithWitness)
			}
			blocks++
			txs += len(block.Txs)
		}
	}
	vectors.Ran(t, blocks, "real blocks")
	vectors.Ran(t, txs, "transactions in them")
}

// checkTxList compares a block with the lines "txid wtxid weight size" of a
// file and returns how many of its transactions have a witness.
func checkTxList(t *testing.T, block *Block, file string, witnessRoot Hash) (withWitness int) {
	t.Helper()
	lines := readLines(t, file)
	if len(lines) != len(block.Txs) {
		t.Errorf("%s: %d lines for %d transactions", file, len(lines), len(block.Txs))
		return 0
	}
	wtxids := make([]Hash, len(block.Txs))
	for i, line := range lines {
		tx := &block.Txs[i]
		got := fmt.Sprintf("%s %s %d %d", tx.TxID(), tx.WTxID(), tx.Weight(), tx.Size())
		if got != line {
			t.Errorf("%s, transaction %d: got %s, want %s", file, i, got, line)
		}
		if tx.IsCoinbase() != (i == 0) {
			t.Errorf("%s, transaction %d: IsCoinbase is %t", file, i, tx.IsCoinbase())
		}
		if tx.HasWitness() {
			withWitness++
		}
		if i > 0 {
			wtxids[i] = tx.WTxID()
		}
	}
	if root, _ := MerkleRoot(wtxids); root != witnessRoot {
		t.Errorf("%s: witness root %s, want %s", file, root, witnessRoot)
	}
	return withWitness
}

// TestVectorsBlockFiles reads chains of blocks, each the child of one before it.
func TestVectorsBlockFiles(t *testing.T) {
	n := 0
	for _, pattern := range []string{"real/blocks/*.dat", "real/blocks/regtest*.txt", "core-regtest/*.dat"} {
		for _, file := range vectors.Files(t, pattern) {
			var raws [][]byte
			if strings.HasSuffix(file, ".dat") {
				raws = vectors.ReadBlocks(t, file)
			} else {
				for _, line := range readLines(t, file) {
					raws = append(raws, vectors.Hex(t, line))
				}
			}
			seen := map[Hash]bool{}
			for i, raw := range raws {
				block := checkBlock(t, fmt.Sprintf("%s, block %d", file, i), raw)
				if i > 0 && !seen[block.Header.PrevBlock] {
					t.Errorf("%s, block %d: parent %s is not before it", file, i, block.Header.PrevBlock)
				}
				seen[block.Hash()] = true
			}
			n += len(raws)
		}
	}
	vectors.Ran(t, n, "blocks in files of many")
}

// TestVectorsHeaders hashes the headers of all files that have some.
func TestVectorsHeaders(t *testing.T) {
	named, chained := 0, 0
	check := func(file, text string) (Header, Hash) {
		raw := vectors.Hex(t, text)
		h, err := DecodeHeader(raw)
		if err != nil || !bytes.Equal(h.AppendTo(nil), raw) {
			t.Fatalf("%s: %s: %v", file, text, err)
		}
		return h, h.Hash()
	}
	for _, file := range vectors.Files(t, "real/headers/*.txt") {
		known, children := map[Hash]bool{}, 0
		for _, line := range readLines(t, file) {
			fields := strings.Fields(strings.TrimPrefix(line, "fork:"))
			if len(fields) == 1 {
				h, hash := check(file, fields[0])
				if known[h.PrevBlock] {
					children++
				}
				known[hash] = true
				continue
			}
			if _, hash := check(file, fields[1]); hash.String() != fields[2] {
				t.Errorf("%s: header %s has the hash %s", file, line, hash)
			}
			named++
		}
		// A line whose hash is wrong would be nobody's parent.
		if n := len(known); children < n-4 {
			t.Errorf("%s: only %d of %d headers have their parent in the file", file, children, n)
		}
		chained += children
	}
	for _, file := range vectors.Files(t, "real/headers/*checkpoints*.json") {
		var list struct {
			Checkpoints []struct{ Header, Hash, Bits string }
		}
		vectors.ReadJSON(t, file, &list)
		for _, c := range list.Checkpoints {
			h, hash := check(file, c.Header)
			if hash.String() != c.Hash || fmt.Sprintf("%08x", h.Bits) != c.Bits {
				t.Errorf("%s: %s has the bits %08x, want %+v", file, hash, h.Bits, c)
			}
			named++
		}
	}
	vectors.Ran(t, named, "headers with known hashes")
	vectors.Ran(t, chained, "headers that are a known header's child")
}

func TestMerkleVectors(t *testing.T) {
	n := 0
	for _, file := range vectors.Files(t, "merkle/*.json") {
		type vector struct {
			Note       string
			Leaves     []Hash
			Root       Hash
			Mutated    bool
			SameRootAs *Hash `json:"same_root_as"`
		}
		var all struct{ Plain, Malleation []vector }
		vectors.ReadJSON(t, file, &all)
		for _, v := range slices.Concat(all.Plain, all.Malleation) {
			leaves := slices.Clone(v.Leaves)
			root, mutated := MerkleRoot(leaves)
			if root != v.Root || mutated != v.Mutated {
				t.Errorf("%s: %s, mutated %t", v.Note, root, mutated)
			}
			if v.SameRootAs != nil && root != *v.SameRootAs {
				t.Errorf("%s: %s, want the root of the other list", v.Note, root)
			}
			if !slices.Equal(leaves, v.Leaves) {
				t.Errorf("%s: leaves were changed", v.Note)
			}
			n++
		}
	}
	vectors.Ran(t, n, "merkle trees")
}

// TestVectorsManyTransactions round trips the transactions of the script vectors,
// whose shapes are the most diverse.
func TestVectorsManyTransactions(t *testing.T) {
	n := 0
	for _, pattern := range []string{"taproot-ref*/*.json", "script/*.json"} {
		for _, file := range vectors.Files(t, pattern) {
			var cases []struct {
				Tx       string
				Prevouts []string
			}
			vectors.ReadJSON(t, file, &cases)
			for i, c := range cases {
				decodeBack(t, fmt.Sprintf("%s, case %d", file, i), vectors.Hex(t, c.Tx))
				n++
			}
		}
	}
	vectors.Ran(t, n, "transactions of script vectors")
}

// TestVectorsWitnessesPutIn puts witnesses into transactions that have none, and
// compares what that changes with Bitcoin Core.
func TestVectorsWitnessesPutIn(t *testing.T) {
	n := 0
	for _, file := range vectors.Files(t, "taproot-tx/*.json") {
		var cases []struct {
			ID, Tx string
			TxID   Hash
			WTxID  Hash `json:"wtxid_all_success"`
			Weight int  `json:"weight_all_success"`
			Inputs []struct {
				Success struct {
					ScriptSig string
					Witness   []string
				}
			}
		}
		vectors.ReadJSON(t, file, &cases)
		for _, c := range cases {
			tx := decodeBack(t, c.ID, vectors.Hex(t, c.Tx))
			for i, in := range c.Inputs {
				tx.Inputs[i].ScriptSig = vectors.Hex(t, in.Success.ScriptSig)
				for _, element := range in.Success.Witness {
					tx.Inputs[i].Witness = append(tx.Inputs[i].Witness, vectors.Hex(t, element))
				}
			}
			if tx.TxID() != c.TxID || tx.WTxID() != c.WTxID || tx.Weight() != c.Weight {
				t.Errorf("%s: txid %s, wtxid %s, weight %d", c.ID, tx.TxID(), tx.WTxID(), tx.Weight())
			}
			decodeBack(t, c.ID, tx.AppendTo(nil))
			n++
		}
	}
	vectors.Ran(t, n, "transactions that got witnesses")
}
