package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/vectors"
	"github.com/karatcoin/karat/node"
)

// The test binary is karatd itself when this variable is set, so that a test
// can kill it.
const asKaratd = "KARATD_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asKaratd) != "" {
		main()
		return
	}
	// Who runs the tests may have options of karatd in the environment: the
	// README's tour sets one.
	o := &options{}
	for _, flag := range append(o.flags(), o.runFlags()...) {
		os.Unsetenv(cmdline.EnvironmentName(flag.Names()[0]))
	}
	os.Exit(m.Run())
}

// karatd runs a command line in this process.
func karatd(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"karatd"}, args...), cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	dir := emptyChain(t)
	blocks := filepath.Join(t.TempDir(), "blocks.dat")
	network := filepath.Join(t.TempDir(), "coin.json")
	impostor := renamed(t, "dev", "network", "new", "--name", "coin", "--bits", "207fffff")
	dev := func(args ...string) []string { return append([]string{"--network", "dev", "--datadir", dir}, args...) }
	steps := []struct {
		name string
		args []string
		code int
		want string // in stdout or stderr
	}{
		{"help", []string{"--help"}, 0, "Exit codes"},
		{"version", []string{"--version"}, 0, "karatd version "},
		{"unknown command", []string{"xyzzy"}, 2, `unknown command "xyzzy": see karatd --help`},
		{"mistyped command", []string{"--network", "dev", "verfiy"}, 2, `unknown command "verfiy": did you mean verify?`},
		{"mistyped command of a command", []string{"network", "hsah"}, 2, `unknown command "network hsah": did you mean network hash?`},
		{"unknown flag", []string{"--xyzzy"}, 2, "unknown flag --xyzzy: see karatd"},
		{"mistyped flag", []string{"run", "--mempol", "5"}, 2, "unknown flag --mempol: did you mean --mempool?"},
		{"flag of another command", dev("coins", "--mine"), 2, "unknown flag --mine: see karatd coins --help"},
		{"help of a command", []string{"--network", "dev", "coins", "--help"}, 0, "OPTIONS OF COINS"},
		{"networks", []string{"network"}, 0, "compare two networks field by field"},
		{"unknown network", []string{"--network", "moon", "coins"}, 1, "neither main, dev nor"},
		{"show", []string{"network", "show"}, 0, "ASERT with a half-life of 12h0m0s"},
		{"show as JSON", []string{"--network", "dev", "network", "show", "--json"}, 0, `"hrp": "krtd"`},
		{"flags behind", []string{"network", "show", "--json", "--network", "dev"}, 0, `"hrp": "krtd"`},
		{"hash", []string{"network", "hash"}, 0, "639568fb916e73f7f0924ee55184d11921b9665f57a29ff68cee8f762cd122a0"},
		{"new without a name", []string{"network", "new"}, 2, "--name is needed"},
		{"new with a bad name", []string{"network", "new", "--name", "My Coin"}, 2, "--name: \"My Coin\": want up to 32"},
		{"new with a name that is taken", []string{"network", "new", "--name", "dev"}, 2, "--name: dev is a network that is built in"},
		{"new with a prefix that is taken", []string{"network", "new", "--name", "coin", "--hrp", "bc"}, 2, "--hrp: addresses that begin with bc1 are those of Bitcoin"},
		{"new with a name of digits", []string{"network", "new", "--name", "7"}, 2, "--hrp is needed"},
		{"new with a name whose prefix is taken", []string{"network", "new", "--name", "krt2"}, 2, "--hrp is needed"},
		{"new with a long message", []string{"network", "new", "--name", "coin", "--message", strings.Repeat("x", 92)}, 2, "has 92 bytes: want up to 91"},
		{"new with a rule that is none", []string{"network", "new", "--difficulty", "lwma"}, 2, "--difficulty"},
		{"new in no folder", []string{"network", "new", "--name", "coin", "-o", dir + "/x/coin.json"}, 1, "--output: "},
		{"new for a faucet in no folder", []string{"--datadir", dir + "/x/y", "network", "new", "--name", "coin", "--bits", "207fffff", "--allocate", "faucet=5"}, 1, "there is no folder"},
		{"new with a bad address", []string{"network", "new", "--name", "coin", "--allocate", "coin1xyz=5"}, 2, "--allocate"},
		{"new with a port that does not exist", []string{"network", "new", "--name", "coin", "--p2p-port", "70000"}, 2, "--p2p-port 70000"},
		{"new with a maturity that does not fit", []string{"network", "new", "--name", "coin", "--maturity", "4294967296"}, 2, "--maturity"},
		{"new with half a second", []string{"network", "new", "--name", "coin", "--spacing", "1500ms"}, 2, "--spacing 1.5s"},
		{"new with more seconds than fit", []string{"network", "new", "--name", "coin", "--spacing", "4294967356s"}, 2, "--spacing"},
		{"new with a half-life of nothing", []string{"network", "new", "--name", "coin", "--half-life", "10ms"}, 2, "--half-life"},
		{"new with a peer that is none", []string{"network", "new", "--name", "coin", "--bootstrap", "friend"}, 2, "--bootstrap"},
		{"new with too many coins", []string{"network", "new", "--name", "coin", "--subsidy", "1000000"}, 2, "are more than can be counted"},
		{"new", []string{"network", "new", "--name", "coin", "--bits", "207fffff", "--timestamp", "1795392000", "-o", network}, 0, "identity"},
		{"new again", []string{"network", "new", "--name", "coin", "--bits", "207fffff", "-o", network}, 1, "exists"},
		{"the new network", []string{"--network", network, "network", "show"}, 0, "coin begins"},
		{"diff", []string{"network", "diff", "dev", network}, 1, "hrp"},
		{"no diff", []string{"network", "diff", "dev", "dev"}, 0, ""},
		{"coins", dev("coins"), 0, "1000000.00000000"},
		{"verify a mistyped directory", []string{"--network", "dev", "--datadir", dir + "x", "verify"}, 1, "nothing is stored in " + dir + "x/dev"},
		{"coins of nothing", []string{"--network", "dev", "--datadir", dir + "x", "coins"}, 1, "nothing is stored in " + dir + "x/dev"},
		{"export of nothing", []string{"--network", "dev", "--datadir", dir + "x", "export", blocks + "x"}, 1, "nothing is stored in " + dir + "x/dev"},
		{"coins with an argument", dev("coins", "all"), 2, "takes no argument"},
		{"bad cache", dev("--dbcache", "1", "coins"), 2, "--dbcache"},
		{"bad log level", dev("--log-level", "loud", "coins"), 2, "--log-level"},
		{"export", dev("export", blocks), 0, "exported 1 blocks"},
		{"export again", dev("export", blocks), 1, "--force"},
		{"export by force", dev("export", "--force", blocks), 0, "exported 1 blocks"},
		{"export by force, told behind", []string{"export", blocks, "--force", "--network", "dev", "--datadir", dir}, 0, "exported 1 blocks"},
		{"export to a directory", dev("export", "--force", dir), 1, "is a directory"},
		{"import", dev("import", blocks), 0, "1 known"},
		{"a directory in none", []string{"--network", "dev", "--datadir", dir + "x/y", "import", blocks}, 1, "there is no folder " + dir + "x"},
		{"import nothing", dev("import"), 2, "at least one file"},
		{"import a folder without blocks", dev("import", dir), 1, "has no blk00000.dat"},
		{"import what is no block", dev("import", network), 1, "no block of network dev was found"},
		{"verify", dev("verify"), 0, "0 blocks verified"},
		{"bad level", dev("verify", "--level", "5"), 2, "--level"},
		{"another network", []string{"--network", network, "--datadir", dir, "coins"}, 1, "nothing is stored in " + dir + "/coin"},
		{"mining on it", []string{"--network", impostor, "--datadir", dir, "--mine"}, 2, "--mine-to"},
		{"its data", []string{"--network", impostor, "--datadir", dir, "coins"}, 1, `is of network "dev" (47985113`},
	}
	for _, s := range steps {
		code, stdout, stderr := karatd(s.args...)
		if code != s.code || !strings.Contains(stdout+stderr, s.want) {
			t.Errorf("%s: exit code %d (want %d), output lacks %q:\n%s%s", s.name, code, s.code, s.want, stdout, stderr)
		}
		if code != 0 && strings.Count(stderr, "karatd: ") != 1 || code == 2 && strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: the error takes more than a line:\n%s", s.name, stderr)
		}
	}
}

// renamed makes a network by a command line, and gives it another name, which its maker could
// not have chosen.
func renamed(t *testing.T, name string, args ...string) (file string) {
	t.Helper()
	code, stdout, stderr := karatd(args...)
	if code != 0 {
		t.Fatal(stderr)
	}
	p, err := network.Parse([]byte(stdout))
	if err != nil {
		t.Fatal(err)
	}
	p.Name = name
	return writeFile(t, filepath.Join(t.TempDir(), name+".json"), string(network.Marshal(p)))
}

// TestExportIntoAPipe: what is not a file is written to, and stays what it is.
func TestExportIntoAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	go func() {
		data, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		got <- data
	}()
	code, _, stderr := karatd("--network", "dev", "--datadir", emptyChain(t), "export", "--force", pipe)
	info, err := os.Stat(pipe)
	if code != 0 || err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Fatalf("exit code %d, %v, %v: %s", code, info.Mode(), err, stderr)
	}
	if data := <-got; !bytes.HasPrefix(data, []byte("krtd")) {
		t.Errorf("the pipe got %q", data)
	}
}

// TestFlagsOfOneName: whether a flag takes a value has to be known before its
// command is, so flags of one name are of one kind.
func TestFlagsOfOneName(t *testing.T) {
	app := newApp(&options{}, cmdline.Streams{})
	takesValue := map[string]bool{}
	var check func(flags []cli.Flag, commands []*cli.Command)
	check = func(flags []cli.Flag, commands []*cli.Command) {
		for _, flag := range flags {
			takes := flag.(cli.DocGenerationFlag).TakesValue()
			for _, name := range flag.Names() {
				if before, known := takesValue[name]; known && before != takes {
					t.Errorf("--%s takes a value in one command, and none in another", name)
				}
				takesValue[name] = takes
			}
		}
		for _, command := range commands {
			check(command.Flags, command.Subcommands)
		}
	}
	check(app.Flags, app.Commands)
	if len(takesValue) < 10 {
		t.Errorf("%d flags", len(takesValue))
	}
}

// emptyChain makes a data directory that has the genesis block of the dev network.
func emptyChain(t *testing.T) (dataDir string) {
	t.Helper()
	dataDir = t.TempDir()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), node.Config{DataDir: filepath.Join(dataDir, "dev"), Params: params, CacheBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return dataDir
}

// TestPipesOfNobody: who waits for the other end of a pipe can be interrupted.
func TestPipesOfNobody(t *testing.T) {
	for _, args := range [][]string{{"import"}, {"export"}, {"coins", "--config"}} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		var errs bytes.Buffer
		args = append([]string{"karatd", "--network", "dev", "--datadir", emptyChain(t)}, append(args, pipe)...)
		code := run(ctx, args, cmdline.Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs})
		if code != 1 || errs.String() != "karatd: interrupted\n" {
			t.Errorf("%v: exit code %d: %s", args, code, &errs)
		}
	}
}

func TestCoinsJSONHasCoresKeys(t *testing.T) {
	code, stdout, stderr := karatd("--network", "dev", "--datadir", emptyChain(t), "coins", "--json")
	if code != 0 {
		t.Fatal(stderr)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"height", "bestblock", "txouts", "total_amount", "muhash", "hash_serialized_3"} {
		if _, ok := got[key]; !ok {
			t.Errorf("no %s in %s", key, stdout)
		}
	}
}

// TestKillUnderCoreChain kills an import of the chain that Bitcoin Core made at random
// moments and starts it again, until it is through.
func TestKillUnderCoreChain(t *testing.T) {
	chain, fork := vectors.Copy(t, "core-regtest/chain.dat"), vectors.Copy(t, "core-regtest/fork.dat")
	var answer struct {
		MuHash struct {
			MuHash string `json:"muhash"`
		} `json:"muhash"`
	}
	if vectors.ReadJSON(t, "core-regtest/fork.json", &answer); answer.MuHash.MuHash == "" {
		t.Fatal("fork.json has no muhash")
	}
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	kills := 0
	for range rounds {
		dir := t.TempDir()
		args := []string{"--network", "../../testdata/bitcoin-regtest.json", "--datadir", dir, "import", chain, fork}
		for range 10 {
			cmd := exec.Command(os.Args[0], args...)
			cmd.Env = append(os.Environ(), asKaratd+"=1")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
			if cmd.Process.Kill() == nil {
				kills++
			}
			_ = cmd.Wait() // killed, or through
		}
		if code, _, stderr := karatd(args...); code != 0 {
			t.Fatalf("the import after the kills: %s", stderr)
		}
		_, stdout, _ := karatd("--network", "../../testdata/bitcoin-regtest.json", "--datadir", dir, "coins", "--json")
		if !strings.Contains(stdout, answer.MuHash.MuHash) {
			t.Fatalf("after the kills the coins are %s, want muhash %s", stdout, answer.MuHash.MuHash)
		}
	}
	vectors.Ran(t, rounds, "coin sets after kills")
	t.Logf("killed %d times", kills)
}
