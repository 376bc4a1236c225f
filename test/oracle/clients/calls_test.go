package clients

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc/zmqinfo"
)

// A program is how one writes its calls: its head and its envelope, byte by byte.
type program struct {
	name     string
	head     string // with {host}, {port}, {auth} and {length}
	envelope string // with {method}, {params} and {id}
	bare     string // the envelope of a call without parameters, if it is another
	end      string // what the program puts behind a body
	batch    bool   // every call is a batch of one
	once     bool   // a connection for every call
	calls    []call
}

// A call is made with params, and read says what the program takes from the answer.
type call struct {
	method string
	params string // a JSON array, with what [scene.fill] knows; of a batch, an array of them
	batch  bool
	// read lists paths and the kinds of what is there: s a text, i a whole number, n a
	// number, b true or false, a an array, o an object, z null: "fees.base:n 0.txid:s".
	// "height=6" is a value, "flags~TAPROOT" an array that holds it, "-5" an error's code.
	read string
}

// TestClientsCalls makes the calls with which programs begin and work, in their own
// bytes, and looks whether they find what they read.
func TestClientsCalls(t *testing.T) {
	s := newScene(t)
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			s.t = t
			line := s.dial(t)
			for i, c := range p.calls {
				if p.once && i > 0 {
					_ = line.conn.Close()
					line = s.dial(t)
				}
				s.make(&p, &c, line, i+1)
			}
		})
	}
}

// scene is a node with blocks, waiting transactions and coins to spend, and what calls
// ask for.
type scene struct {
	t     *testing.T
	s     node.Started
	login string
	fixed map[string]string
	fan   *wire.MsgTx // its outputs are to be spent
	next  uint32
}

func newScene(t *testing.T) *scene {
	t.Helper()
	started := nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.Indexes = []string{indexed.Txs, indexed.Filters, indexed.Spenders, indexed.CoinStats, indexed.Scripts}
		c.REST = true
		c.Web = "127.0.0.1:0"
		c.ZMQ = []zmqinfo.Endpoint{{Topic: zmqinfo.HashBlock, Address: "tcp://127.0.0.1:0", HighWater: 10}}
	}).Started
	cookie := must[[]byte](t)(os.ReadFile(started.CookieFile))
	s := &scene{t: t, s: started, login: base64.StdEncoding.EncodeToString(bytes.TrimSpace(cookie))}
	c := must[*rpcclient.Client](t)(rpcclient.New(config(started), nil))
	defer c.Shutdown()
	mine := func(n int64) *chainhash.Hash {
		hashes := must[[]*chainhash.Hash](t)(c.GenerateToAddress(n, anchorAddress(t), nil))
		return hashes[len(hashes)-1]
	}
	send := func(tx *wire.MsgTx) string {
		return must[*chainhash.Hash](t)(c.SendRawTransaction(tx, false)).String()
	}
	mine(5)
	first := must[*chainhash.Hash](t)(c.GetBlockHash(1))
	coinbase := must[*wire.MsgBlock](t)(c.GetBlock(first)).Transactions[0]
	s.fan = fanOut(coinbase, 100)
	mined := send(s.fan)
	tip := mine(1)
	for done := false; !done; time.Sleep(10 * time.Millisecond) { // indexes follow the chain
		var indexes map[string]struct {
			Height int `json:"best_block_height"`
		}
		raw := must[json.RawMessage](t)(c.RawRequest("getindexinfo", nil))
		if err := json.Unmarshal(raw, &indexes); err != nil {
			t.Fatal(err)
		}
		done = true
		for _, index := range indexes {
			done = done && index.Height == 6
		}
	}
	genesis := must[*chainhash.Hash](t)(c.GetBlockHash(0))
	spent := wire.NewOutPoint(&s.fan.TxIn[0].PreviousOutPoint.Hash, 0)
	parent := s.fresh()
	child := payTo2(parent, 0)
	s.fixed = map[string]string{
		"tip": tip.String(), "first": first.String(), "genesis": genesis.String(), "mined": mined, "coinbase": coinbase.TxHash().String(),
		"spent": spent.Hash.String(), "parent": send(parent), "child": send(child),
		"address": anchorAddress(t).String(), "taproot": taprootAddress(t).String(),
	}
	return s
}

// fanOut pays what a coinbase has to n anchors.
func fanOut(from *wire.MsgTx, n int64) *wire.MsgTx {
	txid := from.TxHash()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&txid, 0), nil, nil))
	for range n {
		tx.AddTxOut(wire.NewTxOut(from.TxOut[0].Value/n-1000, anchor))
	}
	return tx
}

// payTo2 spends an output to two anchors.
func payTo2(from *wire.MsgTx, output uint32) *wire.MsgTx {
	txid := from.TxHash()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&txid, output), nil, nil))
	half := from.TxOut[output].Value / 2
	tx.AddTxOut(wire.NewTxOut(half, anchor))
	tx.AddTxOut(wire.NewTxOut(half-1000, anchor))
	return tx
}

func encode(tx *wire.MsgTx) string {
	var b bytes.Buffer
	_ = tx.Serialize(&b)
	return fmt.Sprintf("%x", b.Bytes())
}

// fresh is a transaction that the node does not know.
func (s *scene) fresh() *wire.MsgTx {
	s.next++
	return payTo2(s.fan, s.next-1)
}

// fill puts in what calls ask for: {tip}, {first}, {genesis}, {mined}, {coinbase}, {spent},
// {parent}, {child}, {address}, {taproot}; {raw} is a fresh transaction, {package} two of them.
func (s *scene) fill(params string) string {
	for name, value := range s.fixed {
		params = strings.ReplaceAll(params, "{"+name+"}", value)
	}
	for strings.Contains(params, "{raw}") {
		params = strings.Replace(params, "{raw}", encode(s.fresh()), 1)
	}
	if strings.Contains(params, "{package}") {
		parent := s.fresh()
		params = strings.Replace(params, "{package}", fmt.Sprintf("%q,%q", encode(parent), encode(payTo2(parent, 0))), 1)
	}
	return params
}

// A line is a connection that a program keeps.
type line struct {
	conn net.Conn
	r    *bufio.Reader
}

func (s *scene) dial(t *testing.T) *line {
	t.Helper()
	conn, err := net.Dial("tcp", s.s.RPC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return &line{conn, bufio.NewReader(conn)}
}

// make writes a call as its program does, and checks the answer.
func (s *scene) make(p *program, c *call, l *line, id int) {
	s.t.Helper()
	one := func(params string, id int) string {
		envelope := p.envelope
		if params == "" {
			if params = "[]"; p.bare != "" {
				envelope = p.bare
			}
		}
		return strings.NewReplacer("{method}", c.method, "{params}", params, "{id}", strconv.Itoa(id)).Replace(envelope)
	}
	params := s.fill(c.params)
	body := one(params, id)
	if p.batch || c.batch {
		list := []json.RawMessage{json.RawMessage(params)}
		if c.batch {
			list = nil
			if err := json.Unmarshal([]byte(params), &list); err != nil {
				s.t.Fatalf("%s %s: %v", c.method, params, err)
			}
		}
		texts := make([]string, len(list))
		for i, params := range list {
			texts[i] = one(string(params), id+i)
		}
		body = "[" + strings.Join(texts, ",") + "]"
	}
	body += p.end
	host, port, _ := net.SplitHostPort(s.s.RPC)
	head := strings.NewReplacer("{host}", host, "{port}", port, "{auth}", s.login, "{length}", strconv.Itoa(len(body))).Replace(p.head)
	if _, err := io.WriteString(l.conn, head+body); err != nil {
		s.t.Fatal(err)
	}
	status, answer := l.answer(s.t)
	what := fmt.Sprintf("%s %.200s", c.method, params)
	var results []any
	if p.batch || c.batch {
		s.decode(what, answer, &results)
		if status != "HTTP/1.1 200 OK" {
			s.t.Errorf("%s: %s", what, status)
		}
	} else {
		var result any
		s.decode(what, answer, &result)
		results = []any{result}
	}
	for i, result := range results {
		s.check(what, c.read, status, id+i, result)
	}
}

func (s *scene) decode(what, answer string, to any) {
	s.t.Helper()
	d := json.NewDecoder(strings.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		s.t.Fatalf("%s: %v in %.300s", what, err, answer)
	}
}

// answer reads an answer as those programs do that have no HTTP library: the length is in
// a header of this name, and the body is one line.
func (l *line) answer(t *testing.T) (status, body string) {
	t.Helper()
	text := func() string {
		text, err := l.r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		return strings.TrimRight(text, "\r\n")
	}
	status = text()
	length, kind := -1, ""
	for header := text(); header != ""; header = text() {
		name, value, _ := strings.Cut(header, ": ")
		switch name {
		case "Content-Length":
			length, _ = strconv.Atoi(value)
		case "Content-Type":
			kind = value
		}
	}
	if length < 1 || kind != "application/json" {
		t.Fatalf("%s: %d bytes of %q", status, length, kind)
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(l.r, raw); err != nil {
		t.Fatal(err)
	}
	if bytes.IndexByte(raw, '\n') != length-1 {
		t.Fatalf("not one line: %.300s", raw)
	}
	return status, string(raw)
}

// check looks for what a program reads in an answer to one call.
func (s *scene) check(what, read, status string, id int, answer any) {
	s.t.Helper()
	if got := at(answer, "id"); fmt.Sprint(got) != strconv.Itoa(id) {
		s.t.Errorf("%s: id %v, want %d", what, got, id)
	}
	if code, ok := strings.CutPrefix(read, "-"); ok {
		if got := at(answer, "error.code"); fmt.Sprint(got) != "-"+code {
			s.t.Errorf("%s: %v, want error -%s", what, answer, code)
		}
		return
	}
	object, _ := answer.(map[string]any)
	result, ok := object["result"]
	if !ok || object["error"] != nil || status != "HTTP/1.1 200 OK" {
		s.t.Errorf("%s: %s, %.300v", what, status, answer)
		return
	}
	s.look(what, read, result)
}

// look looks for what is read in a result.
func (s *scene) look(what, read string, result any) {
	s.t.Helper()
	for field := range strings.FieldsSeq(read) {
		if i := strings.IndexAny(field, "=~"); i >= 0 {
			path, wanted := field[:i], s.fill(field[i+1:])
			got, ok := at(result, path), false
			if list, _ := got.([]any); field[i] == '~' {
				ok = slices.Contains(list, any(wanted))
			} else {
				ok = fmt.Sprint(got) == wanted
			}
			if !ok {
				s.t.Errorf("%s: %q is %v, want %s", what, path, got, wanted)
			}
			continue
		}
		path, wanted, _ := strings.Cut(field, ":")
		if got := kind(at(result, path)); got != wanted && (wanted != "n" || got != "i") {
			s.t.Errorf("%s: %q is of kind %s, want %s; in %.600v", what, path, got, wanted, result)
		}
	}
}

// missing stands for what is not there.
type missing struct{}

// at follows a path of names and positions. "*" is any member.
func at(v any, path string) any {
	if path == "" {
		return v
	}
	for name := range strings.SplitSeq(path, ".") {
		switch value := v.(type) {
		case map[string]any:
			v = missing{}
			if inner, ok := value[name]; ok {
				v = inner
			} else if name == "*" {
				for _, v = range value {
					break
				}
			}
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n >= len(value) {
				return missing{}
			}
			v = value[n]
		default:
			return missing{}
		}
	}
	return v
}

func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "z"
	case string:
		return "s"
	case bool:
		return "b"
	case []any:
		return "a"
	case map[string]any:
		return "o"
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "n"
		}
		return "i"
	}
	return "missing"
}
