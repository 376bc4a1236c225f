package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chainmaker"
)

const (
	keyCount   = 50_000
	maturity   = 110
	busyBlock  = 1000 // each so many blocks one is full of payments
	busyTxs    = 1000
	maxPerKind = 100_000 // of a sample
)

// sample is what visitors ask for, of the whole chain.
type sample struct {
	Height    uint32
	Blocks    []types.Hash
	Txs       []types.Hash
	Addresses []string
}

// makeChain writes a chain and a sample of it to a folder, unless both are there. Coinbases are
// divided into coins; then there are up to four payments in a block, and now and then a
// thousand.
func makeChain(params *consensus.Params, dir string, blocks, coins int) (*sample, error) {
	path := filepath.Join(dir, "sample.json")
	s := &sample{}
	if text, err := os.ReadFile(path); err == nil {
		return s, json.Unmarshal(text, s)
	}
	f, err := os.Create(chainFile(dir))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, random := chainmaker.New(params, f, keyCount), rand.New(rand.NewPCG(3, 4))
	var coinbases []chainmaker.Coin
	for range maturity {
		coinbases = append(coinbases, m.Block(nil))
	}
	m.FanOut(coinbases, coins)
	for int(m.Height) < blocks {
		n := random.IntN(5)
		if m.Height%busyBlock == 0 {
			n = busyTxs
		}
		txs, made := m.Payments(n, 2)
		m.Block(txs)
		m.Add(txs, made)
		s.note(params, random, m, txs)
	}
	s.Height = m.Height
	if err := m.Flush(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(path, text, 0o644)
}

func chainFile(dir string) string { return filepath.Join(dir, "chain.dat") }

func (s *sample) note(params *consensus.Params, random *rand.Rand, m *chainmaker.Maker, txs []*types.Tx) {
	s.Blocks = keep(s.Blocks, random, m.Tip.Hash())
	for i, tx := range txs {
		if i == 4 { // of a full block, which would be most of the sample
			break
		}
		s.Txs = keep(s.Txs, random, tx.TxID())
		address, err := taproot.EncodeAddress(params.HRP, tx.Outputs[0].ScriptPubKey)
		if err == nil {
			s.Addresses = keep(s.Addresses, random, address)
		}
	}
}

// keep adds to a list, in the place of another one when there are enough.
func keep[T any](list []T, random *rand.Rand, v T) []T {
	if len(list) < maxPerKind {
		return append(list, v)
	}
	list[random.IntN(len(list))] = v
	return list
}
