// Package proof proves that a transaction is in a block, and so that a file was there when
// the block was made, to somebody who has nothing but headers.
//
// A notarized file is an OP_RETURN output with the file's hash (Document.Script). The proof
// leads from it to a block header, by the merkle branch of the transaction:
//
//	p, err := proof.Decode(text)
//	script := p.Document.Script()  // after the file was hashed and compared
//	result, err := p.Verify(params, now)
//
// Whether the block is of the chain is another question, which headers answer: those that
// the verifier has, those in the proof, or a block that he knows from elsewhere.
//
// MerkleBlock is the older form, of BIP37: it names transactions of a block and has none.
//
// A proof is read from a file of anybody's. It is bounded in bytes and in work, and nothing
// in it is believed.
package proof

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Proof is what a proof file tells.
type Proof struct {
	Network  string     // its name, for people
	Identity types.Hash // of the network
	Document *Document  // nil: only the transaction is proven
	// Tx is the transaction, without witnesses: its id does not cover them.
	Tx    *types.Tx
	Block *Block // nil: it was in none when the proof was made
	// From is the height of the first of Headers, which form a chain and reach at least
	// up to the block's parent. From the first block on they are checked by all rules.
	From    uint32
	Headers []types.Header
}

// Document is a file that was notarized.
type Document struct {
	Name   string // for people
	Size   int64  // bytes
	SHA256 [32]byte
	Salt   []byte // empty: anybody who has the file finds it on the chain
}

// Block is where the transaction is. The coinbase is proven beside it, at the same depth of
// the tree: so nobody can pass a part of a transaction off as a node of the tree, or a node
// as a transaction. It tells the height too (BIP34).
type Block struct {
	Height         uint32
	Header         types.Header
	Position       uint32       // of the transaction
	Branch         []types.Hash // from the leaf's neighbour to the root's child
	Coinbase       *types.Tx    // without witnesses
	CoinbaseBranch []types.Hash
}

// The kinds of errors.
var (
	// ErrFormat is a text that is no proof.
	ErrFormat = errors.New("not a proof file")
	// ErrFalse is a proof that proves nothing.
	ErrFalse = errors.New("the proof is false")
	// ErrNetwork is a proof of another network.
	ErrNetwork = errors.New("the proof is of another network")
	// ErrNoBlock is a proof of a transaction that was in no block yet.
	ErrNoBlock = errors.New("the transaction was in no block when the proof was made")
)

const (
	maxDepth  = 24 // of a block's tree; a block has room for 2^17 transactions at most
	minTxSize = 65 // a transaction of 64 bytes could be a node of the tree
)

// What stands in the output before the hash.
var (
	plainMark  = []byte("karat\x01") // before SHA-256 of the file
	saltedMark = []byte("karat\x02") // before SHA-256 of the salt and SHA-256 of the file
)

// SaltSize is the number of bytes of a salt.
const SaltSize = 32

// Script returns the script of the output by which the document is notarized.
func (d *Document) Script() []byte {
	mark, hash := plainMark, d.SHA256
	if len(d.Salt) > 0 {
		mark, hash = saltedMark, sha256.Sum256(append(bytes.Clone(d.Salt), d.SHA256[:]...))
	}
	script := []byte{taproot.OpReturn, byte(len(mark) + len(hash))}
	return append(append(script, mark...), hash[:]...)
}

// New proves that a transaction is in a block. The headers are left to the caller. It fails
// if the transaction is not there.
func New(p *consensus.Params, block *types.Block, height uint32, txid types.Hash) (*Proof, error) {
	leaves := make([]types.Hash, len(block.Txs))
	at := -1
	for i := range block.Txs {
		if leaves[i] = block.Txs[i].TxID(); leaves[i] == txid {
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("transaction %s is not in block %s", txid, block.Hash())
	}
	proof := Pending(p, &block.Txs[at])
	proof.Block = &Block{
		Height: height, Header: block.Header, Position: uint32(at), Branch: types.MerkleBranch(leaves, at),
		Coinbase: stripped(&block.Txs[0]), CoinbaseBranch: types.MerkleBranch(leaves, 0),
	}
	return proof, nil
}

// Pending returns what there is of a proof while the transaction waits for a block.
func Pending(p *consensus.Params, tx *types.Tx) *Proof {
	return &Proof{Network: p.Name, Identity: p.Identity(), Tx: stripped(tx)}
}

// stripped returns a copy without witnesses.
func stripped(tx *types.Tx) *types.Tx {
	c := *tx
	c.Inputs = append([]types.TxIn(nil), tx.Inputs...)
	for i := range c.Inputs {
		c.Inputs[i].Witness = nil
	}
	return &c
}

// root returns the root to which a leaf and its branch lead.
func root(leaf types.Hash, position uint32, nodes []types.Hash) types.Hash {
	for _, node := range nodes {
		pair := []types.Hash{leaf, node}
		if position&1 == 1 {
			pair[0], pair[1] = node, leaf
		}
		leaf, _ = types.MerkleRoot(pair)
		position >>= 1
	}
	return leaf
}

// Result is what a proof shows by itself.
type Result struct {
	Block types.Index // of the transaction
	Time  uint32      // of the block, by its miner's clock; seconds since 1970
	Tip   types.Index // of the proof's headers
	Work  consensus.Uint256
	// Whole says that the headers are the chain from the genesis block on, by all rules.
	// Work is then that of the chain, otherwise that of the block and what is above it.
	Whole bool
}

// Verify checks all that can be checked without another chain: that the transaction is in the
// block, that the block is at its height, and that the headers have their proofs of work. now
// is the time in seconds since 1970. Errors: ErrNetwork, ErrNoBlock, ErrFalse.
func (p *Proof) Verify(params *consensus.Params, now int64) (*Result, error) {
	switch {
	case p.Identity != params.Identity():
		return nil, fmt.Errorf("%w: it is of %q (%s), and this is %q (%s)", ErrNetwork, p.Network, p.Identity, params.Name, params.Identity())
	case p.Document != nil && !p.pays(p.Document.Script()):
		return nil, fmt.Errorf("%w: its transaction does not have the file's hash", ErrFalse)
	case p.Block == nil:
		return nil, ErrNoBlock
	}
	if err := p.Block.check(p.Tx); err != nil {
		return nil, err
	}
	r := &Result{Block: types.Index{Height: p.Block.Height, Hash: p.Block.Header.Hash()}, Time: p.Block.Header.Timestamp}
	if err := consensus.CheckHeader(params, &p.Block.Header, r.Block.Hash); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFalse, err)
	}
	if p.From == 1 {
		return r, p.wholeChain(params, now, r)
	}
	return r, p.chainAbove(params, r)
}

func (p *Proof) pays(script []byte) bool {
	for i := range p.Tx.Outputs {
		if bytes.Equal(p.Tx.Outputs[i].ScriptPubKey, script) {
			return true
		}
	}
	return false
}

// check checks that a transaction is in the block.
func (b *Block) check(tx *types.Tx) error {
	switch {
	case len(b.Branch) > maxDepth || len(b.Branch) != len(b.CoinbaseBranch) || uint64(b.Position) >= 1<<len(b.Branch):
		return fmt.Errorf("%w: its branches are of no tree", ErrFalse)
	case tx.StrippedSize() < minTxSize || b.Coinbase.StrippedSize() < minTxSize:
		return fmt.Errorf("%w: its transaction is too small to be one", ErrFalse)
	case root(tx.TxID(), b.Position, b.Branch) != b.Header.MerkleRoot:
		return fmt.Errorf("%w: its transaction is not in its block", ErrFalse)
	case !b.Coinbase.IsCoinbase() || root(b.Coinbase.TxID(), 0, b.CoinbaseBranch) != b.Header.MerkleRoot:
		return fmt.Errorf("%w: its coinbase is not that of its block", ErrFalse)
	case b.Height > 0 && !bytes.HasPrefix(b.Coinbase.Inputs[0].ScriptSig, consensus.CoinbaseHeight(b.Height)):
		return fmt.Errorf("%w: its block is not at height %d", ErrFalse, b.Height)
	}
	return nil
}

// wholeChain checks headers from the first block on, as a node does. Its own block has to
// be among them.
func (p *Proof) wholeChain(params *consensus.Params, now int64, r *Result) error {
	state := params.GenesisState()
	met := r.Block == state.Index
	for i := range p.Headers {
		h := &p.Headers[i]
		hash := h.Hash()
		err := consensus.CheckHeader(params, h, hash)
		if err == nil && h.PrevBlock != state.Index.Hash {
			err = errors.New("it is on no other header")
		}
		if err == nil {
			err = consensus.ValidateHeader(params, &state, h, now)
		}
		if err != nil {
			return fmt.Errorf("%w: header %d: %w", ErrFalse, i+1, err)
		}
		state = state.Extend(h, hash)
		met = met || r.Block == state.Index
	}
	if !met {
		return fmt.Errorf("%w: its block is not among its headers", ErrFalse)
	}
	r.Tip, r.Work, r.Whole = state.Index, state.Work, true
	return nil
}

// chainAbove checks that the headers are on the block. How hard their proofs of work had
// to be cannot be known without the chain below: that is why their work is added up.
func (p *Proof) chainAbove(params *consensus.Params, r *Result) error {
	if len(p.Headers) > 0 && p.From != p.Block.Height+1 {
		return fmt.Errorf("%w: its headers begin at %d, and not above its block", ErrFalse, p.From)
	}
	r.Tip, r.Work = r.Block, consensus.BlockWork(p.Block.Header.Bits)
	for i := range p.Headers {
		h := &p.Headers[i]
		hash := h.Hash()
		err := consensus.CheckHeader(params, h, hash)
		if err == nil && h.PrevBlock != r.Tip.Hash {
			err = errors.New("it is on no other header")
		}
		if err != nil {
			return fmt.Errorf("%w: header %d: %w", ErrFalse, p.From+uint32(i), err)
		}
		r.Tip, r.Work = types.Index{Height: r.Tip.Height + 1, Hash: hash}, r.Work.Add(consensus.BlockWork(h.Bits))
	}
	return nil
}

// Has reports whether a block is the proof's own or one above it. Verify has passed.
func (p *Proof) Has(hash types.Hash) bool {
	if p.Block.Header.Hash() == hash {
		return true
	}
	for i := range p.Headers {
		if p.From+uint32(i) > p.Block.Height && p.Headers[i].Hash() == hash {
			return true
		}
	}
	return false
}
