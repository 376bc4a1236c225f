package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// kept is an outlet that keeps a reply.
type kept struct {
	status int
	length int64
	reply  []byte
	err    error
	hold   int64
}

func (k *kept) begin(status int, length int64) { k.status, k.length = status, length }
func (k *kept) write(piece []byte) error       { k.reply = append(k.reply, piece...); return nil }
func (k *kept) end(err error)                  { k.err = err }
func (k *kept) holds() int64                   { return k.hold }
func (k *kept) ending() string                 { return "" }

// answered returns the reply to a body, and its status.
func (s *Server) answered(ctx context.Context, on *session, body []byte) ([]byte, int) {
	k := kept{hold: 100 << 20}
	s.answer(ctx, on, body, &k)
	return k.reply, k.status
}

// longText is a result that writes itself: a text of n times a word.
type longText struct {
	n    int
	fail int // after so many words; 0: never
}

func (l longText) writeJSON(w *jsonWriter) error {
	w.raw(`"`)
	for i := range l.n {
		if i > 0 && i == l.fail && !w.count {
			return errors.New("broken")
		}
		w.raw("word ")
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.raw(`"`)
	return nil
}

// number is a result that appends itself.
type number int

func (n number) appendJSON(b []byte) []byte { return fmt.Appendf(b, "%d", int(n)) }

// TestStreams: a result that writes itself arrives whole, alone and in a batch, with its
// length before it, and one that breaks off never looks whole.
func TestStreams(t *testing.T) {
	s := newFake().server(t)
	for name, v := range map[string]any{"long": longText{n: 1 << 20}, "short": longText{n: 3}, "broken": longText{n: 1 << 20, fail: 1 << 19}, "refused": longText{n: 9, fail: 3}, "seven": number(7)} {
		s.table[name] = &method{name: name, read: noParams(func(context.Context, *Server) (any, error) { return v, nil })}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.answer(r.Context(), &session{user: &User{}}, body, httpReply{w})
	}))
	defer server.Close()
	long, short := `"`+strings.Repeat("word ", 1<<20)+`"`, `"word word word "`
	one := func(result string) string { return `{"result":` + result + `,"error":null,"id":1}` }
	for _, tt := range []struct {
		methods string
		want    string // empty: the connection is cut
	}{
		{"long", one(long) + "\n"},
		{"short", one(short) + "\n"},
		{"seven", one("7") + "\n"},
		{"refused", `{"result":null,"error":{"code":-1,"message":"broken"},"id":1}` + "\n"},
		{"broken", ""},
		{"short,seven", "[" + one(short) + "," + one("7") + "]\n"},
		{"long,seven,long", "[" + one(long) + "," + one("7") + "," + one(long) + "]\n"},
		{"seven,long,long,long,long,short", "[" + one("7") + strings.Repeat(","+one(long), 4) + "," + one(short) + "]\n"},
		{"long,broken,seven", ""},
		{"long,long,long,long,broken,seven", ""},
	} {
		names := strings.Split(tt.methods, ",")
		var calls []string
		for _, name := range names {
			calls = append(calls, `{"method":"`+name+`","id":1}`)
		}
		body := strings.Join(calls, ",")
		if len(names) > 1 {
			body = "[" + body + "]"
		}
		r, err := http.Post(server.URL, "", strings.NewReader(body))
		if err != nil {
			if tt.want != "" {
				t.Errorf("%s: %v", tt.methods, err)
			}
			continue
		}
		answer, err := io.ReadAll(r.Body)
		r.Body.Close()
		if (tt.want == "") != (err != nil) {
			t.Errorf("%s: error %v behind %d bytes", tt.methods, err, len(answer))
		}
		if tt.want == "" {
			continue
		}
		if string(answer) != tt.want {
			t.Errorf("%s: %d bytes that differ from the %d that are right", tt.methods, len(answer), len(tt.want))
		}
		if chunked := r.ContentLength < 0; chunked != (len(tt.want) > holdAnswers) {
			t.Errorf("%s: Content-Length %d", tt.methods, r.ContentLength)
		}
	}
}

// TestGoneClient: nothing is made for a client that has gone.
func TestGoneClient(t *testing.T) {
	s := newFake().server(t)
	ctx, cancel := context.WithCancel(t.Context())
	k := kept{}
	pieces := 0
	_, err := s.stream(ctx, &k, &request{}, writing(func(w *jsonWriter) error {
		for range 1000 {
			w.raw(strings.Repeat(" ", pieceBytes))
			if err := w.spill(); err != nil {
				return err
			}
			if !w.count {
				pieces++
				cancel()
			}
		}
		return nil
	}))
	if !errors.Is(err, context.Canceled) || pieces > 1 {
		t.Errorf("%v after %d pieces", err, pieces)
	}
}

type writing func(w *jsonWriter) error

func (f writing) writeJSON(w *jsonWriter) error { return f(w) }
