package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/karatcoin/karat/wallet"
)

// aFaucet is one that promises everything and pays nothing, as a node of web answers.
func aFaucet(t *testing.T, network string) (url string, asked func() string) {
	t.Helper()
	address := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/pages/api/faucet":
			http.NotFound(w, r)
			return
		case r.Method == http.MethodPost:
			sum := sha256.Sum256([]byte("abc:" + r.PostFormValue("address") + ":" + r.PostFormValue("nonce")))
			if sum[0] != 0 {
				http.Error(w, "the proof of work is wrong", http.StatusBadRequest)
				return
			}
			address = r.PostFormValue("address")
		}
		fmt.Fprintf(w, `{"network": %q, "amount": 150000000, "left": 150000000, "challenge": "abc", "bits": 8}`, network)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/pages", func() string { return address }
}

// TestFaucet: a wallet asks for coins to a new address, when it is made or later.
func TestFaucet(t *testing.T) {
	b := newBench(t)
	identity := b.node.Chain().Params().Identity().String()
	url, asked := aFaucet(t, identity)
	out := b.karat("one", "create", "--no-passphrase", "--faucet", url)
	first := asked()
	if !strings.Contains(out, "the faucet pays 1.50000000 to "+first+" within seconds") || first == "" {
		t.Errorf("%s", out)
	}
	for _, at := range []string{url, url + "/faucet", strings.TrimPrefix(url, "http://")} {
		out = b.karat("one", "faucet", at)
		if second := asked(); second == first || !strings.Contains(out, second) {
			t.Errorf("%s: %s", at, out)
		}
	}
	if out = b.karat("one", "faucet", "--json", url); !strings.Contains(out, `"amount": 1.5`) || !strings.Contains(out, asked()) {
		t.Errorf("%s", out)
	}
	foreign, _ := aFaucet(t, strings.Repeat("ab", 32))
	server := func(status int, text string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	state := func(fields string) string {
		return server(200, `{"network": "`+identity+`", "amount": 1, "challenge": "", `+fields+"}")
	}
	for _, test := range []struct {
		name, url, want string
		code            int
	}{
		{"another scheme", "ftp://x", "want the URL of a node's pages", 2},
		{"another network", foreign, "gives coins of another network", 1},
		{"empty", state(`"left": 0, "bits": 8`), "is empty", 1},
		{"dear", state(`"left": 1, "bits": 40`), "wants a proof of work of 40 bits", 1},
		{"no faucet", server(200, "<!DOCTYPE html>"), "is no faucet", 1},
		{"endless", server(200, strings.Repeat(" ", 1<<20)), "is no faucet", 1},
		{"refused", server(429, "come later\x1b[2J\nrm -rf"), `nothing is to be had: come later\u001b[2J rm -rf`, 1},
		{"nobody", "127.0.0.1:1", "connection refused", 1},
	} {
		code, stdout, stderr := b.try("", "one", "faucet", test.url)
		if code != test.code || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %s%s", test.name, code, stdout, stderr)
		}
	}
	// A faucet that is of no use keeps a wallet from being made; one that pays nothing then does not.
	if code, _, stderr := b.try("", "two", "create", "--no-passphrase", "--faucet", foreign); code != 1 || !strings.Contains(stderr, "nothing was made: "+foreign) {
		t.Errorf("%d, %s", code, stderr)
	}
	greedy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Error(w, "no", http.StatusTooManyRequests)
			return
		}
		fmt.Fprintf(w, `{"network": %q, "amount": 1, "left": 1, "challenge": "", "bits": 1}`, identity)
	}))
	defer greedy.Close()
	if code, _, stderr := b.try("", "two", "create", "--no-passphrase", "--faucet", greedy.URL); code != 1 || !strings.Contains(stderr, "the wallet is made, and has nothing yet") {
		t.Errorf("%d, %s", code, stderr)
	}
	b.karat("two", "address")
	// However often it says no, a restore finds what it gives in the end.
	for range wallet.GapLimit + 2 {
		b.try("", "two", "faucet", greedy.URL)
	}
	if code, out, stderr := b.try("", "two", "address"); code != 0 || strings.Contains(stderr, "restoring the wallet") && !strings.Contains(stderr, fmt.Sprintf("the last %d addresses", wallet.GapLimit+1)) {
		t.Errorf("%s%s", out, stderr)
	}
}
