package rpc_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// place is a cursor as a subscriber keeps it.
type place struct {
	Sequence uint64          `json:"sequence"`
	Height   uint32          `json:"height"`
	Hash     types.Hash      `json:"hash"`
	Mempool  json.RawMessage `json:"mempool,omitempty"`
}

// happening is an event.
type happening struct {
	Subscription uint64
	Event        string
	Sequence     uint64
	Cursor       place
	Block        struct {
		Hash, PreviousBlockHash types.Hash
		Height                  uint32
	}
	Transactions []struct {
		TxID  types.Hash
		Hex   string
		Spent []struct {
			Value        json.Number
			Height       uint32
			Generated    bool
			ScriptPubKey string
		}
	}
	TxID  types.Hash
	Error *struct{ Message string }
}

// subscriber follows a node by its events alone. What it keeps is changed by one event at
// a time, together with the cursor, as on a disk.
type subscriber struct {
	random *rand.Rand
	conn   *websocket.Conn
	events chan happening // closed with the connection
	failed error          // how the connection ended

	at    place
	coins chaintest.Coins
	pool  map[types.Hash]bool
	// past is the last events of blocks and what was before each, to walk back where the node
	// has forgotten something.
	past    []pastEvent
	resumed bool // the pool's changes go on where they were broken off, unless it is reset
	seen    map[string]int
}

type pastEvent struct {
	before place
	coins  chaintest.Coins
}

const keepPast = 150

func (s *subscriber) note(kind string) {
	if s.seen == nil {
		s.seen = map[string]int{}
	}
	s.seen[kind]++
}

func (s *subscriber) alive() bool { return s.conn != nil }

// kill ends the subscriber at some event.
func (s *subscriber) kill() error {
	if s.conn == nil {
		return nil
	}
	// Some events were worked in before it died, some were on their way.
	for range s.random.IntN(8) {
		select {
		case h, open := <-s.events:
			if open {
				if err := s.work(h); err != nil {
					return err
				}
			}
		default:
		}
	}
	s.conn.NetConn().Close()
	for range s.events {
	}
	s.conn = nil
	return nil
}

// subscribe asks for what comes behind the newest place that the node knows.
func (s *subscriber) subscribe(conn *websocket.Conn) error {
	locator := []place{s.at}
	for _, p := range slices.Backward(s.past) {
		locator = append(locator, place{Sequence: p.before.Sequence, Height: p.before.Height, Hash: p.before.Hash})
	}
	params, err := json.Marshal([]any{[]string{"blocks", "transactions", "mempool"}, locator})
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if err := conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"method":"subscribe","params":%s,"id":1}`, params)); err != nil {
		return err
	}
	_, answer, err := conn.ReadMessage()
	if err != nil {
		return err
	}
	var reply struct {
		Result *struct{ Cursor place }
		Error  *struct{ Message string }
	}
	if err := unmarshal(answer, &reply); err != nil || reply.Result == nil {
		return fmt.Errorf("subscribe: %s", answer)
	}
	for s.at.Hash != reply.Result.Cursor.Hash {
		if len(s.past) == 0 {
			return fmt.Errorf("subscribe goes on at %+v, for which nobody asked", reply.Result.Cursor)
		}
		last := s.past[len(s.past)-1]
		s.past = s.past[:len(s.past)-1]
		s.at, s.coins = last.before, last.coins
		s.note("walked back")
	}
	if s.at.Sequence != reply.Result.Cursor.Sequence {
		return fmt.Errorf("subscribe goes on behind event %d, asked for what is behind %d", reply.Result.Cursor.Sequence, s.at.Sequence)
	}
	if len(reply.Result.Cursor.Mempool) > 0 {
		s.resumed = true
	}
	s.conn, s.events = conn, make(chan happening, 1000)
	go func() {
		defer close(s.events)
		for {
			_, message, err := conn.ReadMessage()
			if err != nil {
				s.failed = err
				return
			}
			var n struct {
				Method string
				Params []happening
			}
			if unmarshal(message, &n) != nil || n.Method != "event" || len(n.Params) != 1 {
				n.Params = []happening{{Event: "no event: " + string(message)}}
			}
			s.events <- n.Params[0]
		}
	}()
	return nil
}

// work works an event in.
func (s *subscriber) work(h happening) error {
	if h.Sequence != s.at.Sequence+1 || h.Sequence != h.Cursor.Sequence {
		return fmt.Errorf("event %d (%s) behind event %d", h.Sequence, h.Event, s.at.Sequence)
	}
	before := pastEvent{s.at, s.coins}
	switch h.Event {
	case "blockapplied":
		if h.Block.PreviousBlockHash != s.at.Hash || h.Block.Height != s.at.Height+1 || h.Cursor.Hash != h.Block.Hash || h.Cursor.Height != h.Block.Height {
			return fmt.Errorf("block %s is applied on %s", h.Block.Hash, s.at.Hash)
		}
		block, err := h.block()
		if err != nil {
			return err
		}
		s.coins = s.coins.After(block, h.Block.Height)
	case "blockreverted":
		if h.Block.Hash != s.at.Hash || h.Cursor.Hash != h.Block.PreviousBlockHash || h.Cursor.Height+1 != h.Block.Height {
			return fmt.Errorf("block %s is reverted at %s", h.Block.Hash, s.at.Hash)
		}
		if err := s.revert(h); err != nil {
			return err
		}
	case "mempoolreset":
		s.resumed = false
		clear(s.pool)
	case "txadded":
		if s.resumed {
			s.note("resumed the pool")
		}
		s.resumed = false
		if s.pool[h.TxID] {
			return fmt.Errorf("%s was added before", h.TxID)
		}
		s.pool[h.TxID] = true
	case "txremoved": // perhaps one that was gone before it could be told
		delete(s.pool, h.TxID)
	default:
		return fmt.Errorf("event %+v", h)
	}
	if h.Event == "blockapplied" || h.Event == "blockreverted" {
		s.past = append(s.past, before)
		s.past = s.past[max(0, len(s.past)-keepPast):]
	}
	s.at = h.Cursor
	return nil
}

func (h *happening) block() (*types.Block, error) {
	block := &types.Block{}
	for _, t := range h.Transactions {
		raw, err := hex.DecodeString(t.Hex)
		if err != nil {
			return nil, err
		}
		tx, err := types.DecodeTx(raw)
		if err != nil || tx.TxID() != t.TxID {
			return nil, fmt.Errorf("transaction %s: %v", t.TxID, err)
		}
		block.Txs = append(block.Txs, *tx)
	}
	return block, nil
}

// revert takes a block back, by what its event tells.
func (s *subscriber) revert(h happening) error {
	block, err := h.block()
	if err != nil {
		return err
	}
	s.coins = maps.Clone(s.coins)
	for i := len(block.Txs) - 1; i >= 0; i-- {
		for j := range block.Txs[i].Outputs {
			delete(s.coins, chaintest.Output(&block.Txs[i], uint32(j)))
		}
		for j, spent := range h.Transactions[i].Spent {
			script, err := hex.DecodeString(spent.ScriptPubKey)
			if err != nil {
				return err
			}
			grains, err := strconv.ParseInt(strings.Replace(spent.Value.String(), ".", "", 1), 10, 64) // it has eight decimals
			if err != nil {
				return err
			}
			coin, ok := types.NewCoin(&types.TxOut{Value: types.Amount(grains), ScriptPubKey: script}, spent.Height, spent.Generated)
			if !ok {
				return fmt.Errorf("a coin of %s with script %s", spent.Value, spent.ScriptPubKey)
			}
			s.coins[block.Txs[i].Inputs[j].PreviousOutPoint] = coin
		}
	}
	return nil
}

// until works events in until the subscriber is at a block and knows what waits.
func (s *subscriber) until(tip types.Hash, waiting []types.Hash) error {
	enough := time.After(patience)
	for {
		there := s.at.Hash == tip && len(s.at.Mempool) > 0 && len(s.pool) == len(waiting)
		for _, txid := range waiting {
			there = there && s.pool[txid]
		}
		if there {
			return nil
		}
		select {
		case h, open := <-s.events:
			if !open {
				return fmt.Errorf("the node has hung up: %w", s.failed)
			}
			if err := s.work(h); err != nil {
				return err
			}
		case <-enough:
			return fmt.Errorf("it stays at %+v with %d waiting, want %s and %d", s.at, len(s.pool), tip, len(waiting))
		}
	}
}
