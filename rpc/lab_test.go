package rpc

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

const labTime = 1_800_000_000

// lab is the parts of a node that mining asks, of which a test says what they answer.
type lab struct {
	*fake
	params *consensus.Params

	mu      sync.Mutex
	state   consensus.State
	entries []*pending.Entry
	changes uint64 // of the pool
	now     int64
	nonces  uint64
	made    *template.Template // the last one

	known    map[types.Hash]header.Info
	verdict  error // on blocks, headers and proposals
	added    [][]byte
	proposed [][]byte
	headers  []types.Header
	wanted   []types.Hash
	generate func(n int, script []byte, tries uint64) ([]types.Hash, error)
}

// newLab returns a lab at height 7, and a server that answers from it.
func newLab(t testing.TB) (*lab, *Server) {
	t.Helper()
	l := &lab{fake: newFake(), now: labTime, known: map[types.Hash]header.Info{}}
	s := l.fake.server(t)
	s.Params = &consensus.Params{
		Name: "test", HRP: "bcrt", MaxBlockWeight: 4_000_000, HalvingInterval: 150, InitialSubsidy: 50 * types.GrainsPerCoin,
		Difficulty: consensus.Difficulty{Algorithm: consensus.DifficultyFixed}, PowLimit: consensus.Uint256{3: 1<<63 - 1},
		Genesis: consensus.Genesis{Bits: 0x207fffff}, MaxMoney: 21_000_000 * types.GrainsPerCoin,
	}
	l.params = s.Params
	l.move(types.Index{Height: 7, Hash: types.Hash{7}})
	s.Headers, s.Operator, s.Control, s.Pool, s.Miner = labHeaders{l.fake, l}, labOperator{l.fake, l}, labControl{l.fake, l}, labPool{txFeed{fake: l.fake}, l}, labMiner{l}
	s.PayTo = taproot.OutputScript([32]byte{5})
	return l, s
}

// move makes a block the tip.
func (l *lab) move(to types.Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = consensus.NewState(to, types.Header{Bits: 0x207fffff, Timestamp: labTime - 60}, consensus.Uint256{1}, []uint32{labTime - 60})
}

func (l *lab) change() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
}

type labHeaders struct {
	Headers
	*lab
}

func (h labHeaders) TipState() consensus.State {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	return h.state
}
func (h labHeaders) Tip() types.Index { s := h.TipState(); return s.Index }
func (h labHeaders) Info(hash types.Hash) (header.Info, bool) {
	info, ok := h.known[hash]
	return info, ok
}
func (h labHeaders) HashAt(uint32) (types.Hash, bool) { return types.Hash{}, false }

type labOperator struct {
	Operator
	*lab
}

func (o labOperator) AddBlock(_ context.Context, raw []byte) error {
	o.added = append(o.added, raw)
	return o.verdict
}
func (o labOperator) Propose(_ context.Context, raw []byte) error {
	o.proposed = append(o.proposed, raw)
	return o.verdict
}
func (o labOperator) AddHeaders(headers []types.Header) error {
	o.headers = append(o.headers, headers...)
	return o.verdict
}
func (o labOperator) Want(hash types.Hash) { o.wanted = append(o.wanted, hash) }

type labControl struct {
	Control
	*lab
}

func (c labControl) Now() time.Time     { return time.Unix(c.now, 0) }
func (c labControl) Stop()              {}
func (c labControl) Warnings() []string { return []string{} }

type labPool struct {
	Pool
	*lab
}

func (p labPool) Info() pending.Info {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	return pending.Info{Sequence: p.changes, Count: len(p.lab.entries)}
}

func (p labPool) Get(txid types.Hash) *pending.Entry {
	if at := slices.IndexFunc(p.lab.entries, func(e *pending.Entry) bool { return e.TxID == txid }); at >= 0 {
		return p.lab.entries[at]
	}
	return nil
}

func (p labPool) Subscribe() (<-chan struct{}, func()) { return nil, func() {} }

type labMiner struct{ *lab }

func (m labMiner) Template() *template.Template {
	m.lab.mu.Lock()
	defer m.lab.mu.Unlock()
	m.made = template.New(m.params, &m.state, m.lab.entries, 8000, time.Unix(labTime, 0))
	m.made.PoolChanges = m.changes
	return m.made
}
func (m labMiner) Last() *template.Template { return m.made }
func (m labMiner) Coinbase(t *template.Template, script []byte) types.Tx {
	m.nonces++
	return t.Coinbase(script, binary.LittleEndian.AppendUint64([]byte{8}, m.nonces))
}
func (m labMiner) Generate(_ context.Context, n int, script []byte, tries uint64) ([]types.Hash, error) {
	return m.lab.generate(n, script, tries)
}

// waitingTx is a transaction that spends outputs of others, as the pool has it.
func waitingTx(fee types.Amount, outPoints ...types.OutPoint) *pending.Entry {
	tx := &types.Tx{Version: 2, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: taproot.OutputScript([32]byte{9})}}}
	for _, o := range outPoints {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: o, Sequence: 1, Witness: [][]byte{{1, 2, 3}}})
	}
	return &pending.Entry{Tx: tx, Raw: tx.AppendTo(nil), TxID: tx.TxID(), WTxID: tx.WTxID(), Fee: fee, Weight: tx.Weight()}
}
