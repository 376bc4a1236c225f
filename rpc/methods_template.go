package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

func templateMethods() []method {
	return []method{
		{name: "getblocktemplate", read: getBlockTemplate, about: "Returns what is needed to make a block (BIP22, BIP23, BIP9, BIP145), or says what would become of a block (mode proposal). With the capability coinbasetxn the answer has a coinbase that pays to --mine-to.", params: []param{
			{name: "template_request", kind: kindObject, sample: `'{"rules": ["segwit"]}'`, about: "mode (template or proposal), capabilities (longpoll, coinbasevalue, coinbasetxn, proposal, ...), rules (segwit at least), longpollid (answer when there is something new), data (the block of a proposal)"}}},
	}
}

// templateRequest is the parameter of getblocktemplate. Members that are not known are
// passed over, as BIP22 has it.
type templateRequest struct {
	mode         string // template or proposal
	data         string // of a proposal, in hexadecimal
	rules        []string
	wantCoinbase bool // it wants one to be made
	waits        bool // for a better template
	since        pollID
}

// The most that a request has of anything. Clients send a handful.
const maxTemplateMembers, maxTemplateWords = 100, 1000

// readTemplateRequest has the checks of Bitcoin Core, in its order and with its words.
func readTemplateRequest(s *Server, a *args) *templateRequest {
	r := &templateRequest{mode: "template"}
	raw := a.composite(0, kindObject, maxTemplateMembers)
	if raw == nil {
		return r
	}
	members, err := readMembers(raw)
	if a.fail(err); err != nil {
		return r
	}
	get := func(name string) json.RawMessage {
		if at := members.at(name); at >= 0 && string(members[at].value) != "null" {
			return members[at].value
		}
		return nil
	}
	if mode := get("mode"); mode != nil && json.Unmarshal(mode, &r.mode) != nil {
		a.fail(failf(CodeInvalidParam, "Invalid mode"))
	}
	if r.mode == "proposal" {
		if data := get("data"); data == nil || json.Unmarshal(data, &r.data) != nil {
			a.fail(failf(CodeType, "Missing data String key for proposal"))
		}
		return r
	}
	for _, rule := range a.words("rules", get("rules")) {
		r.rules = append(r.rules, a.element(rule))
	}
	if r.mode != "template" {
		a.fail(failf(CodeInvalidParam, "Invalid mode"))
	}
	if !slices.Contains(r.rules, "segwit") {
		a.fail(failf(CodeInvalidParam, `getblocktemplate must be called with the segwit rule set (call with {"rules": ["segwit"]})`))
	}
	r.wantCoinbase = slices.ContainsFunc(a.words("capabilities", get("capabilities")), func(word json.RawMessage) bool {
		return string(word) == `"coinbasetxn"`
	})
	if id := get("longpollid"); id != nil {
		r.waits, r.since = true, s.pollID(a, id)
	}
	return r
}

// words returns the elements of a list. What is no list is passed over, as Core does.
func (a *args) words(name string, raw json.RawMessage) (words []json.RawMessage) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	if n := elements(raw); n > maxTemplateWords {
		a.fail(failf(CodeInvalidParam, "%s has %d elements, at most %d are allowed", name, n, maxTemplateWords))
		return nil
	}
	a.fail(json.Unmarshal(raw, &words))
	return words
}

// getBlockTemplate is Core's getblocktemplate. It differs in three things. It is never
// refused because the tip is old or nobody is connected: somebody must make the first
// block after a pause. With the capability coinbasetxn it makes the coinbase, which
// miners need who cannot pay to a taproot address. And what it answers is of this
// moment; Core's may be five seconds old.
func getBlockTemplate(s *Server, a *args) work {
	r := readTemplateRequest(s, a)
	if r.mode == "proposal" {
		return judgeProposal(s, a, r.data)
	}
	return func(ctx context.Context) (any, error) {
		switch {
		case s.Miner == nil:
			return nil, errNoMiner
		case r.wantCoinbase && len(s.PayTo) == 0:
			// Miners show nothing of the error but its status.
			s.log.Warn("a miner wants a coinbase, and nobody is named whom it pays; see --mine-to")
			return nil, failf(CodeMisc, "coinbasetxn: this node does not know whom to pay; start it with --mine-to ADDRESS")
		}
		if r.waits {
			if err := s.waitForNews(ctx, r.since); err != nil {
				return nil, err
			}
		}
		return s.templateJSON(s.Miner.Template(), r.wantCoinbase)
	}
}

var errNoMiner = failf(CodeMisc, "this node cannot mine")

// templateHead and templateTail are the answer, in Core's order, before and behind the
// transactions.
type templateHead struct {
	Capabilities      []string       `json:"capabilities"`
	Version           int32          `json:"version"`
	Rules             []string       `json:"rules"`
	VBAvailable       map[string]int `json:"vbavailable"`
	VBRequired        int            `json:"vbrequired"`
	PreviousBlockHash types.Hash     `json:"previousblockhash"`
}

type templateTail struct {
	CoinbaseAux              map[string]string `json:"coinbaseaux"`
	CoinbaseTxn              *coinbaseTxn      `json:"coinbasetxn,omitempty"`
	CoinbaseValue            types.Amount      `json:"coinbasevalue"`
	LongPollID               string            `json:"longpollid"`
	Target                   string            `json:"target"`
	MinTime                  uint32            `json:"mintime"`
	Mutable                  []string          `json:"mutable"`
	NonceRange               string            `json:"noncerange"`
	SigOpLimit               int               `json:"sigoplimit"`
	SizeLimit                int               `json:"sizelimit"`
	WeightLimit              int               `json:"weightlimit"`
	CurTime                  uint32            `json:"curtime"`
	Bits                     string            `json:"bits"`
	Height                   uint32            `json:"height"`
	DefaultWitnessCommitment string            `json:"default_witness_commitment"`
}

// coinbaseTxn is the coinbase as BIP22 has it: a transaction of the template with a fee
// that is negative.
type coinbaseTxn struct {
	Data     string       `json:"data"`
	TxID     types.Hash   `json:"txid"`
	Hash     types.Hash   `json:"hash"`
	Depends  []int        `json:"depends"`
	Fee      types.Amount `json:"fee"`
	SigOps   int          `json:"sigops"`
	Weight   int          `json:"weight"`
	Required bool         `json:"required"`
}

// templateJSON writes a template down. Nothing is ever voted on here, so that no version
// bit means anything; the rules are those that Bitcoin's miners must know.
func (s *Server) templateJSON(t *template.Template, withCoinbase bool) (json.RawMessage, error) {
	target, _, _ := consensus.ExpandBits(t.Header.Bits)
	head := templateHead{
		Capabilities: []string{"proposal"}, Version: t.Header.Version, Rules: []string{"csv", "!segwit", "taproot"},
		VBAvailable: map[string]int{}, PreviousBlockHash: t.Header.PrevBlock,
	}
	tail := templateTail{
		CoinbaseAux: map[string]string{}, CoinbaseValue: t.CoinbaseValue, LongPollID: pollIDOf(t).String(),
		Target: target.String(), MinTime: t.MinTime, Mutable: []string{"time", "transactions", "prevblock"}, NonceRange: "00000000ffffffff",
		SigOpLimit: consensus.MaxSigOpsCost, SizeLimit: s.Params.MaxBlockWeight, WeightLimit: s.Params.MaxBlockWeight,
		CurTime: t.HeaderAt(s.Control.Now()).Timestamp, Bits: bitsHex(t.Header.Bits), Height: t.Height,
		DefaultWitnessCommitment: hex.EncodeToString(t.Commitment),
	}
	if withCoinbase {
		tail.CoinbaseTxn = s.coinbaseTxn(t)
		tail.Mutable = append(tail.Mutable, "coinbase/append")
	}
	first, err := marshal(head)
	if err != nil {
		return nil, err
	}
	last, err := marshal(tail)
	if err != nil {
		return nil, err
	}
	txs := s.encoded.of(t)
	answer := make([]byte, 0, len(first)+len(txs)+len(last)+20)
	answer = append(append(answer, first[:len(first)-1]...), `,"transactions":`...)
	answer = append(append(answer, txs...), ',')
	return append(answer, last[1:]...), nil
}

// coinbaseTxn makes a coinbase that pays to the node's own script. It is written without
// its witness, because miners hash the bytes as they are to get the id; submitblock adds
// the witness. Each has another extra nonce: no two miners search through the same
// headers.
func (s *Server) coinbaseTxn(t *template.Template) *coinbaseTxn {
	tx := s.Miner.Coinbase(t, s.PayTo)
	tx.Inputs[0].Witness = nil
	txid := tx.TxID()
	return &coinbaseTxn{
		Data: hex.EncodeToString(tx.AppendTo(nil)), TxID: txid, Hash: txid, Depends: []int{}, Fee: -t.Fees, Weight: tx.Weight(), Required: true,
	}
}

// encodedTxs keeps the transactions of the last template as they are written in answers:
// after a block many miners ask for the same at once.
type encodedTxs struct {
	mu   sync.Mutex
	last *encodedOf
}

// encodedOf is the encoding of one template, which the first who needs it makes.
type encodedOf struct {
	template *template.Template
	once     sync.Once
	raw      json.RawMessage
}

func (e *encodedTxs) of(t *template.Template) json.RawMessage {
	e.mu.Lock()
	if e.last == nil || e.last.template != t {
		e.last = &encodedOf{template: t}
	}
	of := e.last
	e.mu.Unlock()
	of.once.Do(func() { of.raw = encodeTemplateTxs(t) })
	return of.raw
}

// encodeTemplateTxs writes the list by hand: it is most of the answer, and nothing in it
// needs an escape. Signature operations are counted in scriptSigs, which are empty.
func encodeTemplateTxs(t *template.Template) []byte {
	size := 2
	for _, e := range t.Entries {
		size += 2*len(e.Raw) + 300
	}
	b := append(make([]byte, 0, size), '[')
	place := make(map[types.Hash]int, len(t.Entries)) // counted from 1: 0 is the coinbase
	for i, e := range t.Entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"data":"`...)
		b = hex.AppendEncode(b, e.Raw)
		b = fmt.Appendf(b, `","txid":"%s","hash":"%s","depends":[`, e.TxID, e.WTxID)
		comma := false
		for j := range e.Tx.Inputs {
			if at := place[e.Tx.Inputs[j].PreviousOutPoint.TxID]; at > 0 {
				if comma {
					b = append(b, ',')
				}
				b, comma = strconv.AppendInt(b, int64(at), 10), true
			}
		}
		b = fmt.Appendf(b, `],"fee":%d,"sigops":0,"weight":%d}`, e.Fee, e.Weight)
		place[e.TxID] = i + 1
	}
	return append(b, ']')
}
