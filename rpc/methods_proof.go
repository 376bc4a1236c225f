package rpc

import (
	"context"
	"encoding/hex"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/proof"
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
		m, err := proof.DecodeMerkleBlock(raw)
		if err != nil {
			return nil, failf(CodeMisc, "proof: %v", err)
		}
		shown, ok := m.Verify(s.Params.MaxBlockWeight)
		if !ok {
			return []types.Hash{}, nil
		}
		info, ok := s.Headers.Info(m.Header.Hash())
		if !ok || !info.OnBestChain || info.TxCount == 0 {
			return nil, failf(CodeAddressOrKey, "Block not found in chain")
		}
		// Without this, two hashes of the tree could pass for a transaction of 64 bytes.
		if info.TxCount != m.Count {
			return []types.Hash{}, nil
		}
		return append([]types.Hash{}, shown...), nil // [] and not null
	}
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
		shown, found := make([]bool, len(block.TxIDs)), 0
		for i, txid := range block.TxIDs {
			if shown[i] = wanted[txid]; shown[i] {
				found++
			}
		}
		if found != len(wanted) {
			return nil, failf(CodeAddressOrKey, "Not all transactions found in specified or retrieved block")
		}
		return hex.EncodeToString(proof.NewMerkleBlock(&info.Header, block.TxIDs, shown).AppendTo(nil)), nil
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
