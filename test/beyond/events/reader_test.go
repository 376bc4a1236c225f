package events

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
)

// reader keeps the coins of a chain in a database, knowing nothing but the stream. Each step
// is one batch, with the position behind it.
type reader struct {
	network types.Hash
	url     string

	mu sync.Mutex // below
	db *leveldb.DB
	at kept
	// asked is the block at which somebody wants to hear of the coins.
	asked string
}

// kept is the reader's position.
type kept struct {
	Sequence uint64 // of the message that ended the last step
	ID       string // its id
	journal.Position
}

// undo is how to go back behind a block.
type undo struct {
	Before types.Index
	Put    map[string]types.Coin
	Remove []string
}

// The keys of the database: the position, coins, and undo by height.
const (
	keyAt   = "at"
	keyCoin = "coin "
	keyUndo = "undo "
)

func undoKey(height uint32) []byte { return binary.BigEndian.AppendUint32([]byte(keyUndo), height) }

func coinKey(o types.OutPoint) string { return keyCoin + o.String() }

// beReader reads until it is killed. To each hash that it gets as a line it answers when it is
// there, with the number and the hash of its coins.
func beReader(folder, url string) error {
	params, err := testParams()
	if err != nil {
		return err
	}
	r := &reader{network: params.Identity(), url: url}
	if r.db, err = leveldb.OpenFile(folder, nil); err != nil {
		return err
	}
	if text, err := r.db.Get([]byte(keyAt), nil); err == nil {
		if err := json.Unmarshal(text, &r.at); err != nil {
			return err
		}
	}
	go func() {
		for {
			if err := r.follow(); err != nil && !errors.Is(err, nats.ErrNoServers) && !errors.Is(err, context.Canceled) && os.Getenv("KARAT_TEST_LOUD") != "" {
				fmt.Fprintln(os.Stderr, "reader:", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		r.mu.Lock()
		r.asked = lines.Text()
		r.answer()
		r.mu.Unlock()
	}
	return nil
}

// answer tells of the coins, if the reader is where it was asked for. It assumes mu.
func (r *reader) answer() {
	if r.at.Block.Hash.String() != r.asked {
		return
	}
	r.asked = ""
	stats := coinstats.New(true, false)
	for i := r.db.NewIterator(util.BytesPrefix([]byte(keyCoin)), nil); i.Next(); {
		var o types.OutPoint
		var c types.Coin
		txid, index, _ := strings.Cut(string(i.Key()[len(keyCoin):]), ":")
		o.TxID, _ = types.ParseHash(txid)
		_, _ = fmt.Sscan(index, &o.Index)
		c = decodeCoin(i.Value())
		stats.Add(o, &c)
	}
	s := stats.Result()
	fmt.Println(s.TxOuts, s.MuHash)
}

func encodeCoin(c *types.Coin) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(c.Value))
	b = binary.LittleEndian.AppendUint32(b, c.Height)
	if c.IsCoinbase {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(b, c.ScriptPubKey()...)
}

func decodeCoin(b []byte) types.Coin {
	out := types.TxOut{Value: types.Amount(binary.LittleEndian.Uint64(b)), ScriptPubKey: b[13:]}
	c, _ := types.NewCoin(&out, binary.LittleEndian.Uint32(b[8:]), b[12] == 1)
	return c
}

// follow reads from the position on, until the server goes.
func (r *reader) follow() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	nc, err := nats.Connect(r.url, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { cancel() }))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, journal.Stream("regtest", journal.JSON))
	if err != nil {
		return err
	}
	if err := r.resume(ctx, stream); err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.at.Sequence + 1})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	in := journal.Reader{Network: r.network, At: r.at.Position}
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		step, err := in.Read(&journal.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
		if err != nil {
			return err
		}
		if step != nil {
			if err := r.work(step, kept{meta.Sequence.Stream, m.Headers().Get(journal.HeaderID), in.At}); err != nil {
				return err
			}
		}
	}
}

// work works a step in.
func (r *reader) work(step *journal.Step, to kept) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := &leveldb.Batch{}
	back := undo{Before: r.at.Block, Put: map[string]types.Coin{}}
	for i := range step.Txs {
		if step.Direction == journal.Disconnected {
			i = len(step.Txs) - 1 - i
		}
		tx, err := step.Tx(i)
		if err != nil {
			return err
		}
		work(tx, func(o types.OutPoint, c types.Coin) {
			batch.Put([]byte(coinKey(o)), encodeCoin(&c))
			back.Remove = append(back.Remove, coinKey(o))
		}, func(o types.OutPoint) {
			if in, err := r.db.Get([]byte(coinKey(o)), nil); err == nil {
				back.Put[coinKey(o)] = decodeCoin(in)
			}
			batch.Delete([]byte(coinKey(o)))
		})
	}
	switch step.Direction {
	case journal.Connected:
		batch.Put(undoKey(step.Head.Block.Height), encodeUndo(&back))
	case journal.Disconnected:
		batch.Delete(undoKey(step.Head.Block.Height))
	}
	return r.write(batch, to)
}

// write assumes mu.
func (r *reader) write(batch *leveldb.Batch, to kept) error {
	text, err := json.Marshal(&to)
	if err != nil {
		return err
	}
	batch.Put([]byte(keyAt), text)
	if err := r.db.Write(batch, nil); err != nil {
		return err
	}
	r.at = to
	r.answer()
	return nil
}

type storedUndo struct {
	Before types.Index
	Put    map[string][]byte
	Remove []string
}

func encodeUndo(u *undo) []byte {
	s := storedUndo{u.Before, map[string][]byte{}, u.Remove}
	for k, c := range u.Put {
		s.Put[k] = encodeCoin(&c)
	}
	text, _ := json.Marshal(&s)
	return text
}

// goBack undoes the last block by what the reader has kept itself.
func (r *reader) goBack() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := r.db.Get(undoKey(r.at.Block.Height), nil)
	if err != nil {
		return err
	}
	var u storedUndo
	if err := json.Unmarshal(text, &u); err != nil {
		return err
	}
	batch := &leveldb.Batch{}
	for _, k := range u.Remove { // what a block makes and spends was removed by it
		batch.Delete([]byte(k))
	}
	for k, c := range u.Put {
		batch.Put([]byte(k), c)
	}
	batch.Delete(undoKey(r.at.Block.Height))
	to := kept{ID: "nowhere", Sequence: r.at.Sequence}
	if to.Block = u.Before; to.Block == (types.Index{}) {
		to = kept{} // from the beginning
	}
	return r.write(batch, to)
}

// resume finds where the stream goes on. If it is not the one that was read, the reader goes
// back to a block that both have.
func (r *reader) resume(ctx context.Context, stream jetstream.Stream) error {
	if r.at.Sequence == 0 {
		return nil
	}
	m, err := stream.GetMsg(ctx, r.at.Sequence)
	if err == nil && m.Header.Get(journal.HeaderID) == r.at.ID {
		return nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	lookup := func(from uint64) (*journal.Message, uint64, error) {
		m, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(journal.AnyBlockSubject("regtest", journal.JSON)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		return &journal.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}, m.Sequence, nil
	}
	for r.at.Sequence > 0 {
		h, at, err := journal.SeekHeight(info.State.FirstSeq, info.State.LastSeq, r.at.Block.Height, lookup)
		if err == nil && h.At == r.at.Block {
			m, err := stream.GetMsg(ctx, at)
			if err != nil {
				return err
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.write(&leveldb.Batch{}, kept{at, m.Header.Get(journal.HeaderID), h.Behind()})
		}
		if err != nil && !errors.Is(err, journal.ErrGap) {
			return err
		}
		if err := r.goBack(); err != nil {
			return err
		}
	}
	return nil
}
