package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
)

// commandLine is a line that makes a command do its work.
type commandLine struct {
	// ADDRESS stands for an address of the wallet, SIGNATURE for that of the message text, NODE
	// for where the node is, COOKIE for what logs in there, IDENTITY for that of the network,
	// STUCK for a payment that no node takes, COIN for a coin, FAUCET for one.
	// STUCK for a payment that no node takes, COIN for a coin.
	// FOLDER stands for an empty folder, FILE for a file that has a PROOF, KEYS for two keys of an account of which one is
	// the wallet's, PSBT for a payment that is not signed, and SIGNED for one that is.
	words string
	input string
	fresh bool // it makes a wallet, so each run needs another name
}

// commandLines are the lines of the commands that need more than their names. Whoever
// adds a command that does adds a line here: the tests below run every command.
var commandLines = map[string]commandLine{
	"create":   {words: "--no-passphrase", fresh: true},
	"notarize": {words: "--yes --out - FILE"}, "proof": {words: "--out - PROOF"}, "verify": {words: "FILE PROOF"},
	"restore": {words: "--no-passphrase", input: richWords + "\n", fresh: true},
	"address": {words: "--qr"},
	"tx":      {words: "286086f2"}, // of the genesis block
	"watch":   {words: "--count 1"},
	"send":    {words: "--yes ADDRESS 0.01"},
	"faucet":  {words: "FAUCET"},
	"bump":    {words: "--yes STUCK"},
	"cancel":  {words: "--yes STUCK"},
	"cpfp":    {words: "--yes STUCK"},
	"abandon": {words: "--yes STUCK"},

	"coins lock": {words: "COIN"}, "coins unlock": {words: "COIN"}, "consolidate": {words: "--yes --mix --max 2"},
	"rpc":        {words: "getblockchaininfo"},
	"completion": {words: "bash"}, "man": {words: "FOLDER"},
	"label":   {words: "--json ADDRESS text"},
	"connect": {words: "karat+http://COOKIE@NODE/dev/IDENTITY"},

	"multisig new": {words: "KEYS --threshold 1"}, "script new": {words: "SCRIPT"},
	"psbt create": {words: "ADDRESS 0.01"}, "psbt show": {words: "PSBT"}, "psbt sign": {words: "--yes PSBT"}, "psbt combine": {words: "PSBT PSBT"},
	"psbt finalize": {words: "SIGNED"}, "psbt send": {words: "--yes SIGNED"}, "psbt convert": {words: "PSBT"},

	"sign-message": {words: "--yes ADDRESS text"}, "verify-message": {words: "ADDRESS SIGNATURE text"},
	"labels import": {words: "-", input: `{"type":"addr","ref":"krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk","label":"text"}`},
}

// everyCommand runs every command, as a person would, and hands over what it is
// called. The wallet has coins, and no passphrase.
func (b *bench) everyCommand(each func(name string, line commandLine)) {
	b.t.Helper()
	address := b.karat("rich", "address")
	cookie, err := os.ReadFile(b.cookie)
	if err != nil {
		b.t.Fatal(err)
	}
	file := b.notarized("rich")
	faucet, _ := aFaucet(b.t, b.node.Chain().Params().Identity().String())
	stand := strings.NewReplacer("FAUCET", faucet, "COOKIE", string(cookie), "IDENTITY", b.node.Chain().Params().Identity().String(), "FILE", file, "PROOF", file+proofSuffix, "FOLDER", b.t.TempDir(), "ADDRESS", address, "SIGNATURE", b.karat("rich", "sign-message", "--yes", address, "text"))
	var list []coinJSON
	if err := json.Unmarshal([]byte(b.karat("rich", "coins", "--json")), &list); err != nil || len(list) == 0 {
		b.t.Fatalf("%v: %d coins", err, len(list))
	}
	var walk func(path string, commands []*cli.Command)
	walk = func(path string, commands []*cli.Command) {
		for _, command := range commands {
			name := strings.TrimSpace(path + " " + command.Name)
			if len(command.Subcommands) > 0 {
				walk(name, command.Subcommands)
			}
			if command.Action == nil {
				continue
			}
			if name == "consolidate" { // of coins that those before have not left waiting
				b.mine(1)
			}
			line := commandLines[name]
			line.words = strings.ReplaceAll(stand.Replace(line.words), "COIN", list[0].String())
			for place, text := range map[string]func() string{
				"KEYS": b.freshKeys, "SCRIPT": b.freshScript,
				"SIGNED": func() string {
					return b.karat("rich", "psbt", "sign", "--yes", b.karat("rich", "psbt", "create", address, "0.01"))
				},
				"PSBT": func() string { return b.karat("rich", "psbt", "create", address, "0.01") },
			} {
				if strings.Contains(line.words, place) {
					line.words = strings.ReplaceAll(line.words, place, text())
				}
			}
			if strings.Contains(line.words, "STUCK") {
				line.words = strings.ReplaceAll(line.words, "STUCK", b.stuckPayment("rich"))
			}
			each(name, line)
		}
	}
	walk("", newApp(cmdline.Streams{}).Commands)
}

// freshKeys returns a name and two keys for an account that the wallet does not have yet.
func (b *bench) freshKeys() string {
	b.t.Helper()
	runs++
	other := "[d34db33f/87h/1h/0h]tpubDDnGNapGEY6AZAdQbfRJgMg9fvz8pUBrLwvyvUqEgcUfgzM6zc2eVK4vY9x9L5FJWdX8WumXuLEDV5zDZnTfbn87vLe9XceCFwTu9so9Kks"
	return fmt.Sprintf("shared%d %s %s", runs, b.karat("rich", "multisig", "key", "--number", fmt.Sprint(runs)), other)
}

// freshScript returns a name and a descriptor that the wallet does not have yet.
func (b *bench) freshScript() string {
	words := strings.Fields(b.freshKeys())
	return fmt.Sprintf("%s tr(%s/<0;1>/*,and_v(v:pk(%s/<0;1>/*),older(144)))", words[0], words[1], words[2])
}

// runs counts the wallets that everyCommand's lines make.
var runs = 0

// runLine runs the line of a command with a node, and writes where it is told to.
func (b *bench) runLine(name string, line commandLine, node string, out, errs io.Writer) int {
	wallet := "rich"
	if line.fresh {
		runs++
		wallet = "fresh" + strings.Repeat("x", runs)
	}
	args := []string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", node, "--rpc-cookie", b.cookie, "--wallet", wallet}
	args = append(append(args, strings.Fields(name)...), strings.Fields(strings.ReplaceAll(line.words, "NODE", strings.TrimPrefix(node, "http://")))...)
	return run(b.t.Context(), args, cmdline.Streams{In: strings.NewReader(line.input), Out: out, Err: errs})
}

// fullDisk takes nothing.
type fullDisk struct{}

var errNoRoom = errors.New("no space left on device")

// Write implements io.Writer.
func (fullDisk) Write([]byte) (int, error) { return 0, errNoRoom }

// closedPipe is read by nobody any more.
type closedPipe struct{}

// Write implements io.Writer.
func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestEveryCommandNoticesAFullDisk: a command that could not show what it should is a
// failure, and says why in one line; so is a help text. But who has read enough of what is only
// shown, and closes the pipe, hears of none.
func TestEveryCommandNoticesAFullDisk(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	var shown []string
	b.everyCommand(func(name string, line commandLine) {
		for _, l := range []commandLine{line, {words: "--help"}} {
			var errs bytes.Buffer
			code := b.runLine(name, l, b.rpc, fullDisk{}, &errs)
			lines := strings.Split(strings.TrimSuffix(errs.String(), "\n"), "\n")
			if code != cmdline.ExitFailure || !strings.Contains(lines[len(lines)-1], errNoRoom.Error()) {
				t.Errorf("karat %s %s: exit code %d: %s(a command that needs arguments has a line in commandLines)", name, l.words, code, errs.String())
			}
		}
		if slices.Contains(reads, name) {
			shown = append(shown, name)
			var errs bytes.Buffer
			if code := b.runLine(name, line, b.rpc, closedPipe{}, &errs); code != cmdline.ExitOK || strings.Contains(errs.String(), "pipe") {
				t.Errorf("karat %s | head: exit code %d: %s", name, code, errs.String())
			}
		}
		if name == "create" {
			if _, err := os.Stat(b.dir + "/dev/wallets/freshx/wallet.json"); !os.IsNotExist(err) {
				t.Errorf("a wallet whose words nobody has seen: %v", err)
			}
		}
	})
	if len(shown) != len(reads) {
		t.Errorf("of %q only %q are commands", reads, shown)
	}
}

// TestEveryCommandHasJSON: a program reads the result of any command, and standard output has
// nothing beside it. No field has a name of Go's.
func TestEveryCommandHasJSON(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	b.everyCommand(func(name string, line commandLine) {
		switch name {
		case "labels export", "completion", "man": // whose lines are for other programs as they are
			return
		}
		var out, errs bytes.Buffer
		line.words = strings.ReplaceAll(line.words, "--qr", "") + " --json"
		code := b.runLine(name, line, b.rpc, &out, &errs)
		d := json.NewDecoder(&out)
		var result any
		if err := d.Decode(&result); code != 0 || err != nil || d.More() {
			t.Errorf("karat %s %s: exit code %d, %v: %s", name, line.words, code, err, errs.String())
		}
		for _, key := range keysOf(result) {
			if strings.ToLower(key) != key && name != "rpc" { // what a node calls its fields is its own
				t.Errorf("karat %s: a field is called %s", name, key)
			}
		}
	})
}

// keysOf returns the names of all fields of a JSON value.
func keysOf(value any) (keys []string) {
	switch v := value.(type) {
	case []any:
		for _, part := range v {
			keys = append(keys, keysOf(part)...)
		}
	case map[string]any:
		for key, part := range v {
			keys = append(append(keys, key), keysOf(part)...)
		}
	}
	return keys
}

// hostileText is what a node sends to command a terminal, and to add lines to what is
// shown.
const hostileText = "\x1b[2J\x1b]0;owned\x07\r\u009b31m\u202e\u2066\u0000\x7f\nkarat: all is well\u2028"

// hostileNode passes calls on to a node, and makes the answers of one method hostile.
type hostileNode struct {
	node string
	mu   sync.Mutex
	how  string          // spoils the answers of method
	of   string          // the method
	seen map[string]bool // the methods that were called
}

// ServeHTTP implements http.Handler.
func (h *hostileNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	type call struct{ Method string }
	var first call
	if batch := []call{}; json.Unmarshal(body, &batch) == nil && len(batch) > 0 {
		first = batch[0]
	} else {
		_ = json.Unmarshal(body, &first)
	}
	h.seen[first.Method] = true
	spoil := h.how
	if first.Method != h.of {
		spoil = ""
	}
	switch spoil {
	case "body":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(hostileText))
		return
	case "no JSON":
		_, _ = w.Write([]byte("{" + hostileText))
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+h.node, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header = r.Header.Clone()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	raw, _ := io.ReadAll(answer.Body)
	if spoil != "" {
		var value any
		_ = json.Unmarshal(raw, &value)
		raw, _ = json.Marshal(spoiled(value, spoil))
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(raw)
}

// spoiled returns an answer with hostile texts: as its error, in place of its texts, or
// behind them.
func spoiled(value any, how string) any {
	switch v := value.(type) {
	case string:
		if how == "texts" {
			return hostileText
		}
		return v + hostileText
	case []any:
		for i := range v {
			v[i] = spoiled(v[i], how)
		}
	case map[string]any:
		if _, isReply := v["jsonrpc"]; isReply && how == "error" {
			return map[string]any{"jsonrpc": "2.0", "id": v["id"], "error": map[string]any{"code": -5, "message": hostileText}}
		}
		for key := range v {
			if key == "jsonrpc" {
				continue
			}
			changed := spoiled(v[key], how)
			if how == "keys" {
				delete(v, key)
				key += hostileText
			}
			v[key] = changed
		}
	}
	return value
}

// TestHostileTexts: no text of a node, in whatever place of its answers, reaches the
// terminal with anything that a terminal obeys, and none begins a line of its own that
// looks like one of ours.
func TestHostileTexts(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	h := &hostileNode{node: b.rpc}
	server := httptest.NewServer(h)
	defer server.Close()
	try := func(name string, line commandLine, of, how string) {
		t.Helper()
		var out, errs bytes.Buffer
		h.of, h.how, h.seen = of, how, map[string]bool{}
		code := b.runLine(name, line, server.URL, &out, &errs)
		if of == "" && code != 0 {
			t.Errorf("karat %s: exit code %d: %s", name, code, errs.String())
		}
		shown := out.String()
		if line.words == "--qr" {
			shown, _, _ = strings.Cut(shown, "\n") // the rest has colours
		}
		for _, r := range shown + errs.String() {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Fatalf("karat %s, %s of %s: %U is shown: %q", name, how, of, r, shown+errs.String())
			}
		}
		if strings.Contains("\n"+shown+errs.String(), "\nkarat: all is well") {
			t.Errorf("karat %s, %s of %s: a line of the node's: %s%s", name, how, of, shown, errs.String())
		}
	}
	// Many commands ask the same: a method that a few have been through is left out.
	const enough = 5
	asked := map[string]int{}
	b.everyCommand(func(name string, line commandLine) {
		try(name, line, "", "")
		for _, method := range slices.Sorted(maps.Keys(h.seen)) {
			if asked[method]++; asked[method] > enough {
				continue
			}
			for _, how := range []string{"texts", "more", "keys", "error", "body", "no JSON"} {
				try(name, line, method, how)
			}
		}
	})
	if len(asked) < 6 {
		t.Errorf("only %v were asked", asked)
	}
}

// TestHelpFits: no terminal breaks a line of a help text.
func TestHelpFits(t *testing.T) {
	var walk func(path []string, commands []*cli.Command)
	walk = func(path []string, commands []*cli.Command) {
		var out bytes.Buffer
		streams := cmdline.Streams{Out: &out, Err: &out}
		if code := run(t.Context(), append(append([]string{"karat"}, path...), "--help"), streams); code != 0 {
			t.Errorf("%v: exit code %d: %s", path, code, &out)
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); cmdline.Width(line) > 80 {
				t.Errorf("%v: %s", path, line)
			}
		}
		for _, command := range commands {
			walk(append(path[:len(path):len(path)], command.Name), command.Subcommands)
		}
	}
	walk(nil, newApp(cmdline.Streams{}).Commands)
}
