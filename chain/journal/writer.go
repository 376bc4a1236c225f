package journal

import (
	"encoding/json"
	"iter"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// Writer makes messages.
type Writer struct {
	Params *consensus.Params
	Format Format
	Name   string // of whoever writes; it tells readers nothing
}

// Place is a place in a step: how many of its transactions were told, and how many parts
// of the next.
type Place struct{ Txs, Parts int }

// Messages makes the messages of a step that connects or disconnects a block, from a place
// on. The genesis block's update needs no lists. An error says that block and undo data do
// not belong together, or that the place is not in the step; it ends the messages.
func (w *Writer) Messages(h *Head, u *consensus.BlockUpdate, from Place) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		spent, err := spentCoins(u)
		if err != nil {
			yield(Message{}, err)
			return
		}
		n := len(u.Block.Block.Txs)
		if from.Txs > n {
			yield(Message{}, foreign("step %d has told %d transactions of block %s, which has %d", h.Number, from.Txs, h.Block, n))
			return
		}
		for told := from.Txs; told < n; told++ {
			position := told
			if h.Direction == Disconnected {
				position = n - 1 - told
			}
			for m, err := range w.parts(h, u.Block, position, spent[position], from.Parts) {
				if !yield(m, err) || err != nil {
					return
				}
			}
			from.Parts = 0
		}
		m, err := w.block(h, u, spent)
		yield(m, err)
	}
}

// parts makes the messages of a transaction, but for those that were told.
func (w *Writer) parts(h *Head, b *consensus.HashedBlock, position int, spent []types.Coin, told int) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var data []byte
		var err error
		if tx := &b.Block.Txs[position]; w.Format == Raw {
			data = tx.AppendTo(make([]byte, 0, tx.Size()))
		} else {
			data, err = json.Marshal(jsonTx(h, w.Params.HRP, b, position, spent))
		}
		parts := max(1, (len(data)+PartSize-1)/PartSize)
		if err == nil && told > 0 && told >= parts {
			err = foreign("step %d has told %d parts of transaction %d of block %s, which has %d", h.Number, told, position, h.Block, parts)
		}
		if err != nil {
			yield(Message{}, err)
			return
		}
		subject := TxSubject(w.Params.Name, w.Format, h.Direction)
		for part := told; part < parts; part++ {
			id := ID{Number: h.Number, Direction: h.Direction, Hash: h.Block.Hash, Position: position}
			m := Message{Subject: subject, Header: map[string][]string{HeaderWriter: {w.Name}}, Data: data[part*PartSize : min((part+1)*PartSize, len(data))]}
			if parts > 1 {
				id.Part = part + 1
				m.Header[HeaderPart] = []string{strconv.Itoa(id.Part) + "/" + strconv.Itoa(parts)}
			}
			m.Header[HeaderID] = []string{id.String()}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (w *Writer) block(h *Head, u *consensus.BlockUpdate, spent [][]types.Coin) (Message, error) {
	m := Message{Subject: BlockSubject(w.Params.Name, w.Format, h.Direction), Header: h.headers(w.Name)}
	if w.Format == Raw {
		m.Data = u.Block.Block.Header.AppendTo(nil)
		return m, nil
	}
	fees := types.Amount(0)
	for i := range spent {
		fees += fee(&u.Block.Block.Txs[i], spent[i])
	}
	var err error
	m.Data, err = json.Marshal(jsonBlock(h, u, fees))
	return m, err
}

// Abandon makes the message of a step that gives up what was told of a block.
func (w *Writer) Abandon(h *Head) (Message, error) {
	m := Message{Subject: BlockSubject(w.Params.Name, w.Format, Abandoned), Header: h.headers(w.Name)}
	if w.Format == Raw {
		return m, nil
	}
	var err error
	m.Data, err = json.Marshal(&Block{Event: h.Direction, Step: h.Number, Height: h.Block.Height, Hash: h.Block.Hash, Work: h.Work.String()})
	return m, err
}
