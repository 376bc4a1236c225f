package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// ScriptBalances returns what scripts were paid, all of one moment. A script that was
// never paid has nothing.
func (s *Set) ScriptBalances(scripts []indexed.ScriptHash) (b indexed.Balances, err error) {
	err = s.find(indexed.Scripts).read(func(v *view) error {
		b.Stats = make([]indexed.ScriptStats, len(scripts))
		for i, script := range scripts {
			value, err := v.get(append([]byte{keyStats}, script[:]...))
			if errors.Is(err, ErrBehind) {
				continue
			}
			if err == nil {
				b.Stats[i], err = readStats(value)
			}
			if err != nil {
				return err
			}
		}
		b.At, err = v.at()
		return err
	})
	return b, err
}

// ScriptHistory returns a page of the transactions that pay to scripts or spend from
// them. One that does so with several is there once. The cost is that of the page, and
// of a look at each script.
func (s *Set) ScriptHistory(scripts []indexed.ScriptHash, page indexed.Page) (h indexed.History, err error) {
	err = s.find(indexed.Scripts).read(func(v *view) error {
		after, err := v.after(page.After, func(c *indexed.Cursor) []byte { return appendHistory(nil, c.Height, c.N) })
		if err != nil {
			return err
		}
		var last []byte
		err = v.walk(keyHistory, scripts, after, page.Oldest, func(_ int, place, value []byte) (bool, error) {
			tx, err := v.scriptTx(place, value)
			if err != nil {
				return false, err
			}
			if n := len(h.Txs); bytes.Equal(place, last) {
				h.Txs[n-1].Received += tx.Received
				h.Txs[n-1].Sent += tx.Sent
				return true, nil
			} else if n == page.Limit {
				h.Next = &indexed.Cursor{Height: h.Txs[n-1].Height, Block: h.Txs[n-1].Place.Block, N: h.Txs[n-1].Place.N}
				return false, nil
			}
			h.Txs, last = append(h.Txs, tx), bytes.Clone(place)
			return true, nil
		})
		if err == nil {
			h.At, err = v.at()
		}
		return err
	})
	return h, err
}

// ScriptCoins returns a page of the unspent outputs of scripts.
func (s *Set) ScriptCoins(scripts []indexed.ScriptHash, page indexed.Page) (c indexed.Coins, err error) {
	err = s.find(indexed.Scripts).read(func(v *view) error {
		after, err := v.after(page.After, func(c *indexed.Cursor) []byte { return appendCoin(nil, c.Height, &c.OutPoint) })
		if err != nil {
			return err
		}
		err = v.walk(keyCoin, scripts, after, page.Oldest, func(script int, place, value []byte) (bool, error) {
			if n := len(c.Coins); n == page.Limit {
				last := &c.Coins[n-1]
				c.Next = &indexed.Cursor{Height: last.Height, OutPoint: last.OutPoint}
				c.Next.Block, err = v.block(last.Height)
				return false, err
			}
			coin, err := readCoin(place, value)
			coin.Script = scripts[script]
			c.Coins = append(c.Coins, coin)
			return true, err
		})
		if err == nil {
			c.At, err = v.at()
		}
		return err
	})
	return c, err
}

// after returns the place of a cursor, nil without one, or ErrCursor if its block has
// left the chain.
func (v *view) after(c *indexed.Cursor, place func(c *indexed.Cursor) []byte) ([]byte, error) {
	if c == nil {
		return nil, nil
	}
	switch hash, err := v.get(blockKey(c.Height)); {
	case err != nil && !errors.Is(err, ErrBehind):
		return nil, err
	case string(hash) != string(c.Block[:]):
		return nil, indexed.ErrCursor
	}
	return place(c), nil
}

// walk visits what scripts have under a prefix behind a place, in the order of the places,
// until visit returns false. The slices are good during a visit only.
func (v *view) walk(prefix byte, scripts []indexed.ScriptHash, after []byte, backwards bool, visit func(script int, place, value []byte) (bool, error)) error {
	const head = 1 + len(indexed.ScriptHash{})
	var all []iterator.Iterator // of the scripts; nil where there is no more
	defer func() {
		for _, i := range all {
			if i != nil {
				i.Release()
			}
		}
	}()
	seen := map[indexed.ScriptHash]bool{}
	for _, script := range scripts {
		if seen[script] {
			all = append(all, nil)
			continue
		}
		seen[script] = true
		key := append([]byte{prefix}, script[:]...)
		i := v.snapshot.NewIterator(util.BytesPrefix(key), nil)
		all = append(all, i)
		if !begin(i, key, after, backwards) {
			if err := i.Error(); err != nil {
				return err
			}
			i.Release()
			all[len(all)-1] = nil
		}
	}
	for {
		next := -1
		for n, i := range all {
			if i != nil && (next < 0 || (bytes.Compare(i.Key()[head:], all[next].Key()[head:]) < 0) != backwards) {
				next = n
			}
		}
		if next < 0 {
			return nil
		}
		i := all[next]
		if more, err := visit(next, i.Key()[head:], i.Value()); err != nil || !more {
			return err
		}
		if backwards && !i.Prev() || !backwards && !i.Next() {
			if err := i.Error(); err != nil {
				return err
			}
			i.Release()
			all[next] = nil
		}
	}
}

// begin moves an iterator to the first that is to be visited, and reports whether there
// is one.
func begin(i iterator.Iterator, key, after []byte, backwards bool) bool {
	switch {
	case after == nil && backwards:
		return i.Last()
	case after == nil:
		return i.First()
	}
	key = append(key, after...)
	found := i.Seek(key)
	switch {
	case backwards && found:
		return i.Prev()
	case backwards:
		return i.Last()
	case found && bytes.Equal(i.Key(), key):
		return i.Next()
	}
	return found
}

var errShort = fmt.Errorf("%w: an entry of a script that is too short", errAnew)

func (v *view) scriptTx(place, value []byte) (tx indexed.ScriptTx, err error) {
	if len(place) != 8 || len(value) < types.HashSize {
		return tx, errShort
	}
	tx.TxID, value = types.Hash(value), value[types.HashSize:]
	var n [4]uint64
	for i := range n {
		if n[i], value, err = uvarint(value); err != nil {
			return tx, err
		}
	}
	tx.Height = ^binary.BigEndian.Uint32(place)
	tx.Place = types.TxPlace{N: ^binary.BigEndian.Uint32(place[4:]), Offset: uint32(n[0]), Size: uint32(n[1])}
	tx.Received, tx.Sent = types.Amount(n[2]), types.Amount(n[3])
	tx.Place.Block, err = v.block(tx.Height)
	return tx, err
}

func readCoin(place, value []byte) (coin indexed.ScriptCoin, err error) {
	if len(place) != 4+types.HashSize+4 {
		return coin, errShort
	}
	n, _, err := uvarint(value)
	coin.Height = ^binary.BigEndian.Uint32(place)
	coin.OutPoint = types.OutPoint{TxID: types.Hash(place[4:]), Index: binary.BigEndian.Uint32(place[4+types.HashSize:])}
	coin.Value, coin.IsCoinbase = types.Amount(n>>1), n&1 != 0
	return coin, err
}
