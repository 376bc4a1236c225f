package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/node"
)

const somePeer = "9f7f0a8c1d0f3a7b5c2e4d6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3@192.0.2.1:19655"

// aNetwork returns a network that is not built in, changed.
func aNetwork(t *testing.T, change func(*consensus.Params)) *consensus.Params {
	t.Helper()
	p, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	p.Name, p.Bootstrap.Nodes = "coin", []string{somePeer}
	if change != nil {
		change(p)
	}
	return p
}

// tree returns the files of a directory and what is in them.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestPackAndJoin: who has the file needs no more than two commands, and joining again changes
// nothing but peers that are new.
func TestPackAndJoin(t *testing.T) {
	work := t.TempDir()
	bare := writeFile(t, filepath.Join(work, "coin.json"), string(network.Marshal(aNetwork(t, nil))))
	founder, file := filepath.Join(work, "founder"), filepath.Join(work, "join.json")
	if code, _, stderr := karatd("--network", bare, "--datadir", founder, "network", "pack", "--at", "node.example.org", "-o", file); code != 0 || !strings.Contains(stderr, "first peers: 2") {
		t.Fatalf("pack: %d, %s", code, stderr)
	}
	if code, _, stderr := karatd("--network", bare, "--datadir", founder, "network", "pack", "--at", "node.example.org", "-o", file); code != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("again: %d, %s", code, stderr)
	}
	if code, _, stderr := karatd("--network", bare, "--datadir", founder, "network", "pack", "--at", "node.example.org", "-o", file, "--force"); code != 0 {
		t.Errorf("by force: %d, %s", code, stderr)
	}
	dir := filepath.Join(work, "friend")
	code, stdout, stderr := karatd("--datadir", dir, "network", "join", file)
	if code != 0 || !strings.Contains(stdout, "network coin joined: "+dir+"/coin/genesis.json") || !strings.Contains(stdout, "2 to begin with\n") || !strings.Contains(stdout, "karatd --datadir "+dir+"\n") {
		t.Fatalf("join: %d, %s%s", code, stdout, stderr)
	}
	// The node and the wallet need no --network now.
	config, err := configOf(t, "--datadir", dir)
	if err != nil || config.Params.Name != "coin" || len(config.Params.Bootstrap.Nodes) != 2 || !strings.HasSuffix(config.Params.Bootstrap.Nodes[1], "@node.example.org:18444") {
		t.Fatalf("%v, %+v", err, config.Params)
	}
	if text, err := os.ReadFile(filepath.Join(dir, walletConfigFile)); err != nil || string(text) != "network = \"coin\"\n" {
		t.Errorf("%v, %q", err, text)
	}
	before := tree(t, dir)
	if code, stdout, _ := karatd("--datadir", dir, "network", "join", file); code != 0 || !strings.Contains(stdout, "was joined before") {
		t.Errorf("again: %d, %s", code, stdout)
	}
	if after := tree(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("joining again changed %v to %v", before, after)
	}
	// The founder's address has another key, and there is another peer.
	again := writeFile(t, filepath.Join(work, "more.json"), string(network.Pack(aNetwork(t, func(p *consensus.Params) {
		p.Bootstrap.Nodes = []string{"aa" + somePeer[2:], somePeer + "6"}
		p.Ports.RPC = 77
	}))))
	code, stdout, stderr = karatd("--datadir", dir, "network", "join", again)
	if code != 0 || !strings.Contains(stdout, "3 to begin with, 1 of them new") || !strings.Contains(stderr, "ports.rpc differs in the new file, and stays") {
		t.Errorf("more: %d, %s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "took the place of "+somePeer+"\n") { // whoever made the file may answer there now
		t.Errorf("a peer that has another id is not told: %s", stderr)
	}
	if config, err = configOf(t, "--datadir", dir); err != nil || config.Params.Bootstrap.Nodes[0] != "aa"+somePeer[2:] || config.Params.Ports.RPC == 77 {
		t.Errorf("%v, %+v", err, config.Params)
	}
}

// TestJoinTrustsTheIdentityAlone: a file of the right identity has no say in which scripts are
// checked, which its identity does not cover.
func TestJoinTrustsTheIdentityAlone(t *testing.T) {
	p := aNetwork(t, func(p *consensus.Params) { p.AssumeValid = types.Hash{1} })
	file := writeFile(t, filepath.Join(t.TempDir(), "coin.json"), string(network.Pack(p)))
	for _, test := range []struct {
		name string
		args []string
		want types.Hash
		says string
	}{
		{"trusted as a whole", nil, types.Hash{1}, "scripts up to block"},
		{"the identity alone", []string{"--identity", p.Identity().String()}, types.Hash{}, "assume_valid, which is left out"},
	} {
		dir := t.TempDir()
		code, stdout, stderr := karatd(append(append([]string{"--datadir", dir, "network", "join"}, test.args...), file)...)
		if code != 0 || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("%s: %d, %s%s", test.name, code, stdout, stderr)
		}
		if config, err := configOf(t, "--datadir", dir); err != nil || config.Params.AssumeValid != test.want {
			t.Errorf("%s: %v, %+v", test.name, err, config.Params)
		}
	}
}

// TestJoinKeepsWhatIsInUse: options stay, and a data directory that is in use for another
// network stays with that.
func TestJoinKeepsWhatIsInUse(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "coin.json"), string(network.Pack(aNetwork(t, nil))))
	for _, test := range []struct {
		name, before, after string
		main                bool // was used
		want                string
	}{
		{"an option", "\ufeffdbcache = 16\n", "network = \"coin\"\ndbcache = 16\n", false, "karatd --datadir"},
		{"a table", "[x]\n", "[x]\n", false, "there is no option"},
		{"this network", "network = \"coin\"\n", "network = \"coin\"\n", false, "karatd --datadir"},
		{"its file", "network = \"FILE\"\n", "network = \"FILE\"\n", false, "karatd --datadir"},
		{"another network", "network = \"dev\"\n", "network = \"dev\"\n", false, "Without --network, karatd uses dev"},
		{"no network", "network = 5\n", "network = 5\n", false, "Without --network, karatd uses 5"},
		{"the main network", "", "", true, "karatd --network coin --datadir"},
		{"broken", "dbcache = \n", "dbcache = \n", false, "configuration file"},
	} {
		dir := t.TempDir()
		at := filepath.Join(dir, configFile)
		before, after := strings.ReplaceAll(test.before, "FILE", file), strings.ReplaceAll(test.after, "FILE", file)
		if before != "" {
			writeFile(t, at, before)
			if err := os.Chmod(at, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if test.main {
			if err := os.Mkdir(filepath.Join(dir, "main"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		_, stdout, stderr := karatd("--datadir", dir, "network", "join", file)
		if !strings.Contains(stdout+stderr, test.want) {
			t.Errorf("%s: %s%s", test.name, stdout, stderr)
		}
		text, err := os.ReadFile(at)
		if err != nil && !os.IsNotExist(err) || string(text) != after {
			t.Errorf("%s: %v, %q", test.name, err, text)
		}
		if info, err := os.Stat(at); err == nil && info.Mode().Perm() != 0o644 {
			t.Errorf("%s: it has mode %s now", test.name, info.Mode())
		}
	}
}

// TestJoinRefuses: nothing is written for a file that is no use, and the error says why.
func TestJoinRefuses(t *testing.T) {
	work := t.TempDir()
	write := func(change func(*consensus.Params)) string {
		t.Helper()
		f, err := os.CreateTemp(work, "*.json")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(network.Pack(aNetwork(t, change))); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	good := write(nil)
	other := write(func(p *consensus.Params) { p.InitialSubsidy-- })
	joined := filepath.Join(work, "joined")
	if code, _, stderr := karatd("--datadir", joined, "network", "join", good); code != 0 {
		t.Fatal(stderr)
	}
	damaged := filepath.Join(work, "damaged")
	writeFile(t, filepath.Join(mustMkdir(t, damaged, "coin"), karat.NetworkFile), "{}")
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", nil, 2, "needs one FILE or URL"},
		{"two", []string{good, good}, 2, "needs one FILE or URL"},
		{"no such file", []string{good + "x"}, 1, "no such file"},
		{"a folder", []string{work}, 1, "is a directory"},
		{"a device", []string{"/dev/zero"}, 1, "more than 16777216 bytes"},
		{"a host", []string{"192.0.2.1:80"}, 1, "no such file or directory (of a web server give the URL: http://192.0.2.1:80)"},
		{"another scheme", []string{"ftp://x/y"}, 2, "want an http:// or https:// URL"},
		{"no host", []string{"http:///y"}, 2, "want an http:// or https:// URL"},
		{"no URL", []string{"http://[::1/"}, 2, "missing ']'"},
		{"another identity", []string{"--identity", strings.Repeat("ab", 32), good}, 1, "is of another network, coin with the identity"},
		{"no identity", []string{"--identity", "ab", good}, 2, "--identity"},
		{"a bad peer", []string{write(func(p *consensus.Params) { p.Bootstrap.Nodes = []string{"x@y"} })}, 1, "bootstrap.nodes: "},
		{"the name of another", []string{write(func(p *consensus.Params) { p.Name = "main" })}, 1, "calls itself main"},
		{"another of the name", []string{"--datadir", joined, other}, 1, "another network called coin was joined in " + joined},
		{"a damaged file from before", []string{"--datadir", damaged, good}, 1, "name: missing; if that file is of no use any more, remove it"},
		{"a directory in none", []string{"--datadir", filepath.Join(work, "x", "y"), good}, 1, "there is no folder"},
		{"a proxy that is none", []string{"--proxy", "127.0.0.1:1", "http://192.0.2.1/"}, 1, "by the proxy"},
	} {
		dir := filepath.Join(work, "fresh")
		code, stdout, stderr := karatd(append([]string{"--datadir", dir, "network", "join"}, test.args...)...)
		if code != test.code || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %s%s", test.name, code, stdout, stderr)
		}
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Fatalf("%s: something was written: %v", test.name, tree(t, dir))
		}
	}
}

func mustMkdir(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(names...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestJoinByURL: a server may be an explorer, and may be an enemy.
func TestJoinByURL(t *testing.T) {
	pack := network.Pack(aNetwork(t, nil))
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html>")
	}
	mux.HandleFunc("/", page)
	mux.HandleFunc("/explorer/", page)
	mux.HandleFunc("/"+networkPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(pack) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+networkPath, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(pack)))
		_, _ = w.Write(pack[:100])
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for _, err := w.Write(pack); err == nil; _, err = w.Write(bytes.Repeat([]byte(" "), 1<<16)) {
		}
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
	})
	mux.HandleFunc("/zip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(bytes.Repeat([]byte(" "), 64<<20))
		z.Close()
	})
	mux.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2J", http.StatusGone) })
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, test := range []struct{ path, want string }{
		{"/" + networkPath, ""},
		{"", ""}, // the explorer's address, as people copy it
		{"/moved", ""},
		{"/about", ""},
		{"/explorer/about", "answers with a page for people, and has no network.json beside it"},
		{"/round", "more than 5 times"},
		{"/away", "it sends to what is no web address"},
		{"/cut", "after 100 bytes: unexpected EOF"},
		{"/endless", "more than 16777216 bytes"},
		{"/header", "header"},
		{"/zip", "bad network file"},
		{"/gone", "answers 410 Gone"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		code, stdout, stderr := karatd("--datadir", dir, "network", "join", server.URL+test.path)
		if ok := test.want == ""; ok != (code == 0) || !strings.Contains(stderr, test.want) || strings.ContainsAny(stderr, "\x1b") || strings.Count(stderr, "\n") > 1 {
			t.Errorf("%s: %d, %s%s", test.path, code, stdout, stderr)
		}
	}
	// Out of TLS nobody is sent.
	secure := httptest.NewUnstartedServer(http.RedirectHandler(server.URL+"/"+networkPath, http.StatusFound))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	client := secure.Client()
	client.CheckRedirect = checkRedirect
	if _, err := client.Get(secure.URL); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("%v", err)
	}
	if code, _, stderr := karatd("--datadir", t.TempDir(), "network", "join", secure.URL); code != 1 || !strings.Contains(stderr, "certificate") {
		t.Errorf("a certificate of nobody: %s", stderr)
	}
}

// TestJoinAtTheStart: --join needs its server once. It goes before a file, and not against what
// else was said.
func TestJoinAtTheStart(t *testing.T) {
	pack := network.Pack(aNetwork(t, nil))
	server := freeport.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(pack) }))
	dir := filepath.Join(t.TempDir(), "data")
	start := func(args ...string) (runs int, stderr string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var out, errs said
		run(ctx, append([]string{"karatd", "--datadir", dir, "--listen", "none", "--rpc-listen", "none", "--no-discovery"}, args...), cmdline.Streams{
			In: strings.NewReader(""), Err: &errs, Out: writerFunc(func(p []byte) (int, error) {
				if bytes.Contains(p, []byte("Stop with Ctrl-C")) {
					cancel()
				}
				return out.Write(p)
			}),
		})
		return strings.Count(out.String(), "of network coin"), errs.String()
	}
	for _, test := range []struct {
		name string
		args []string
		runs int
		want string
	}{
		{"no network", []string{"--join", server.URL + "/", "--network", "dev"}, 0, "--join is of network coin, and --network says dev"},
		{"the first time", []string{"--join", server.URL}, 1, ""},
		{"again", []string{"--join", server.URL}, 1, ""},
	} {
		if runs, stderr := start(test.args...); runs != test.runs || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %d, %s", test.name, runs, stderr)
		}
	}
	// Whoever has the server cannot lead a node that was started again elsewhere.
	coin := pack
	for name, change := range map[string]func(*consensus.Params){
		"another name": func(p *consensus.Params) { p.Name, p.InitialSubsidy = "elsewhere", 1 }, "another coin": func(p *consensus.Params) { p.InitialSubsidy = 1 },
	} {
		pack = network.Pack(aNetwork(t, change))
		if runs, stderr := start("--join", server.URL); runs != 0 || !strings.Contains(stderr, "has another network now") {
			t.Errorf("%s: %d, %s", name, runs, stderr)
		}
		if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
			t.Errorf("%s: it was joined", name)
		}
	}
	pack = network.Pack(aNetwork(t, func(p *consensus.Params) { p.Name, p.InitialSubsidy = "by-hand", 1 }))
	if code, _, stderr := karatd("--datadir", dir, "network", "join", server.URL); code != 0 {
		t.Error(stderr)
	}
	if runs, stderr := start("--join", server.URL); runs != 0 || strings.Contains(stderr, "another network now") {
		t.Errorf("what was joined by hand since is not it: %d, %s", runs, stderr)
	}
	pack = coin
	if code, _, stderr := karatd("--datadir", dir, "network", "join", server.URL); code != 0 {
		t.Error(stderr)
	}
	url := server.URL
	server.Close()
	if runs, stderr := start("--join", url); runs != 1 || !strings.Contains(stderr, "network coin was joined before, and goes on") {
		t.Errorf("without its server: %d, %s", runs, stderr)
	}
	if runs, stderr := start("--join", url+"/other"); runs != 0 || !strings.Contains(stderr, "connection refused") {
		t.Errorf("without a server: %d, %s", runs, stderr)
	}
}

// TestFaucetIsFunded: a network's first coins are for the faucet of its first node, which mines
// for it, too.
func TestFaucetIsFunded(t *testing.T) {
	work := t.TempDir()
	dir, file := filepath.Join(work, "data"), filepath.Join(work, "coin.json")
	if code, _, stderr := karatd("--datadir", dir, "network", "new", "--name", "coin", "--bits", "207fffff", "--allocate", "faucet=5", "-o", file); code != 0 || !strings.Contains(stderr, "run its first node by karatd --join "+file) {
		t.Fatalf("%d: %s", code, stderr)
	}
	if code, _, stderr := karatd("--datadir", dir, "network", "join", file); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := karatd("--datadir", dir, "network", "new", "--name", "coin", "--bits", "207fffff", "--allocate", "faucet=5"); code != 1 || !strings.Contains(stderr, "there is a network called coin in "+dir) {
		t.Errorf("another for the same faucet: %d, %s", code, stderr)
	}
	p, err := karat.LoadNetwork(file)
	if err != nil {
		t.Fatal(err)
	}
	script, err := node.FaucetScript(filepath.Join(dir, "coin"))
	if err != nil || len(p.Genesis.Outputs) != 1 || !bytes.Equal(p.Genesis.Outputs[0].ScriptPubKey, script) || p.Genesis.Outputs[0].Value != 5*types.GrainsPerCoin {
		t.Errorf("%v, %v", err, p.Genesis.Outputs)
	}
	config, err := configOf(t, "--datadir", dir, "--web", "127.0.0.1:0", "--faucet", "--mine")
	if err != nil || len(config.MineTo) != 0 || !config.Faucet {
		t.Errorf("%v", err)
	}
	if _, err := configOf(t, "--datadir", dir, "--mine"); err == nil || !strings.Contains(err.Error(), "--mine needs --mine-to") {
		t.Errorf("%v", err)
	}
}

// TestBootstrap: a peer is called before it is added, and its id is found out.
func TestBootstrap(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "127.0.0.1:0")
	_, stdout, _ := karatd("--network", "dev", "--datadir", d.dir, "network", "pack", "--at", d.listen)
	id, _, _ := strings.Cut(stdout[strings.Index(stdout, `"nodes": [`)+11:], "@")
	id = strings.Trim(id, " \n\"")
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "coin.json"), string(network.Pack(aNetwork(t, nil))))
	if code, _, stderr := karatd("--datadir", dir, "network", "join", file); code != 0 {
		t.Fatal(stderr)
	}
	closed := freeport.At(t, loopback)
	dev := []string{"--network", "dev", "--datadir", dir, "bootstrap"}
	coin := []string{"--datadir", dir, "bootstrap"}
	other := "1@192.0.2.1:1"
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nobody", append(dev, "add"), 2, "at least"},
		{"no address", append(dev, "add", "127.0.0.1"), 2, "127.0.0.1"},
		{"where nobody is", append(dev, "add", closed), 1, "nobody answers at " + closed},
		{"another network", append(coin, "add", d.listen), 1, "is of another network than coin"},
		{"another node", append(dev, "add", somePeer[:65]+d.listen), 1, "there is another node, " + id},
		{"a node", append(dev, "add", d.listen), 0, id + "@" + d.listen},
		{"the same", append(dev, "add", id+"@"+d.listen), 0, "they were there before"},
		{"offline without an id", append(dev, "add", "--offline", d.listen), 2, "ID@HOST:PORT"},
		{"offline", append(coin, "add", "--offline", "aa"+somePeer[2:65]+"[2001:db8::1]:5"), 0, "network coin has 2 first peers"},
		{"list", append(coin, "list"), 0, somePeer + "\n"},
		{"remove what is not there", append(coin, "remove", other), 1, "no first peer of coin"},
		{"remove by its id", append(coin, "remove", somePeer[:64]), 0, "has 1 first peers"},
		{"remove by its address", append(coin, "remove", "[2001:db8::1]:5"), 0, "has 0 first peers"},
		{"in a file", []string{"--network", file, "--datadir", dir, "bootstrap", "add", "--offline", somePeer + "9"}, 0, "2 first peers, in " + file},
	} {
		code, stdout, stderr := karatd(test.args...)
		if code != test.code || !strings.Contains(stdout+stderr, test.want) {
			t.Errorf("%s: %d, %s%s", test.name, code, stdout, stderr)
		}
	}
	if text, err := os.ReadFile(file); err != nil || !network.IsPacked(text) {
		t.Errorf("the packed file is none any more: %v", err)
	}
	// A peer that is added while another one is called stays.
	slow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	go func() {
		caller, err := slow.Accept()
		if err != nil {
			return
		}
		defer caller.Close()
		karatd(append(slices.Clone(dev), "add", "--offline", "bb"+somePeer[2:])...)
		callee, err := net.Dial("tcp", d.listen)
		if err != nil {
			return
		}
		defer callee.Close()
		go func() { _, _ = io.Copy(callee, caller) }()
		_, _ = io.Copy(caller, callee)
	}()
	for _, args := range [][]string{{"add", slow.Addr().String()}, {"remove", "bb" + somePeer[2:]}, {"remove", slow.Addr().String()}} {
		if code, stdout, stderr := karatd(append(slices.Clone(dev), args...)...); code != 0 {
			t.Errorf("%v: %d, %s%s", args, code, stdout, stderr)
		}
	}
	// dev's are in its folder, and a node there calls them.
	config, err := configOf(t, "--network", "dev", "--datadir", dir)
	if err != nil || len(config.Params.Bootstrap.Nodes) != 1 || config.Params.Bootstrap.Nodes[0] != id+"@"+d.listen {
		t.Errorf("%v, %+v", err, config.Params.Bootstrap)
	}
	var list []string
	if _, stdout, _ := karatd("--network", "dev", "--datadir", dir, "bootstrap", "list", "--json"); json.Unmarshal([]byte(stdout), &list) != nil || len(list) != 1 {
		t.Errorf("%s", stdout)
	}
}
