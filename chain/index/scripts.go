package index

import (
	"encoding/binary"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// The index of scripts. A script is named by its SHA-256. Heights and positions in keys
// are subtracted from the greatest number, so that the newest comes first.
//
//	key                                                value
//	'a' script 32                                      five varints: transactions, outputs and their sum, spent outputs and their sum
//	'h' script 32 | height 4 | position in the block 4 txid 32 | four varints: offset, size, grains received, grains sent
//	'u' script 32 | height 4 | txid 32 | output 4      varint of grains·2 + coinbase: an output that is not spent
//
// Outputs that nobody can spend are not in it.
const (
	keyStats   = 'a'
	keyHistory = 'h'
	keyCoin    = 'u'
)

type scripts struct {
	w     *writer
	stats map[indexed.ScriptHash]*indexed.ScriptStats // that the step has touched
	// Of one transaction: what it does to each script.
	deltas     map[indexed.ScriptHash]*indexed.ScriptStats
	key, value []byte
}

func beginScripts(w *writer) (content, error) {
	return &scripts{
		w: w, stats: map[indexed.ScriptHash]*indexed.ScriptStats{}, deltas: map[indexed.ScriptHash]*indexed.ScriptStats{},
	}, nil
}

// revert goes from the last transaction to the first, since what the block both makes
// and spends must be gone in the end.
func (s *scripts) revert(u *consensus.BlockUpdate) error {
	spent := u.SpentCoins()
	if spent == nil {
		return fmt.Errorf("undo data of block %s does not belong to it", u.Update.Block)
	}
	for i := len(spent) - 1; i >= 0; i-- {
		s.inputs(u, i, spent[i], func(key []byte, coin *types.Coin) { s.w.put(key, s.coinValue(coin)) })
		s.outputs(u, i, func(key []byte, _ *types.Coin) { s.w.delete(key) })
		for script, delta := range s.deltas {
			stats, err := s.statsOf(script)
			if err != nil {
				return err
			}
			stats.Txs--
			stats.Funded -= delta.Funded
			stats.FundedSum -= delta.FundedSum
			stats.Spent -= delta.Spent
			stats.SpentSum -= delta.SpentSum
			s.w.delete(s.historyKey(script, u.Update.Block.Height, i))
		}
		clear(s.deltas)
	}
	return nil
}

func (s *scripts) apply(u *consensus.BlockUpdate) error {
	spent := u.SpentCoins()
	if spent == nil {
		return fmt.Errorf("undo data of block %s does not belong to it", u.Update.Block)
	}
	places := u.Block.Block.Places(u.Block.Hash)
	for i := range spent {
		s.inputs(u, i, spent[i], func(key []byte, _ *types.Coin) { s.w.delete(key) })
		s.outputs(u, i, func(key []byte, coin *types.Coin) { s.w.put(key, s.coinValue(coin)) })
		for script, delta := range s.deltas {
			stats, err := s.statsOf(script)
			if err != nil {
				return err
			}
			delta.Txs = 1
			stats.Add(delta)
			s.value = append(s.value[:0], u.Block.TxIDs[i][:]...)
			for _, n := range []uint64{uint64(places[i].Offset), uint64(places[i].Size), uint64(delta.FundedSum), uint64(delta.SpentSum)} {
				s.value = binary.AppendUvarint(s.value, n)
			}
			s.w.put(s.historyKey(script, u.Update.Block.Height, i), s.value)
		}
		clear(s.deltas)
	}
	return nil
}

// finish puts the stats of all scripts that were touched.
func (s *scripts) finish() error {
	for script, stats := range s.stats {
		s.key = append(append(s.key[:0], keyStats), script[:]...)
		if stats.Txs == 0 {
			s.w.delete(s.key)
			continue
		}
		s.value = s.value[:0]
		for _, n := range []uint64{stats.Txs, stats.Funded, uint64(stats.FundedSum), stats.Spent, uint64(stats.SpentSum)} {
			s.value = binary.AppendUvarint(s.value, n)
		}
		s.w.put(s.key, s.value)
	}
	return nil
}

// inputs notes what transaction i spends, and gives the key of each of these coins.
func (s *scripts) inputs(u *consensus.BlockUpdate, i int, spent []types.Coin, change func(key []byte, coin *types.Coin)) {
	for j := range spent {
		script := indexed.HashScript(spent[j].ScriptPubKey())
		delta := s.delta(script)
		delta.Spent++
		delta.SpentSum += spent[j].Value
		change(s.coinKey(script, &spent[j], &u.Block.Block.Txs[i].Inputs[j].PreviousOutPoint), &spent[j])
	}
}

// outputs notes what transaction i pays, and gives the key of each coin that it makes.
// Those of the genesis block are the network's allocations.
func (s *scripts) outputs(u *consensus.BlockUpdate, i int, change func(key []byte, coin *types.Coin)) {
	tx, height := &u.Block.Block.Txs[i], u.Update.Block.Height
	for j := range tx.Outputs {
		if !consensus.IsSpendable(tx.Outputs[j].ScriptPubKey) {
			continue
		}
		coin, _ := types.NewCoin(&tx.Outputs[j], height, i == 0 && height > 0)
		script := indexed.HashScript(tx.Outputs[j].ScriptPubKey)
		delta := s.delta(script)
		delta.Funded++
		delta.FundedSum += coin.Value
		change(s.coinKey(script, &coin, &types.OutPoint{TxID: u.Block.TxIDs[i], Index: uint32(j)}), &coin)
	}
}

func (s *scripts) delta(script indexed.ScriptHash) *indexed.ScriptStats {
	if s.deltas[script] == nil {
		s.deltas[script] = &indexed.ScriptStats{}
	}
	return s.deltas[script]
}

// statsOf returns the stats of a script, which finish puts.
func (s *scripts) statsOf(script indexed.ScriptHash) (*indexed.ScriptStats, error) {
	if s.stats[script] == nil {
		value, err := s.w.get(append(append(s.key[:0], keyStats), script[:]...))
		if err != nil {
			return nil, err
		}
		stats := &indexed.ScriptStats{}
		if value != nil {
			if *stats, err = readStats(value); err != nil {
				return nil, err
			}
		}
		s.stats[script] = stats
	}
	return s.stats[script], nil
}

func readStats(b []byte) (stats indexed.ScriptStats, err error) {
	var n [5]uint64
	for i := range n {
		if n[i], b, err = uvarint(b); err != nil {
			return stats, err
		}
	}
	return indexed.ScriptStats{
		Txs: n[0], Funded: n[1], FundedSum: types.Amount(n[2]), Spent: n[3], SpentSum: types.Amount(n[4]),
	}, nil
}

func (s *scripts) historyKey(script indexed.ScriptHash, height uint32, i int) []byte {
	s.key = append(append(s.key[:0], keyHistory), script[:]...)
	s.key = appendHistory(s.key, height, uint32(i))
	return s.key
}

// appendHistory appends what follows the script in a key of its history.
func appendHistory(b []byte, height, n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, ^height), ^n)
}

func (s *scripts) coinKey(script indexed.ScriptHash, coin *types.Coin, o *types.OutPoint) []byte {
	s.key = append(append(s.key[:0], keyCoin), script[:]...)
	s.key = appendCoin(s.key, coin.Height, o)
	return s.key
}

// appendCoin appends what follows the script in the key of a coin.
func appendCoin(b []byte, height uint32, o *types.OutPoint) []byte {
	return appendOutPoint(binary.BigEndian.AppendUint32(b, ^height), o)
}

func (s *scripts) coinValue(coin *types.Coin) []byte {
	n := uint64(coin.Value) << 1
	if coin.IsCoinbase {
		n |= 1
	}
	s.value = binary.AppendUvarint(s.value[:0], n)
	return s.value
}
