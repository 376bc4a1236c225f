package rpc

import (
	"context"
	"encoding/hex"

	"github.com/karatcoin/karat/chain/types"
)

func proofMethods() []method {
	return []method{
		{name: "verifytxoutproof", read: verifyTxOutProof, about: "Checks a proof of gettxoutproof, and returns the ids of the transactions that it shows to be in a block of the best chain: none if it shows nothing.", params: []param{
			{name: "proof", kind: kindString, about: "The proof in hexadecimal"}}},
	}
}

// verifyTxOutProof is Core's verifytxoutproof.
func verifyTxOutProof(s *Server, a *args) work {
	text := a.text(0, "")
	raw, err := hex.DecodeString(text)
	if err != nil || text == "" {
		a.fail(failf(CodeInvalidParam, "proof must be hexadecimal string (not '%.200s')", text))
	}
	return func(context.Context) (any, error) {
		header, proof, err := decodeProof(raw)
		if err != nil {
			return nil, failf(CodeMisc, "proof: %v", err)
		}
		shown := []types.Hash{}
		if root, ok := proof.root(s.Params.MaxBlockWeight); !ok || root != header.MerkleRoot {
			return shown, nil
		}
		info, ok := s.Headers.Info(header.Hash())
		if !ok || !info.OnBestChain || info.TxCount == 0 {
			return nil, failf(CodeAddressOrKey, "Block not found in chain")
		}
		// Without this, two hashes of the tree could pass for a transaction of 64 bytes.
		if info.TxCount == proof.count {
			shown = append(shown, proof.shown...)
		}
		return shown, nil
	}
}

// givenProof is a proof of somebody else's (see merkleProof).
type givenProof struct {
	count  uint32 // of transactions, if it tells the truth
	hashes []types.Hash
	flags  []byte // eight bits each

	bits  int          // that were read
	taken int          // hashes
	shown []types.Hash // the transactions that it shows
	bad   bool
}

// decodeProof reads the message merkleblock (BIP37). As in Core, what stands behind it does
// not matter.
func decodeProof(raw []byte) (header types.Header, p *givenProof, err error) {
	if header, err = types.DecodeHeader(raw[:min(len(raw), types.HeaderSize)]); err != nil {
		return header, nil, err
	}
	d := types.NewDecoder(raw[types.HeaderSize:])
	p = &givenProof{count: d.Uint32()}
	for range d.Count(types.HashSize) {
		p.hashes = append(p.hashes, d.Hash())
	}
	p.flags = d.VarBytes()
	return header, p, d.Err()
}

// root computes the root, and collects the transactions on the way. It reports false if
// the proof is none. A block of this weight has at most so many transactions that the
// work is bounded.
func (p *givenProof) root(maxWeight int) (types.Hash, bool) {
	const leastWeight = 4 * 60 // of a transaction
	if p.count == 0 || int64(p.count) > int64(maxWeight/leastWeight) || len(p.hashes) > int(p.count) || 8*len(p.flags) < len(p.hashes) {
		return types.Hash{}, false
	}
	height := 0
	for p.width(height) > 1 {
		height++
	}
	root := p.walk(height, 0)
	return root, !p.bad && (p.bits+7)/8 == len(p.flags) && p.taken == len(p.hashes)
}

// width is the number of nodes at a height above the leaves.
func (p *givenProof) width(height int) int { return (int(p.count) + 1<<height - 1) >> height }

// walk returns the hash of a node.
func (p *givenProof) walk(height, at int) types.Hash {
	if p.bits >= 8*len(p.flags) {
		p.bad = true
		return types.Hash{}
	}
	wanted := p.flags[p.bits/8]>>(p.bits%8)&1 == 1
	p.bits++
	if height == 0 || !wanted {
		if p.taken == len(p.hashes) {
			p.bad = true
			return types.Hash{}
		}
		hash := p.hashes[p.taken]
		if p.taken++; wanted {
			p.shown = append(p.shown, hash)
		}
		return hash
	}
	left := p.walk(height-1, 2*at)
	right := left
	if 2*at+1 < p.width(height-1) {
		if right = p.walk(height-1, 2*at+1); right == left {
			p.bad = true // as transactions differ, halves are never alike
		}
	}
	return types.DoubleSHA256(append(left[:], right[:]...))
}
