package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// merkleProof shows that transactions are in a block whose header is known, in the
// encoding of BIP37's merkleblock. Here t1 is wanted:
//
//	      root 1
//	     /      \
//	   a 1       b 0
//	  /   \     /   \
//	t0 0  t1 1  t2   t3
//
// There is a bit for each node that the way to a wanted transaction passes or leaves
// aside: is something wanted in it? They go from the root on, the left before the
// right: 1 1 0 1 0. There is a hash for each node at which the way ends: t0 t1 b. With
// both, a client computes the root and compares it with the header's.
type merkleProof struct {
	txids  []types.Hash
	wanted []bool // beside txids
	hashes []types.Hash
	bits   []bool
}

// width is the number of nodes of the tree at a height above the leaves.
func (m *merkleProof) width(height int) int { return (len(m.txids) + 1<<height - 1) >> height }

// node returns the hash of a node. One without a right half is hashed with its left
// half twice, as in the block's own merkle root.
func (m *merkleProof) node(height, at int) types.Hash {
	if height == 0 {
		return m.txids[at]
	}
	left := m.node(height-1, 2*at)
	right := left
	if 2*at+1 < m.width(height-1) {
		right = m.node(height-1, 2*at+1)
	}
	return types.DoubleSHA256(append(left[:], right[:]...))
}

// walk goes down the tree, the root first, as far as there is something wanted.
func (m *merkleProof) walk(height, at int) {
	wanted := slices.Contains(m.wanted[at<<height:min((at+1)<<height, len(m.txids))], true)
	m.bits = append(m.bits, wanted)
	if height == 0 || !wanted {
		m.hashes = append(m.hashes, m.node(height, at))
		return
	}
	m.walk(height-1, 2*at)
	if 2*at+1 < m.width(height-1) {
		m.walk(height-1, 2*at+1)
	}
}

// encode returns the header and the proof, as the message merkleblock has them.
func (m *merkleProof) encode(header *types.Header) []byte {
	height := 0
	for m.width(height) > 1 {
		height++
	}
	m.walk(height, 0)
	b := header.AppendTo(nil)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.txids)))
	b = types.AppendCompactSize(b, uint64(len(m.hashes)))
	for i := range m.hashes {
		b = append(b, m.hashes[i][:]...)
	}
	flags := make([]byte, (len(m.bits)+7)/8)
	for i, bit := range m.bits {
		if bit {
			flags[i/8] |= 1 << (i % 8)
		}
	}
	return types.AppendVarBytes(b, flags)
}

// getTxOutProof is Core's gettxoutproof. Without the name of a block it asks the
// transaction index, or looks for an output of a transaction that is unspent. The bound
// on ids is karat's.
func getTxOutProof(s *Server, a *args) work {
	texts := a.texts(0, 1000)
	if len(texts) == 0 {
		a.fail(failf(CodeInvalidParam, "Parameter 'txids' cannot be empty"))
	}
	wanted := map[types.Hash]bool{}
	var txids []types.Hash
	for _, text := range texts {
		txid := a.parseHash("txid", text)
		if wanted[txid] {
			a.fail(failf(CodeInvalidParam, "Invalid parameter, duplicated txid: %s", txid))
		}
		wanted[txid] = true
		txids = append(txids, txid)
	}
	var info header.Info
	named := a.given(1)
	if named {
		info = s.blockInfo(a, 1, "blockhash")
	}
	return func(ctx context.Context) (any, error) {
		if !named {
			var err error
			if info, err = s.blockOfAny(ctx, txids); err != nil {
				return nil, err
			}
		}
		block, err := s.block(&info)
		if err != nil {
			return nil, err
		}
		m := merkleProof{txids: block.TxIDs, wanted: make([]bool, len(block.TxIDs))}
		found := 0
		for i, txid := range block.TxIDs {
			if m.wanted[i] = wanted[txid]; wanted[txid] {
				found++
			}
		}
		if found != len(wanted) {
			return nil, failf(CodeAddressOrKey, "Not all transactions found in specified or retrieved block")
		}
		return hex.EncodeToString(m.encode(&info.Header)), nil
	}
}

// What is looked up to find a transaction by an output that is unspent: so many outputs
// of the first transaction at most, and so many of all.
const (
	maxOutputsTried = 4_000
	maxCoinsTried   = 100_000
)

// blockOfAny returns the block of one of the transactions.
func (s *Server) blockOfAny(ctx context.Context, txids []types.Hash) (header.Info, error) {
	if info, ok := s.indexedTx(ctx, txids[0]); ok && !s.isUnspendableGenesis(txids[0]) {
		return info, nil
	}
	tried := 0
	for from, size := uint32(0), uint32(50); from < maxOutputsTried; from, size = from+size, 1_000 {
		for _, txid := range txids {
			if tried += int(size); tried > maxCoinsTried {
				break
			}
			outPoints := make([]types.OutPoint, size)
			for i := range outPoints {
				outPoints[i] = types.OutPoint{TxID: txid, Index: from + uint32(i)}
			}
			coins, _, err := s.Blocks.Coins(ctx, outPoints)
			if err != nil {
				return header.Info{}, err
			}
			for i := range coins {
				if !coins[i].Found {
					continue
				}
				if hash, ok := s.Headers.HashAt(coins[i].Coin.Height); ok {
					info, _ := s.Headers.Info(hash)
					return info, nil
				}
			}
		}
	}
	return header.Info{}, failf(CodeAddressOrKey, "Transaction not yet in block")
}
