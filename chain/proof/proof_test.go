package proof

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/vectors"
)

const now = 4_000_000_000 // after every block here

// scene is a chain of the dev network whose block 3 has a notarized file.
type scene struct {
	params *consensus.Params
	blocks []*types.Block // from the genesis block on
	doc    *Document
	txid   types.Hash
}

func newScene(t testing.TB, salt []byte) *scene {
	t.Helper()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{params: params, doc: &Document{Name: "file", Size: 3, SHA256: [32]byte{1, 2}, Salt: salt}}
	s.blocks = []*types.Block{params.GenesisBlock().Block}
	for height := uint32(1); height <= 6; height++ {
		var txs []*types.Tx
		for i := range uint32(4) {
			tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{byte(height)}, Index: i}, Witness: [][]byte{{9}}}},
				Outputs: []types.TxOut{{Value: 1, ScriptPubKey: chaintest.KeyScript()}}}
			if height == 3 && i == 2 {
				tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: s.doc.Script()})
				s.txid = tx.TxID()
			}
			txs = append(txs, tx)
		}
		parent := &s.blocks[height-1].Header
		s.blocks = append(s.blocks, chaintest.Mine(chaintest.NewBlock(parent, chaintest.Coinbase(height, nil, types.TxOut{ScriptPubKey: chaintest.KeyScript()}), txs...)))
	}
	return s
}

// proof returns the proof with headers from a height on.
func (s *scene) proof(t testing.TB, from uint32) *Proof {
	t.Helper()
	p, err := New(s.params, s.blocks[3], 3, s.txid)
	if err != nil {
		t.Fatal(err)
	}
	p.Document, p.From = s.doc, from
	for _, b := range s.blocks[from:] {
		p.Headers = append(p.Headers, b.Header)
	}
	return p
}

// again encodes and decodes a proof.
func again(t testing.TB, p *Proof) *Proof {
	t.Helper()
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Decode(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if text2, err := read.Encode(); err != nil || !bytes.Equal(text, text2) {
		t.Fatalf("%v:\n%s\nbecomes\n%s", err, text, text2)
	}
	return read
}

// TestProof: the proof of a file holds with the headers above, and with all of them.
func TestProof(t *testing.T) {
	for _, salt := range [][]byte{nil, bytes.Repeat([]byte{7}, SaltSize)} {
		s := newScene(t, salt)
		tip := types.Index{Height: 6, Hash: s.blocks[6].Hash()}
		for from, blocks := range map[uint32]int{4: 4, 1: 7} {
			p := again(t, s.proof(t, from))
			r, err := p.Verify(s.params, now)
			if err != nil {
				t.Fatal(err)
			}
			var work consensus.Uint256
			for range blocks {
				work = work.Add(consensus.BlockWork(s.blocks[0].Header.Bits))
			}
			if want := (Result{types.Index{Height: 3, Hash: s.blocks[3].Hash()}, s.blocks[3].Header.Timestamp, tip, work, from == 1}); *r != want {
				t.Errorf("from %d: %+v, want %+v", from, *r, want)
			}
			for height, has := range []bool{false, false, false, true, true, true, true} {
				if p.Has(s.blocks[height].Hash()) != has {
					t.Errorf("from %d, block %d: %v", from, height, !has)
				}
			}
		}
	}
}

// TestFalse: whatever is changed of a proof spoils it.
func TestFalse(t *testing.T) {
	s := newScene(t, nil)
	for _, from := range []uint32{1, 4} {
		for _, c := range []struct {
			name   string
			change func(*Proof)
			want   error
		}{
			{"nothing", func(*Proof) {}, nil},
			{"no headers", func(p *Proof) { p.From, p.Headers = 0, nil }, nil},
			{"another network", func(p *Proof) { p.Identity[0]++ }, ErrNetwork},
			{"no block", func(p *Proof) { p.Block, p.Headers = nil, nil }, ErrNoBlock},
			{"another file", func(p *Proof) { p.Document = &Document{SHA256: [32]byte{9}} }, ErrFalse},
			{"a salt", func(p *Proof) { d := *p.Document; d.Salt = make([]byte, SaltSize); p.Document = &d }, ErrFalse},
			{"another transaction", func(p *Proof) { p.Tx.Outputs[0].Value++ }, ErrFalse},
			{"another place", func(p *Proof) { p.Block.Position ^= 1 }, ErrFalse},
			{"a place outside", func(p *Proof) { p.Block.Position += 1 << len(p.Block.Branch) }, ErrFalse},
			{"a node", func(p *Proof) { p.Block.Branch[1][0]++ }, ErrFalse},
			{"a node less", func(p *Proof) { p.Block.Branch = p.Block.Branch[1:] }, ErrFalse},
			{"a node less in both", func(p *Proof) {
				p.Block.Branch, p.Block.CoinbaseBranch = p.Block.Branch[1:], p.Block.CoinbaseBranch[1:]
			}, ErrFalse},
			{"another coinbase", func(p *Proof) { p.Block.Coinbase.Outputs[0].Value++ }, ErrFalse},
			{"no coinbase", func(p *Proof) { p.Block.Coinbase = p.Tx }, ErrFalse},
			{"another height", func(p *Proof) { p.Block.Height++ }, ErrFalse},
			{"another header", func(p *Proof) { p.Block.Header.Version++ }, ErrFalse},
			{"a header of another parent", func(p *Proof) { p.Headers[len(p.Headers)-1].PrevBlock[0]++ }, ErrFalse},
			{"a header without work", func(p *Proof) {
				h := &p.Headers[len(p.Headers)-1]
				for h.Nonce++; chaintest.HasWork(h); h.Nonce++ {
				}
			}, ErrFalse},
			{"a header too easy", func(p *Proof) { p.Headers[len(p.Headers)-1].Bits = 0x2100ffff }, ErrFalse},
			{"a gap", func(p *Proof) { p.Headers = slices.Delete(p.Headers, 1, 2) }, ErrFalse},
			{"headers from elsewhere", func(p *Proof) { p.From++ }, ErrFalse},
		} {
			p := again(t, s.proof(t, from))
			c.change(p)
			if c.name == "another height" && from == 4 {
				p.From++ // the coinbase alone tells it
			}
			if _, err := p.Verify(s.params, now); !errors.Is(err, c.want) {
				t.Errorf("from %d, %s: %v, want %v", from, c.name, err, c.want)
			}
		}
	}
	p := s.proof(t, 1)
	p.Headers = p.Headers[:2] // its own block is missing
	if _, err := p.Verify(s.params, now); !errors.Is(err, ErrFalse) {
		t.Errorf("a chain without the block: %v", err)
	}
	if _, err := s.proof(t, 1).Verify(s.params, int64(s.blocks[1].Header.Timestamp)-1e6); !errors.Is(err, ErrFalse) {
		t.Errorf("headers from the future: %v", err)
	}
	if _, err := New(s.params, s.blocks[2], 2, s.txid); err == nil {
		t.Error("a transaction of another block is proven")
	}
}

// TestNodeAsTransaction: 64 bytes that are two hashes in the tree are no transaction, even
// if they can be read as one.
func TestNodeAsTransaction(t *testing.T) {
	tx := types.Tx{Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{ScriptPubKey: []byte{0x6a, 0x02, 1, 2}}}}
	if tx.StrippedSize() != 64 {
		t.Fatalf("%d bytes", tx.StrippedSize())
	}
	coinbase := chaintest.Coinbase(3, nil, types.TxOut{ScriptPubKey: chaintest.KeyScript()})
	leaves := []types.Hash{coinbase.TxID(), tx.TxID()}
	b := &Block{Height: 3, Position: 1, Branch: leaves[:1], Coinbase: &coinbase, CoinbaseBranch: leaves[1:]}
	b.Header.MerkleRoot, _ = types.MerkleRoot(leaves)
	if err := b.check(&tx); !errors.Is(err, ErrFalse) || !strings.Contains(err.Error(), "too small") {
		t.Errorf("%v", err)
	}
	tx.Outputs[0].ScriptPubKey = append(tx.Outputs[0].ScriptPubKey, 1, 3)
	leaves[1] = tx.TxID()
	b.CoinbaseBranch = leaves[1:]
	b.Header.MerkleRoot, _ = types.MerkleRoot(leaves)
	if err := b.check(&tx); err != nil {
		t.Errorf("a larger one: %v", err)
	}
}

// TestVectorsBranches: in blocks of Bitcoin's chains every transaction has a branch that
// leads to the root.
func TestVectorsBranches(t *testing.T) {
	ran := 0
	for _, raw := range vectors.ReadBlocks(t, "core-regtest/chain.dat") {
		block, err := types.DecodeBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		leaves := make([]types.Hash, len(block.Txs))
		for i := range block.Txs {
			leaves[i] = block.Txs[i].TxID()
		}
		for i := range leaves {
			if got := root(leaves[i], uint32(i), types.MerkleBranch(leaves, i)); got != block.Header.MerkleRoot {
				t.Errorf("transaction %d of block %s leads to %s", i, block.Hash(), got)
			}
			ran++
		}
	}
	vectors.Ran(t, ran, "transactions whose merkle branches lead to their block")
}

// TestFormat: what is no proof is refused, and says why.
func TestFormat(t *testing.T) {
	s := newScene(t, nil)
	good, err := s.proof(t, 1).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, with, want string }{
		{"empty", string(good), "", "JSON"},
		{"no JSON", string(good), "hello", "invalid"},
		{"another JSON", string(good), `{"version":1}`, "no karat_proof"},
		{"version", `"karat_proof": 1`, `"karat_proof": 2`, "version 2"},
		{"more", `"network"`, `"evil": 1, "network"`, "evil"},
		{"two", string(good), string(good) + "{}", "after"},
		{"transaction", `"transaction": "`, `"transaction": "00`, "transaction"},
		{"digits", `"sha256": "01`, `"sha256": "0x`, "invalid"},
		{"hash", `"sha256": "01`, `"sha256": "`, "its file"},
		{"size", `"size": 3`, `"size": -3`, "its file"},
		{"name", `"name": "file"`, `"name": "` + strings.Repeat("x", 256) + `"`, "its file"},
		{"header", `"header": "`, `"header": "00`, "header"},
		{"coinbase", `"coinbase": "`, `"coinbase": "00`, "coinbase"},
		{"from", `"from": 1`, `"from": 0`, "headers"},
		{"above", `"from": 1`, `"from": 4294967295`, "above all"},
		{"headers", `"data": "`, `"data": "AAAA`, "headers"},
		{"branch", `"branch": [`, `"branch": [` + strings.Repeat(fmt.Sprintf("%q,", types.Hash{}), maxDepth), "tree"},
	} {
		if !strings.Contains(string(good), c.old) {
			t.Fatalf("%s: no %s in\n%s", c.name, c.old, good)
		}
		p, err := Decode([]byte(strings.Replace(string(good), c.old, c.with, 1)))
		if !errors.Is(err, ErrFormat) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
	}
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}

// FuzzDecode: a proof of anybody's is read or refused, and whoever verifies it gets an
// answer of a known kind.
func FuzzDecode(f *testing.F) {
	s := newScene(f, nil)
	for _, p := range []*Proof{s.proof(f, 1), s.proof(f, 4), Pending(s.params, &s.blocks[3].Txs[1])} {
		text, err := p.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Decode(text)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		again(t, p)
		if _, err := p.Verify(s.params, now); err != nil && !errors.Is(err, ErrFalse) && !errors.Is(err, ErrNetwork) && !errors.Is(err, ErrNoBlock) {
			t.Fatal(err)
		}
	})
}
