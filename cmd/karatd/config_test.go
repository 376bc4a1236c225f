package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// configOf returns the configuration that a command line leads to, without
// running the node.
func configOf(t *testing.T, args ...string) (config node.Config, err error) {
	t.Helper()
	o, errs := &options{}, &bytes.Buffer{}
	app := newApp(o, cmdline.Streams{In: strings.NewReader(""), Out: io.Discard, Err: errs})
	app.Command("run").Action = func(c *cli.Context) error {
		config, err = o.runConfig(c)
		return err
	}
	if code := (cmdline.Program{App: app}).Run(t.Context(), append([]string{"karatd"}, args...)); code != 0 && err == nil {
		err = errors.New(errs.String())
	}
	return config, err
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestMaxUpload: a size is in MiB, or has a unit as Bitcoin Core reads it.
func TestMaxUpload(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "5000": 5000 << 20, "500M": 500 << 20, "500m": 500e6, "2G": 2 << 30, "1t": 1e12} {
		config, err := configOf(t, "--network", "dev", "--datadir", t.TempDir(), "--max-upload", text)
		if err != nil || config.MaxUpload != want {
			t.Errorf("%s: %d, %v", text, config.MaxUpload, err)
		}
	}
}

// TestPrecedence: the command line wins over the environment, that over the file,
// and the file over the defaults.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	base := []string{"--network", "dev", "--datadir", dir}
	mempool := func(args ...string) int {
		t.Helper()
		config, err := configOf(t, append(base, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return config.Policy.MaxBytes / mebibyte
	}
	if got := mempool(); got != node.DefaultPolicy().MaxBytes/mebibyte {
		t.Errorf("default: %d", got)
	}
	writeFile(t, filepath.Join(dir, configFile), "mempool = 11\nmine = true\nconnect = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nmine-interval = \"3s\"\n")
	if got := mempool(); got != 11 {
		t.Errorf("file: %d", got)
	}
	other := writeFile(t, filepath.Join(t.TempDir(), "other.toml"), "mempool = 12\n")
	if got := mempool("--config", other); got != 12 {
		t.Errorf("named file: %d", got)
	}
	t.Setenv("KARAT_MEMPOOL", "13")
	if got := mempool(); got != 13 {
		t.Errorf("environment: %d", got)
	}
	for _, args := range [][]string{{"--mempool", "14"}, {"run", "--mempool", "14"}, {"--mempool", "14", "run"}} {
		if got := mempool(args...); got != 14 {
			t.Errorf("%v: %d", args, got)
		}
	}
	config, err := configOf(t, append(base, "run")...)
	if err != nil || !config.Mine || config.MineInterval != 3*time.Second || strings.Join(config.Connect, " ") != "127.0.0.1:1 127.0.0.1:2" {
		t.Errorf("%+v, %v", config, err)
	}
	if config, err = configOf(t, append(base, "--mine=false", "--connect", "127.0.0.1:3")...); err != nil || config.Mine || strings.Join(config.Connect, " ") != "127.0.0.1:3" {
		t.Errorf("the command line over a switch and a list: %+v, %v", config, err)
	}
}

func TestListenAddresses(t *testing.T) {
	for _, c := range []struct {
		args        []string
		listen, rpc string
	}{
		{[]string{"--network", "dev"}, "127.0.0.1:19555", "127.0.0.1:19554"}, // whose blocks cost nothing
		{[]string{"--network", "main"}, ":9555", "127.0.0.1:9554"},
		{[]string{"--network", "main", "--listen", "none", "--rpc-listen", "none"}, "", ""},
		{[]string{"--network", "main", "--proxy", "127.0.0.1:9050"}, "", "127.0.0.1:9554"}, // who called would see where it is
		{[]string{"--network", "main", "--onion", "127.0.0.1:9050"}, ":9555", "127.0.0.1:9554"},
		{[]string{"--network", "main", "--proxy", "127.0.0.1:9050", "--listen", "127.0.0.1:1"}, "127.0.0.1:1", "127.0.0.1:9554"},
		{[]string{"--network", "main", "--rpc-listen", "127.0.0.1:8", "--rpc-listen", "[::1]:8", "--rpc-listen", "[::1]:8"}, ":9555", "127.0.0.1:8 [::1]:8"},
		{[]string{"--network", "main", "--listen", "[::1]:7", "--rpc-listen", "localhost:8"}, "[::1]:7", "localhost:8"},
	} {
		config, err := configOf(t, append(c.args, "--datadir", t.TempDir())...)
		if err != nil || config.Listen != c.listen || strings.Join(config.RPCListen, " ") != c.rpc {
			t.Errorf("%v: %q, %q, %v", c.args, config.Listen, config.RPCListen, err)
		}
	}
}

// TestBadOptions: one line that says which option is wrong, whoever gave it.
func TestBadOptions(t *testing.T) {
	empty := writeFile(t, filepath.Join(t.TempDir(), "empty"), "")
	for _, c := range []struct {
		name, file, env string
		args            []string
		code            int
		want            string
	}{
		{name: "port without host", args: []string{"--listen", "9555"}, code: 2, want: "--listen"},
		{name: "events nowhere", args: []string{"--events", "http://karat:SeCrEt@127.0.0.1"}, code: 2, want: "--events: URL 1 does not begin with nats:// or tls://"},
		{name: "events as nothing", args: []string{"--events", "nats://127.0.0.1", "--events-format", "xml"}, code: 2, want: `--events: "xml": want json or raw`},
		{name: "events from nowhere", args: []string{"--events-from", "7"}, code: 2, want: "--events-from is of no use without --events"},
		{name: "text for a number", args: []string{"--mempool", "much"}, code: 2, want: "mempool"},
		{name: "too small", args: []string{"--max-memory", "0"}, code: 2, want: "--max-memory 0"},
		{name: "no room for clusters", args: []string{"--mempool", "3"}, code: 2, want: "--mempool: want at least 5m for a --limit-cluster-size of 101"},
		{name: "room for small clusters only", args: []string{"--mempool", "9m", "--limit-cluster-size", "226"}, code: 2, want: "--mempool: want at least 10m"},
		{name: "a cluster of none", args: []string{"--limit-cluster-count", "0"}, code: 2, want: "from 1 to 64"},
		{name: "a cluster of too many", args: []string{"--limit-cluster-count", "65"}, code: 2, want: "from 1 to 64"},
		{name: "a cluster without size", args: []string{"--limit-cluster-size", "0"}, code: 2, want: "from 1 to"},
		{name: "less data than none", args: []string{"--data-carrier-size", "-1"}, code: 2, want: "from 0 to"},
		{name: "expires at once", args: []string{"--mempool-expiry", "0"}, code: 2, want: "from 1 to"},
		{name: "feerate in grains", args: []string{"--dust-feerate", "100000.001"}, code: 2, want: "--dust-feerate 100000.001: want at most 100000.000 grains"},
		{name: "feerate with a sign", args: []string{"--incremental-feerate", "+1"}, code: 2, want: "--incremental-feerate +1: want grains per virtual byte"},
		{name: "too many threads", args: []string{"--threads", "100000"}, code: 2, want: "--threads"},
		{name: "feerate", args: []string{"--min-feerate", "-1"}, code: 2, want: "--min-feerate"},
		{name: "address of another network", args: []string{"--mine", "--mine-to", "krt1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzsycyxdu"}, code: 2, want: "--mine-to"},
		{name: "user without a password", args: []string{"--rpc-user", "alice"}, code: 2, want: "--rpc-password-file"},
		{name: "an empty password", args: []string{"--rpc-user", "alice", "--rpc-password-file", empty}, code: 1, want: "is empty"},
		{name: "no password file", args: []string{"--rpc-user", "alice", "--rpc-password-file", "nowhere"}, code: 1, want: "--rpc-password-file: open nowhere"},
		{name: "rpcauth", args: []string{"--rpc-auth", "alice"}, code: 1, want: "--rpc-auth"},
		{name: "who has no list", args: []string{"--rpc-allow-default", "some"}, code: 2, want: "--rpc-allow-default"},
		{name: "from where", args: []string{"--rpc-allow-ip", "192.0.2.0/33"}, code: 2, want: "--rpc-allow-ip"},
		{name: "who reads the cookie", args: []string{"--rpc-cookie-perms", "friends"}, code: 2, want: "--rpc-cookie-perms"},
		{name: "no time for clients", args: []string{"--rpc-timeout", "0s"}, code: 2, want: "--rpc-timeout"},
		{name: "no time for calls", args: []string{"--rpc-call-time", "1ms"}, code: 2, want: "--rpc-call-time"},
		{name: "no memory for users", args: []string{"--rpc-memory", "1k"}, code: 2, want: "--rpc-memory"},
		{name: "a negative rate", args: []string{"--rpc-rate", "-1"}, code: 2, want: "--rpc-rate"},
		{name: "clients nowhere and somewhere", args: []string{"--rpc-listen", "none", "--rpc-listen", "127.0.0.1:0"}, code: 2, want: "--rpc-listen none"},
		{name: "a port alone", args: []string{"--rpc-listen", "9554"}, code: 2, want: "--rpc-listen"},
		{name: "half of a certificate", args: []string{"--rpc-key", empty}, code: 2, want: "--rpc-cert and --rpc-key need each other"},
		{name: "no certificate for clients", args: []string{"--rpc-cert", empty, "--rpc-key", empty}, code: 2, want: "--rpc-cert, --rpc-key: tls"},
		{name: "an empty line for a user", args: []string{"--rpc-auth", ""}, code: 1, want: "--rpc-auth"},
		{name: "what a user may", args: []string{"--rpc-allow", "alice:stop"}, code: 1, want: "no user"},
		{name: "peer", args: []string{"--connect", "nowhere"}, code: 1, want: `--connect: "nowhere" is no address`},
		{name: "peer id", args: []string{"--connect", "xyz@127.0.0.1:1"}, code: 1, want: `--connect: node id "xyz"`},
		{name: "trusted peer", args: []string{"--trust-peer", "friend"}, code: 1, want: `--trust-peer: "friend" names no peers`},
		{name: "allowed peer", args: []string{"--allow-peer", "friend"}, code: 1, want: `--allow-peer: node id "friend"`},
		{name: "proxy", args: []string{"--proxy", "socks5://127.0.0.1:9050"}, code: 2, want: "--proxy"},
		{name: "proxy for onions", args: []string{"--onion", ":9050"}, code: 2, want: "--onion"},
		{name: "onion without a proxy", args: []string{"--connect", "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:9555"}, code: 1, want: "--onion 127.0.0.1:9050"},
		{name: "mistyped onion", args: []string{"--onion", "127.0.0.1:9050", "--connect", "3gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:9555"}, code: 1, want: "mistyped"},
		{name: "a router tells what a proxy hides", args: []string{"--map-port", "--proxy", "127.0.0.1:9050"}, code: 1, want: "--map-port: a router would tell"},
		{name: "no way for a router", args: []string{"--map-port", "--listen", "127.0.0.1:0"}, code: 1, want: "see --listen"},
		{name: "own address", args: []string{"--external-address", "node.example:9555"}, code: 2, want: "--external-address"},
		{name: "own address without a port", args: []string{"--external-address", "192.0.2.1"}, code: 2, want: "IP:PORT"},
		{name: "upload without a number", args: []string{"--max-upload", "much"}, code: 2, want: "want a number of MiB"},
		{name: "upload of two units", args: []string{"--max-upload", "1MM"}, code: 2, want: "--max-upload 1MM"},
		{name: "memory for peers", args: []string{"--max-memory", "1"}, code: 2, want: "--max-memory 1"},
		{name: "a miner's port without host", args: []string{"--stratum", "3333"}, code: 2, want: "--stratum \"3333\""},
		{name: "a certificate without its key", args: []string{"--stratum-cert", empty}, code: 2, want: "need each other"},
		{name: "no certificate", args: []string{"--stratum-cert", empty, "--stratum-key", empty}, code: 2, want: "--stratum-cert, --stratum-key: tls"},
		{name: "no miners", args: []string{"--stratum-max", "0"}, code: 2, want: "--stratum-max"},
		{name: "interval", args: []string{"--mine-interval", "-1s"}, code: 2, want: "--mine-interval"},
		{name: "argument", args: []string{"run", "fast"}, code: 2, want: `"fast"`},
		{name: "environment", env: "much", code: 2, want: "KARAT_MEMPOOL"},
		{name: "no TOML", file: "mempool 5", code: 1, want: "karatd.toml"},
		{name: "unknown option", file: "mempol = 5", code: 1, want: `no option "mempol"`},
		{name: "option of the place", file: `datadir = "/"`, code: 1, want: `no option "datadir"`},
		{name: "type", file: `mempool = "much"`, code: 1, want: "mempool"},
		{name: "a text for a switch", file: `mine = "yes"`, code: 1, want: "mine: yes: want true or false"},
		{name: "a fraction", file: `dbcache = 1.5`, code: 1, want: "dbcache: 1.5: want a whole number"},
		{name: "a feerate that is no number", file: "min-feerate = nan", code: 1, want: "min-feerate: NaN: want grains per virtual byte"},
		{name: "a feerate in coins", file: "block-min-feerate = 1e-5", code: 1, want: "block-min-feerate: 1e-05: want grains per virtual byte"},
		{name: "hexadecimal", args: []string{"--mempool-expiry", "0x10"}, code: 2, want: "--mempool-expiry 0x10: want a whole number"},
		{name: "no unit", file: `mine-interval = 5`, code: 1, want: "mine-interval: 5: want a time with a unit"},
		{name: "a file without end", args: []string{"--config", "/dev/zero"}, code: 1, want: "/dev/zero: it has more than 1048576 bytes"},
		{name: "list for one", file: `mempool = [5, 6]`, code: 1, want: "one value"},
		{name: "table", file: "[mempool]\na = 1", code: 1, want: "mempool"},
		{name: "no such file", args: []string{"--config", "nowhere.toml"}, code: 1, want: "nowhere.toml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				writeFile(t, filepath.Join(dir, configFile), c.file)
			}
			if c.env != "" {
				t.Setenv("KARAT_MEMPOOL", c.env)
			}
			code, stdout, stderr := karatdFor(t, append([]string{"--network", "dev", "--datadir", dir, "--rpc-listen", "none", "--listen", "none"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "karatd: ") != 1 || stdout != "" {
				t.Errorf("exit code %d (want %d), want %q in one line:\n%s%s", code, c.code, c.want, stdout, stderr)
			}
		})
	}
}

// karatdFor runs a command line that must end by itself.
func karatdFor(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"karatd"}, args...), cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if ctx.Err() != nil {
		t.Errorf("karatd %v goes on", args)
	}
	return code, out.String(), errs.String()
}

// TestStartUpErrors: what keeps a node from starting is told in one line, and
// nothing is changed.
func TestStartUpErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	locked := t.TempDir()
	d := startDaemon(t, locked, "none")
	defer d.stop()
	badKey := t.TempDir()
	if err := os.MkdirAll(filepath.Join(badKey, "dev"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(badKey, "dev", "node.key"), "not a key")
	aFile := writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	for _, c := range []struct {
		name, dir string
		args      []string
		want      []string
	}{
		{"port for peers", t.TempDir(), []string{"--listen", taken.Addr().String(), "--rpc-listen", "none"}, []string{"peers", taken.Addr().String(), "--listen"}},
		{"port for RPC", t.TempDir(), []string{"--rpc-listen", taken.Addr().String(), "--listen", "none"}, []string{"RPC", taken.Addr().String(), "--rpc-listen"}},
		{"data directory in use", locked, []string{"--rpc-listen", "none", "--listen", "none"}, []string{locked, "in use"}},
		{"data directory that is a file", aFile, []string{"--rpc-listen", "none", "--listen", "none"}, []string{"data directory", aFile}},
		{"damaged key", badKey, []string{"--rpc-listen", "none", "--listen", "none"}, []string{"node.key"}},
	} {
		code, stdout, stderr := karatdFor(t, append([]string{"--network", "dev", "--datadir", c.dir}, c.args...)...)
		if code != 1 || stdout != "" || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
			t.Errorf("%s: exit code %d:\n%s%s", c.name, code, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: %q is not in %s", c.name, want, stderr)
			}
		}
	}
}

// TestDamagedExtras: files that a node can do without are reported and made
// anew.
func TestDamagedExtras(t *testing.T) {
	dir := t.TempDir()
	startDaemon(t, dir, "none").stop()
	for _, name := range []string{"fee_estimates.dat", "mempool.dat", "peers.json"} {
		writeFile(t, filepath.Join(dir, "dev", name), "nonsense")
	}
	d := startDaemon(t, dir, "none")
	if height := call[int](d, "getblockcount"); height != 0 {
		t.Errorf("height %d", height)
	}
	d.stop()
	if n := strings.Count(d.errors.String(), "level=WARN"); n != 3 {
		t.Errorf("%d warnings, want one for each file: %s", n, d.errors)
	}
	d = startDaemon(t, dir, "none")
	d.stop()
	if strings.Contains(d.errors.String(), "level=WARN") {
		t.Errorf("the files were not made anew: %s", d.errors)
	}
}

// TestHelpFits: no terminal breaks a line of a help text.
func TestHelpFits(t *testing.T) {
	var walk func(path []string, commands []*cli.Command)
	walk = func(path []string, commands []*cli.Command) {
		var out bytes.Buffer
		if code := run(t.Context(), append(append([]string{"karatd"}, path...), "--help"), cmdline.Streams{Out: &out, Err: &out}); code != 0 {
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
	walk(nil, newApp(&options{}, cmdline.Streams{}).Commands)
}
