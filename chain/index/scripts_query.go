package index

import (
	"bytes"
	"container/heap"
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
			tx, err := scriptTx(place, value)
			if err != nil {
				return false, err
			}
			if n := len(h.Txs); bytes.Equal(place, last) {
				h.Txs[n-1].Received += tx.Received
				h.Txs[n-1].Sent += tx.Sent
				return true, nil
			} else if n == page.Limit {
				h.Next = &indexed.Cursor{Height: h.Txs[n-1].Height, N: h.Txs[n-1].Place.N}
				h.Next.Block, err = v.block(h.Next.Height)
				return false, err
			}
			if !page.Bare {
				tx.Place.Block, err = v.block(tx.Height)
			}
			h.Txs, last = append(h.Txs, tx), bytes.Clone(place)
			return true, err
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
	all := places{backwards: backwards}
	defer func() {
		for _, p := range all.list {
			p.Release()
		}
	}()
	seen := map[indexed.ScriptHash]bool{}
	for n, script := range scripts {
		if seen[script] {
			continue
		}
		seen[script] = true
		key := append([]byte{prefix}, script[:]...)
		i := v.snapshot.NewIterator(util.BytesPrefix(key), nil)
		if begin(i, key, after, backwards) {
			all.list = append(all.list, scriptPlace{i, n})
			continue
		}
		err := i.Error()
		i.Release()
		if err != nil {
			return err
		}
	}
	heap.Init(&all)
	for len(all.list) > 0 {
		next := all.list[0]
		if more, err := visit(next.script, next.place(), next.Value()); err != nil || !more {
			return err
		}
		if backwards && next.Prev() || !backwards && next.Next() {
			heap.Fix(&all, 0)
			continue
		}
		if err := next.Error(); err != nil {
			return err
		}
		heap.Pop(&all)
		next.Release()
	}
	return nil
}

// scriptPlace is how far a walk is with one script.
type scriptPlace struct {
	iterator.Iterator
	script int
}

// place is the key behind the prefix and the script.
func (p *scriptPlace) place() []byte { return p.Key()[1+len(indexed.ScriptHash{}):] }

// places are a heap, with what is visited next on top: a look at all scripts for each of
// their entries would take minutes where many are paid together again and again.
type places struct {
	list      []scriptPlace
	backwards bool
}

func (h *places) Len() int      { return len(h.list) }
func (h *places) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *places) Push(p any)    { h.list = append(h.list, p.(scriptPlace)) }

func (h *places) Less(i, j int) bool {
	order := bytes.Compare(h.list[i].place(), h.list[j].place())
	return order < 0 && !h.backwards || order > 0 && h.backwards
}

func (h *places) Pop() any {
	last := len(h.list) - 1
	p := h.list[last]
	h.list = h.list[:last]
	return p
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

// scriptTx reads an entry, without the block's hash.
func scriptTx(place, value []byte) (tx indexed.ScriptTx, err error) {
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
	return tx, nil
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
