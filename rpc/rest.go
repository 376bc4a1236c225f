package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// REST is Bitcoin Core's: what can be read of the chain, by GET and without a password.
// Since anybody who reaches the port may ask, its clients stay strangers: their
// connections give way to those of users.

// The formats of answers. An answer has one as the end of its path.
const (
	formatBinary = "bin"
	formatHex    = "hex"
	formatJSON   = "json"
)

// maxRESTBody is the size of a request's body in bytes. Only getutxos has one: a list of
// few outpoints, in hexadecimal.
const maxRESTBody = 4 << 10

// restPath is the beginning of a path, and what answers behind it.
type restPath struct {
	prefix string
	answer restMethod
}

type restMethod func(s *Server, q *restQuery) (restAnswer, error)

// restPaths are all, of which the first that fits counts.
var restPaths = []restPath{
	{"tx/", restTx},
	{"block/notxdetails/", restBlockIDs},
	{"block/", restBlock},
	{"blockpart/", restBlockPart},
	{"blockfilter/", restFilter},
	{"blockfilterheaders/", restFilterHeaders},
	{"chaininfo", restChainInfo},
	{"mempool/", restMempool},
	{"headers/", restHeaders},
	{"getutxos", restCoins},
	{"deploymentinfo/", restDeployments},
	{"deploymentinfo", restDeployments},
	{"blockhashbyheight/", restBlockHash},
	{"spenttxouts/", restSpentOutputs},
}

// restQuery is one question.
type restQuery struct {
	ctx    context.Context
	rest   string // of the path, behind the prefix and without the format
	format string // empty: none that is known
	values url.Values
	body   []byte
	hold   hold // of the memory that all strangers share
}

// restAnswer is an answer in the formats that it has.
type restAnswer struct {
	binary    []byte
	block     *blockPart // in place of binary
	hex       string     // empty: binary in hexadecimal
	json      any
	immutable bool // it never changes, so that it may be kept
}

// blockPart is some bytes of a block. They are read piece by piece, since many may ask for
// blocks and take none of what they are sent.
type blockPart struct {
	*lease
	offset, size int
}

// restError is a refusal. Its text is Core's.
type restError struct {
	status int
	text   string
}

// Error implements error.
func (e *restError) Error() string { return e.text }

func restErrorf(status int, format string, args ...any) error {
	return &restError{status, failf(0, format, args...).Message}
}

// restPrefix is what paths of REST begin with.
const restPrefix = "/rest/"

// serveREST answers a path of REST.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(pathOf(r), restPrefix)
	reply := httpReply{w}
	w.Header().Set("Cache-Control", "no-store")
	i := slices.IndexFunc(restPaths, func(p restPath) bool { return strings.HasPrefix(path, p.prefix) })
	if i < 0 {
		restRefuse(w, &restError{http.StatusNotFound, "there is nothing here"})
		return
	}
	q := &restQuery{ctx: r.Context(), rest: path[len(restPaths[i].prefix):], values: r.URL.Query(), hold: hold{a: s.accounts.of(strangers)}}
	defer q.hold.end()
	if dot := strings.LastIndexByte(q.rest, '.'); dot >= 0 {
		if format := q.rest[dot+1:]; format == formatBinary || format == formatHex || format == formatJSON {
			q.rest, q.format = q.rest[:dot], format
		}
	}
	var err error
	if q.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxRESTBody)); err != nil {
		w.Header().Set("Connection", "close") // what else comes belongs to the body
		status, problem := brokenBody(err)
		restRefuse(w, &restError{status, problem})
		return
	}
	answer, err := s.answerREST(q, restPaths[i].answer)
	if err != nil {
		var refusal *restError
		if !errors.As(err, &refusal) {
			refusal = &restError{http.StatusInternalServerError, asError(err).Message}
		}
		restRefuse(w, refusal)
		return
	}
	if answer.immutable {
		w.Header().Set("Cache-Control", "public, immutable, max-age=86400")
	}
	s.sendREST(reply, q, &answer)
}

// answerREST runs what answers, unless the node is still starting. Like calls, it is one
// of those that the node waits for at its end.
func (s *Server) answerREST(q *restQuery, run restMethod) (restAnswer, error) {
	if !s.warm.Load() {
		return restAnswer{}, restErrorf(http.StatusServiceUnavailable, "Service temporarily unavailable: the node is starting")
	}
	end, ok := s.active.begin("rest")
	if !ok {
		return restAnswer{}, restErrorf(http.StatusServiceUnavailable, "Service temporarily unavailable: the node stops")
	}
	defer end()
	if err := q.grow(answerHold); err != nil {
		return restAnswer{}, err
	}
	answer, err := run(s, q)
	if more := int64(len(answer.binary)) - answerHold; err == nil && more > 0 {
		err = q.grow(more)
	}
	return answer, err
}

// strangers is who all are that ask without a password. No user has a colon in its name.
const strangers = ":"

// grow waits until there is so much more memory for what strangers are told.
func (q *restQuery) grow(n int64) error {
	if q.hold.grow(q.ctx, n) != nil {
		return restErrorf(http.StatusServiceUnavailable, "Service temporarily unavailable: answers to others take all memory that there is for REST")
	}
	return nil
}

func restRefuse(w http.ResponseWriter, e *restError) {
	text := e.text + "\r\n"
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(e.status)
	_, _ = io.WriteString(w, text)
}

// sendREST sends an answer in the format that was asked for.
func (s *Server) sendREST(reply httpReply, q *restQuery, a *restAnswer) {
	if a.block != nil {
		defer a.block.giveBack()
		reply.end(a.block.send(reply, q))
		return
	}
	switch q.format {
	case formatJSON:
		begun, err := s.pieces(q.ctx, reply, func(w *jsonWriter) error {
			err := s.write(&request{Method: json.RawMessage("rest")}, w, a.json)
			w.raw("\n")
			return err
		})
		if begun {
			reply.end(err)
			return
		}
		restRefuse(reply.w, &restError{http.StatusInternalServerError, asError(err).Message})
	case formatBinary:
		reply.beginAs("application/octet-stream", int64(len(a.binary)))
		reply.end(writePieces(reply, a.binary))
	case formatHex:
		length := 2*len(a.binary) + 1
		if a.hex != "" {
			length = len(a.hex) + 1
		}
		reply.beginAs("text/plain", int64(length))
		w := jsonWriter{piece: reply.write}
		w.raw(a.hex)
		w.hex(a.binary)
		w.raw("\n")
		reply.end(w.flush())
	}
}

// send sends a part of a block.
func (p *blockPart) send(reply httpReply, q *restQuery) error {
	w := jsonWriter{ctx: q.ctx, lease: p.lease}
	w.piece = func(piece []byte) error { return w.meanwhile(func() error { return reply.write(piece) }) }
	add, end := func(part []byte) { w.b = append(w.b, part...) }, ""
	if q.format == formatHex {
		add, end = w.hex, "\n"
		reply.beginAs("text/plain", 2*int64(p.size)+1)
	} else {
		reply.beginAs("application/octet-stream", int64(p.size))
	}
	if err := p.eachPiece(q.ctx, p.offset, p.size, func(part []byte) error { add(part); return w.spill() }); err != nil {
		return err
	}
	w.raw(end)
	return w.flush()
}

// has says whether an answer has the format that was asked for.
func (q *restQuery) has(formats ...string) error {
	if slices.Contains(formats, q.format) {
		return nil
	}
	list := "." + strings.Join(formats, ", .")
	if len(formats) == 1 { // Core's words for these have no dot
		list = formats[0]
	}
	return restErrorf(http.StatusNotFound, "output format not found (available: %s)", list)
}

// value returns a parameter behind the question mark.
func (q *restQuery) value(name, otherwise string) string {
	if list, ok := q.values[name]; ok {
		return list[0]
	}
	return otherwise
}

// hash reads the hash that a part of the path is.
func (q *restQuery) hash(text string) (types.Hash, error) {
	h, err := types.ParseHash(text)
	if err != nil {
		return h, restErrorf(http.StatusBadRequest, "Invalid hash: %s", printableTo(2*types.HashSize+8, text))
	}
	return h, nil
}

// count reads how many headers are wanted.
func (q *restQuery) count(text string) (int, error) {
	const most = 2000
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < 1 || n > most {
		return 0, restErrorf(http.StatusBadRequest, "Header count is invalid or out of acceptable range (1-%d): %s", most, printable(text))
	}
	return int(n), nil
}

// methodResult is the result of a method with these parameters, which are right.
func (s *Server) methodResult(ctx context.Context, name string, params ...any) (any, error) {
	raw, err := marshal(params)
	if err != nil {
		return nil, err
	}
	m := s.table[name]
	a, err := parseArgs(m, raw)
	if err != nil {
		return nil, err
	}
	return m.run(ctx, s, a)
}

// hexBytes decodes as much as is hexadecimal, as Core reads a body: what is not makes it
// empty.
func hexBytes(text []byte) []byte {
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	return raw
}
