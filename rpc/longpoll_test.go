package rpc

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// poll makes a long poll, and returns a function that tells whether it has been
// answered, and with what.
func poll(t *testing.T, ctx context.Context, s *Server, id string) func() (string, bool) {
	var answer atomic.Pointer[string]
	go func() {
		reply, _ := s.answered(ctx, &session{user: &User{}}, []byte(`{"method":"getblocktemplate","params":[{"rules":["segwit"],"longpollid":`+id+`}],"id":1}`))
		text := string(reply)
		answer.Store(&text)
	}()
	return func() (string, bool) {
		synctest.Wait()
		if text := answer.Load(); text != nil {
			return *text, true
		}
		return "", false
	}
}

// TestLongPoll: a block is told at once, transactions after a minute and then every ten
// seconds, nothing after ten minutes.
func TestLongPoll(t *testing.T) {
	newTip := types.Index{Height: 8, Hash: types.Hash{8}}
	for _, test := range []struct {
		name  string
		id    func(l *lab) string
		do    func(l *lab)
		after time.Duration // do, and how long it takes from the beginning until the answer
		want  time.Duration
	}{
		{"a block", now, func(l *lab) { l.move(newTip); l.blocks <- struct{}{} }, 30 * time.Second, 30 * time.Second},
		{"a block that was there before", func(l *lab) string { id := now(l); l.move(newTip); return id }, nil, 0, 0},
		{"another tip", func(*lab) string { return `"` + strings.Repeat("ab", 32) + `17"` }, nil, 0, 0},
		{"a transaction at once", now, (*lab).change, time.Second, time.Minute},
		{"a transaction before", func(l *lab) string { id := now(l); l.change(); return id }, nil, 0, time.Minute},
		{"a transaction after more than a minute", now, (*lab).change, 63 * time.Second, 70 * time.Second},
		{"a transaction after five minutes", now, (*lab).change, 301 * time.Second, 310 * time.Second},
		{"a poke that means nothing", now, func(l *lab) { l.blocks <- struct{}{} }, time.Second, 10 * time.Minute},
		{"nothing", now, nil, 0, 10 * time.Minute},
		{"no string", func(*lab) string { return "5" }, (*lab).change, 85 * time.Second, 90 * time.Second},
		{"letters for a number", func(l *lab) string { return `"` + types.Hash{7}.String() + `x"` }, (*lab).change, 61 * time.Second, 70 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, s := newLab(t)
				began := time.Now()
				answered := poll(t, t.Context(), s, test.id(l))
				time.Sleep(test.after)
				if test.do != nil {
					if _, early := answered(); early {
						t.Fatal("it was answered before there was anything")
					}
					test.do(l)
				}
				for {
					text, done := answered()
					if took := time.Since(began); done {
						if took != test.want || code(t, text) != 0 {
							t.Errorf("after %s, want %s: %.200s", took, test.want, text)
						}
						break
					}
					time.Sleep(time.Second)
				}
				if n := l.blockFeeds.Load(); n != 0 || s.polls.inUse() != 0 {
					t.Errorf("%d subscriptions, %d places", n, s.polls.inUse())
				}
			})
		})
	}
}

// now is the longpollid of the lab's template.
func now(l *lab) string { return fmt.Sprintf(`"%s%d"`, l.state.Index.Hash, l.changes) }

// TestLongPollsAreBounded: so many wait, the next is told, and whoever goes leaves its
// place. Other calls do not notice.
func TestLongPollsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLab(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var polls []func() (string, bool)
		for range maxPolls {
			polls = append(polls, poll(t, ctx, s, now(l)))
		}
		for i, answered := range polls {
			if text, done := answered(); done {
				t.Fatalf("poll %d: %s", i, text)
			}
		}
		for range 1000 {
			text, done := poll(t, t.Context(), s, now(l))()
			if !done || code(t, text) != CodeMisc {
				t.Fatalf("one more: %s", text)
			}
		}
		if got := result(t, s, "getblocktemplate", `[{"rules":["segwit"]}]`); !strings.HasPrefix(got, "{") {
			t.Errorf("without a wait: %s", got)
		}
		if got := result(t, s, "getmininginfo", "[]"); !strings.Contains(got, `"currentblockweight":8000,"currentblocktx":0,`) {
			t.Errorf("another call: %s", got)
		}
		cancel()
		for i, answered := range polls {
			if text, done := answered(); !done || code(t, text) != CodeMisc {
				t.Fatalf("poll %d was not ended: %s", i, text)
			}
		}
		if n := l.blockFeeds.Load(); n != 0 || s.polls.inUse() != 0 {
			t.Errorf("%d subscriptions, %d places", n, s.polls.inUse())
		}
	})
}

// TestLongPollOverHTTP: a client is waited with for longer than a request may take to
// come in, and no longer than it stays.
func TestLongPollOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLab(t)
		r := run(t, s)
		ask := func() (send func(), answer *bufio.Reader, leave func()) {
			conn, err := r.dial()
			if err != nil {
				t.Fatal(err)
			}
			body := `{"method":"getblocktemplate","params":[{"rules":["segwit"],"longpollid":` + now(l) + `}],"id":1}`
			send = func() {
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n%s",
					base64.StdEncoding.EncodeToString([]byte(name+":"+password)), len(body), body)
			}
			return send, bufio.NewReader(conn), func() { conn.Close() }
		}
		send, answer, leave := ask()
		defer leave()
		send()
		time.Sleep(bodyTimeout + 3*time.Minute)
		synctest.Wait()
		if s.polls.inUse() != 1 {
			t.Fatal("the client does not wait any more")
		}
		l.move(types.Index{Height: 8, Hash: types.Hash{8}})
		l.blocks <- struct{}{}
		if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("%s, %v", line, err)
		}
		send, _, leave = ask()
		send()
		synctest.Wait()
		if s.polls.inUse() != 1 {
			t.Fatal("the second client does not wait")
		}
		leave()
		time.Sleep(2 * watchAfter)
		synctest.Wait()
		if s.polls.inUse() != 0 {
			t.Error("it is waited with a client who has gone")
		}
	})
}
