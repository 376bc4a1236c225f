package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/cmdline"
)

// notary is a file of a wallet that has coins.
type notary struct {
	*bench
	dir, file, proof string
}

func newNotary(t *testing.T) *notary {
	t.Helper()
	b := newBench(t)
	b.rich()
	dir := t.TempDir()
	n := &notary{b, dir, filepath.Join(dir, "contract"), filepath.Join(dir, "contract.karat-proof")}
	n.write(n.file, "we agree\n")
	return n
}

// notarized returns a file that a wallet has notarized, beside its proof.
func (b *bench) notarized(wallet string) (file string) {
	b.t.Helper()
	file = filepath.Join(b.t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.karat(wallet, "notarize", "--yes", file)
	b.mine(1)
	b.karat(wallet, "proof", file+proofSuffix)
	return file
}

func (n *notary) write(name, text string) string {
	n.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return name
}

func (n *notary) read(name string) string {
	n.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

// fails runs a command line that must fail, and for a reason.
func (n *notary) fails(code int, want, wallet string, args ...string) {
	n.t.Helper()
	got, out, errs := n.try("", wallet, args...)
	if got != code || !strings.Contains(errs, want) {
		n.t.Errorf("karat %v: exit code %d, want %d: %s, want %q", args, got, code, out+errs, want)
	}
}

// TestNotarize: a file is put on the chain, and proven to somebody with headers, with the
// chain in the proof, or with one block that he knows.
func TestNotarize(t *testing.T) {
	n := newNotary(t)
	said := n.karat("rich", "notarize", "--yes", n.file)
	if !strings.Contains(said, "complete the proof: karat proof "+n.proof) {
		t.Error(said)
	}
	n.fails(1, "there is already a proof", "rich", "notarize", "--yes", n.file)
	n.fails(1, "in no block yet", "rich", "proof", n.proof)
	n.fails(1, "complete it with karat proof", "rich", "verify", n.file, n.proof)
	block := n.mine(1)[0]
	if said := n.karat("rich", "proof", n.proof); !strings.Contains(said, block) {
		t.Error(said)
	}
	n.mine(5)
	if said := n.karat("rich", "labels"); !strings.Contains(said, "notarized contract") {
		t.Error(said)
	}

	for by, args := range map[string][]string{
		"the headers of this wallet":     {},
		"the headers in the proof alone": {"--wallet", "default"}, // there is none
		"the block that you know":        {"--block", block},
	} {
		var said struct {
			Verified      bool
			By, Block     string
			Height        int
			Confirmations int
		}
		args = append(args, "verify", "--json", n.file, n.proof)
		all := append([]string{"karat", "--network", "dev", "--datadir", n.bench.dir, "--wallet", "rich"}, args...)
		if by == "the headers in the proof alone" {
			all = append([]string{"karat", "--network", "dev", "--datadir", t.TempDir()}, args[2:]...)
		}
		var out, errs strings.Builder
		if code := run(t.Context(), all, cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
			t.Errorf("%s: exit code %d: %s", by, code, errs.String())
		}
		if err := json.Unmarshal([]byte(out.String()), &said); err != nil || !said.Verified || said.By != by || said.Block != block || said.Height != 101 || said.Confirmations != 1 {
			t.Errorf("%s: %+v, %v", by, said, err)
		}
	}
	n.karat("rich", "sync")
	if said := n.karat("rich", "verify", n.file, n.proof); !strings.Contains(said, "6, by the headers of this wallet") || !strings.Contains(said, "verified: the file was there when block 101 was made") {
		t.Error(said)
	}

	n.fails(1, "it is of a file with SHA-256", "rich", "verify", n.write(filepath.Join(n.dir, "forged"), "we disagree\n"), n.proof)
	n.fails(1, "is not in the proof", "rich", "verify", "--block", strings.Repeat("0", 63)+"1", n.file, n.proof)
	n.fails(2, "--block", "rich", "verify", "--block", "0", n.file, n.proof)
	n.fails(2, "name the file", "rich", "verify", n.proof)
	n.fails(2, "wants FILE PROOF", "rich", "verify")
	n.fails(1, "not a proof file", "rich", "verify", n.file, n.file)
	n.fails(1, "no such file", "rich", "verify", n.file, n.proof+"s")
	n.fails(1, `no wallet "bob"`, "bob", "verify", n.file, n.proof)
	n.fails(1, "the proof is false", "rich", "verify", n.file,
		n.write(filepath.Join(n.dir, "false"), strings.Replace(n.read(n.proof), `"height": 101`, `"height": 102`, 1)))
}

// TestNotarizePrivately: without the proof nobody finds the file on the chain.
func TestNotarizePrivately(t *testing.T) {
	n := newNotary(t)
	done := make(chan string)
	go func() {
		code, out, errs := n.try("", "rich", "notarize", "--yes", "--private", "--wait", "1", "--json", n.file)
		if code != 0 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		done <- out
	}()
	for len(call[[]string](n.bench, "getrawmempool")) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	n.mine(1)
	var said struct {
		TxID, SHA256 string
		Complete     bool
		Height       int
		Fee          json.Number
	}
	if err := json.Unmarshal([]byte(<-done), &said); err != nil || !said.Complete || said.Height != 101 || said.Fee == "0.00000000" {
		t.Fatalf("%+v, %v", said, err)
	}
	if raw := call[string](n.bench, "getrawtransaction", said.TxID); strings.Contains(raw, said.SHA256) || !strings.Contains(raw, "6a266b6172617402") {
		t.Errorf("the transaction is %s", raw)
	}
	n.karat("rich", "verify", n.file, n.proof)
}

// TestNotarizeStreams: standard input is hashed, and the proof is standard output.
func TestNotarizeStreams(t *testing.T) {
	n := newNotary(t)
	n.write(n.proof, n.karatIn("we agree\n", "rich", "notarize", "--yes", "--out", "-", "-"))
	n.mine(1)
	n.karat("rich", "proof", n.proof)
	n.karat("rich", "verify", n.file, n.proof)
	if code, _, errs := n.try("we agree\n", "rich", "verify", "-", n.proof); code != 0 {
		t.Error(errs)
	}
	for _, c := range []struct{ want, args string }{
		{"no name", "notarize -"}, {"one FILE", "notarize"}, {"keeps its salt", "notarize --private --out - " + n.file}, {"standard input has the file", "notarize - --out x --passphrase-file -"},
		{"add --yes", "notarize " + n.file + " --out " + n.dir + "/x"}, {"one PROOF or TXID", "proof"},
	} {
		n.fails(2, c.want, "rich", strings.Fields(c.args)...)
	}
	n.fails(1, "no such file", "rich", "notarize", "--yes", n.dir+"/none")
	n.fails(1, "no such transaction", "rich", "proof", strings.Repeat("0", 64))
	n.karat("alice", "create", "--no-passphrase")
	n.fails(1, "not enough coins", "alice", "notarize", "--yes", "--out", n.dir+"/x", n.file)
	if _, err := os.Stat(n.dir + "/x"); err == nil {
		t.Error("there is a proof of nothing")
	}
}

// TestProofOfPayment: who was paid can show that a payment is in a block, and a
// reorganisation is noticed.
func TestProofOfPayment(t *testing.T) {
	n := newNotary(t)
	n.karat("alice", "create", "--no-passphrase")
	alice := n.karat("alice", "address")
	txid := n.karat("rich", "send", "--yes", alice, "3")
	n.fails(1, "in no block yet", "rich", "proof", "--out", n.proof, txid)
	block := n.mine(1)[0]
	n.karat("rich", "proof", "--out", n.proof, txid)
	n.fails(1, "there is already a file", "rich", "proof", "--out", n.proof, txid)
	if said := n.karat("alice", "verify", n.proof); !strings.Contains(said, "3.00000000 to "+alice) || !strings.Contains(said, "verified: the transaction was there when block 101 was made") {
		t.Error(said)
	}
	n.fails(2, "has no file", "alice", "verify", n.file, n.proof)

	call[any](n.bench, "invalidateblock", block)
	n.emptyBlocks(2)
	n.karat("alice", "sync")
	n.fails(1, "not in the chain that this wallet knows", "alice", "verify", n.proof)
	n.mine(1)
	n.karat("rich", "proof", n.proof)
	n.karat("alice", "sync")
	if said := n.karat("alice", "verify", n.proof); !strings.Contains(said, "block 103 was made") {
		t.Error(said)
	}
	n.karat("carol", "create", "--no-passphrase") // who has not synced
	n.karat("carol", "verify", n.proof)
	short := n.write(filepath.Join(n.dir, "short"), strings.Replace(n.read(n.proof), `"from": 1,`, `"from": 104,`, 1))
	n.fails(1, "the proof is false", "carol", "verify", short)
	var p map[string]any
	if err := json.Unmarshal([]byte(n.read(n.proof)), &p); err != nil {
		t.Fatal(err)
	}
	delete(p, "headers")
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	n.write(short, string(text))
	n.fails(1, "nothing here says that the block is of the network's chain", "carol", "verify", short)
	n.karat("alice", "verify", short)
}
