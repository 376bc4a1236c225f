package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node/doctor"
)

// diagnosed runs doctor, and returns the codes that it tells, the first first.
func diagnosed(t *testing.T, args ...string) (codes []string, told diagnosis) {
	t.Helper()
	began := time.Now()
	code, out, errs := karatd(append(args, "doctor", "--json")...)
	if took := time.Since(began); took > 2*time.Second {
		t.Logf("it took %s", took) // on a machine that does nothing else, it does not
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	if want := map[bool]int{true: cmdline.ExitOK, false: cmdline.ExitFailure}[told.Healthy]; code != want {
		t.Errorf("exit code %d, healthy %t: %s", code, told.Healthy, errs)
	}
	// The machine is the one that runs the test, and may have little left of anything.
	told.Findings = slices.DeleteFunc(told.Findings, func(f doctor.Finding) bool {
		return strings.HasPrefix(f.Code, "disk-") || strings.HasPrefix(f.Code, "memory-") || strings.HasPrefix(f.Code, "files-")
	})
	for _, f := range told.Findings {
		codes = append(codes, f.Code)
		if f.Summary == "" || f.Next == "" || f.Evidence == nil {
			t.Errorf("%+v tells too little", f)
		}
	}
	return codes, told
}

// fault is something that keeps a node from running, or a program from it.
type fault struct {
	name string
	want string // the code that is told first
	do   func(t *testing.T, dir string) (args []string)
}

// TestDoctorWithoutANode: where nothing answers, what is wrong is said all the same.
func TestDoctorWithoutANode(t *testing.T) {
	write := func(t *testing.T, name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []fault{
		{"nothing was ever stored", "not-running", func(*testing.T, string) []string { return nil }},
		{"no network's file", "network-file", func(*testing.T, string) []string { return []string{"--network", "./none.json"} }},
		{"a network's file that is cut off", "network-file", func(t *testing.T, _ string) []string {
			return []string{"--network", write(t, "coin.json", `{"name": "coin",`)}
		}},
		{"an option that is not there", "options", func(t *testing.T, _ string) []string {
			return []string{"--config", write(t, "karatd.toml", "max-pears = 3\n")}
		}},
		{"a flag that needs another", "options", func(*testing.T, string) []string { return []string{"--rpc-cert", "cert.pem"} }},
		{"a data directory that is mistyped", "datadir-missing", func(t *testing.T, dir string) []string {
			return []string{"--datadir", filepath.Join(dir, "none", "none")}
		}},
		{"a file instead of the folder", "datadir-access", func(t *testing.T, dir string) []string {
			if err := os.WriteFile(filepath.Join(dir, "dev"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{"data of another network", "datadir-network", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			text, err := os.ReadFile("../../dev.json")
			if err != nil {
				t.Fatal(err)
			}
			return []string{"--network", write(t, "other.json", strings.Replace(string(text), `"target_spacing": `, `"target_spacing": 1`, 1))}
		}},
		{"a database without its manifest", "datadir-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			remove(t, dir, "dev/index/MANIFEST-*")
			return nil
		}},
		{"blocks without a database", "datadir-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			remove(t, dir, "dev/index/*")
			return nil
		}},
		{"a file of blocks that is gone", "datadir-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			remove(t, dir, "dev/blocks/*")
			return nil
		}},
		{"a node's key that is damaged", "file-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			writeFile(t, filepath.Join(dir, "dev", nodeKeyFile), "damaged")
			return nil
		}},
		{"a faucet's key that is damaged", "file-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			writeFile(t, filepath.Join(dir, "dev", "faucet.key"), strings.Repeat("0", 64))
			return []string{"--faucet", "--web", "127.0.0.1:0"}
		}},
		{"a damaged file of what a faucet owes", "file-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			writeFile(t, filepath.Join(dir, "dev", "faucet.key"), strings.Repeat("1", 64))
			writeFile(t, filepath.Join(dir, "dev", "faucet.json"), "{")
			return []string{"--faucet", "--web", "127.0.0.1:0"}
		}},
		{"a certificate that is damaged", "file-damaged", func(t *testing.T, dir string) []string {
			chainIn(t, dir)
			writeFile(t, filepath.Join(dir, "dev", "rpc.cert"), "x")
			writeFile(t, filepath.Join(dir, "dev", "rpc.key"), "x")
			return []string{"--rpc-tls"}
		}},
		{"a port that is taken", "port-taken", func(t *testing.T, dir string) []string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return []string{"--listen", l.Addr().String()}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append([]string{"--network", "dev", "--datadir", dir, "--listen", "none", "--rpc-listen", "127.0.0.1:1"}, c.do(t, dir)...)
			if codes, _ := diagnosed(t, args...); len(codes) == 0 || codes[0] != c.want {
				t.Errorf("%v, want %s first", codes, c.want)
			}
		})
	}
}

// chainIn stores a chain of the dev network in a data directory.
func chainIn(t *testing.T, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(emptyChain(t))); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatal(err, pattern)
	}
	for _, name := range files {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStatusOfAMiner: a node that mines says so, and for whom.
func TestStatusOfAMiner(t *testing.T) {
	const to = "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j"
	dir := t.TempDir()
	d := startDaemon(t, dir, "none", "--mine", "--mine-to", to, "--mine-interval", "1h")
	defer d.stop()
	status := func(args ...string) (out string) {
		t.Helper()
		for t.Context().Err() == nil { // on a busy machine it may not answer at once
			var errs string
			if _, out, errs = karatd(append([]string{"--network", "dev", "--datadir", dir, "status"}, args...)...); !strings.Contains(out, "node-silent") {
				return out + errs
			}
		}
		return out
	}
	defer d.dumpAfter(patience).Stop()
	if out := status(); !strings.Contains(strings.Join(strings.Fields(out), " "), "mining this node mines, and its blocks pay "+to) {
		t.Errorf("status: %s", out)
	}
	if out := status("--json"); !strings.Contains(out, `"mine_to": "`+to+`"`) {
		t.Errorf("status --json: %s", out)
	}
}

// TestDoctorOfASharedCookie: a cookie that its group may read, because the node was told so, is
// no fault to a doctor who was not told.
func TestDoctorOfASharedCookie(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir, "none", "--rpc-cookie-perms", "group")
	defer d.stop()
	if codes, _ := diagnosed(t, "--network", "dev", "--datadir", dir); slices.Contains(codes, "key-exposed") {
		t.Error(codes)
	}
}

// TestDoctorOfANode: a node that runs is found whatever port it has, and is well; what keeps a
// program from it is said.
func TestDoctorOfANode(t *testing.T) {
	usual := askPatience
	t.Cleanup(func() { askPatience = usual })
	askPatience = patience // this machine may have other things to do
	dir := t.TempDir()
	d := startDaemon(t, dir, "127.0.0.1:0")
	defer d.stop()
	at := []string{"--network", "dev", "--datadir", dir}
	codes, told := diagnosed(t, at...)
	if doctor.Worst(told.Findings) >= doctor.Warning {
		t.Errorf("a node that is well: %v", codes)
	}
	code, out, errs := karatd(append(at, "status")...)
	if told.Healthy && (code != 0 || !strings.Contains(out, "it is well (nothing is wrong)")) || !strings.Contains(out, "chain   block 0") {
		t.Errorf("status: exit code %d: %s%s", code, out, errs)
	}
	if strings.Contains(out, "mines") {
		t.Errorf("status of a node that does not mine: %s", out)
	}
	for line := range strings.Lines(out) {
		if n := cmdline.Width(strings.TrimSuffix(line, "\n")); n > screen {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	cookie := filepath.Join(dir, "dev", ".cookie")
	secret, err := os.ReadFile(cookie)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cookie, []byte("__cookie__:wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	if codes, _ := diagnosed(t, at...); codes[0] != "rpc-refused" {
		t.Errorf("another cookie: %v", codes)
	}
	if err := os.Remove(cookie); err != nil {
		t.Fatal(err)
	}
	if codes, _ := diagnosed(t, at...); codes[0] != "rpc-no-cookie" {
		t.Errorf("no cookie: %v", codes)
	}
	if err := os.WriteFile(cookie, secret, 0o644); err != nil {
		t.Fatal(err)
	}
	if codes, told := diagnosed(t, at...); codes[0] != "key-exposed" || doctor.Worst(told.Findings) != doctor.Warning {
		t.Errorf("a cookie for all: %v", codes)
	}
	if err := os.Chmod(cookie, 0o600); err != nil {
		t.Fatal(err)
	}
	strange := httptest.NewServer(http.NotFoundHandler())
	defer strange.Close()
	left := filepath.Join(dir, "dev", "running.json")
	text, err := os.ReadFile(left)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{strange.Listener.Addr().String(): "rpc-not-node", "127.0.0.1:1": "node-silent"} {
		changed := strings.Replace(string(text), strings.TrimPrefix(d.rpc, "http://"), at, 1)
		if err := os.WriteFile(left, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if codes, _ := diagnosed(t, "--network", "dev", "--datadir", dir); codes[0] != want {
			t.Errorf("%s: %v, want %s", at, codes, want)
		}
	}
	if err := os.WriteFile(left, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	askPatience = usual
	if codes, _ := diagnosed(t, at...); codes[0] != "node-silent" {
		t.Errorf("a node that hangs: %v", codes)
	}
	askPatience = patience
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	call[any](d, "setnetworkactive", false)
	if codes, _ := diagnosed(t, at...); codes[0] != "network-off" {
		t.Errorf("the network is off: %v", codes)
	}
	call[any](d, "setnetworkactive", true)
}

// TestDoctorOfNoTransaction: what can be no transaction is refused before anybody is asked.
func TestDoctorOfNoTransaction(t *testing.T) {
	code, _, errs := karatd("--network", "dev", "--datadir", t.TempDir(), "doctor", "--tx", "zz")
	if code != cmdline.ExitUsage || !strings.Contains(errs, "64 hexadecimal digits") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
