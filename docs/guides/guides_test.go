// Package guides has no code: its test does what the guides beside it say.
package guides

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/freeport"
)

// machine is what stands for the reader's machine: a folder. Programs of a release are built
// once for all guides.
type machine struct {
	dir     string
	release string // a folder with an archive and its sums
}

// needs are the programs of others that a guide runs.
var needs = map[string][]string{"watch": {"prometheus", "promtool", "curl", "python3"}, "service": {"curl"}}

// TestGuides: every command of a guide works, one after the other, and prints what the guide
// shows. What changes a machine happens in a folder: /etc, /var/lib, /usr/local and /tmp are
// there, sudo changes nobody, and a script of twenty lines starts and ends what systemd would.
func TestGuides(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a release and runs nodes")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("NOT RUN: the guides name the archive of linux/amd64")
	}
	release := filepath.Join(t.TempDir(), "dist")
	build := exec.CommandContext(t.Context(), "go", "run", "./internal/release", "-out", release)
	build.Dir = "../.."
	build.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1796000000")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"service", "backup", "remote", "upgrade", "watch"} {
		t.Run(name, func(t *testing.T) {
			for _, program := range needs[name] {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("NOT RUN: docs/guides/%s.md needs %s", name, program)
				}
			}
			m := machine{dir: t.TempDir(), release: release}
			m.prepare(t)
			// Only now: a script that is written while a neighbour starts a program cannot be run for
			// a moment, as that has it open.
			t.Parallel()
			text, err := os.ReadFile(name + ".md")
			if err != nil {
				t.Fatal(err)
			}
			commands, shown := blocks(string(text))
			if strings.Count(commands, "\n") < 8 {
				t.Fatalf("commands were not found:\n%s", commands)
			}
			out := m.run(t, commands, name == "remote")
			printed := map[string]bool{}
			for line := range strings.Lines(out) {
				printed[plain(strings.ReplaceAll(line, m.dir, ""))] = true
			}
			for line := range strings.Lines(shown) {
				if !printed[plain(line)] {
					t.Errorf("the guide shows what did not come out: %s%s", line, out)
				}
			}
		})
	}
}

// blocks returns the commands of a guide, and what it shows of their output.
func blocks(text string) (commands, shown string) {
	for _, match := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		switch match[1] {
		case "sh":
			commands += match[2]
		case "":
			shown += match[2]
		}
	}
	return commands, shown
}

// plain returns a line without what differs from run to run.
func plain(line string) string {
	line = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(line, "HASH")
	return strings.TrimSpace(regexp.MustCompile(`[0-9]+`).ReplaceAllString(line, "#"))
}

// stands are the programs that stand for those which need a machine of their own.
var stands = map[string]string{
	"sudo": `exec "$@"`,
	"systemctl": `
unit="$MACHINE/etc/systemd/system/karatd.service"
stop() {
	[ -e "$MACHINE/pid" ] || return 0
	kill "$(cat "$MACHINE/pid")"
	while kill -0 "$(cat "$MACHINE/pid")" 2>/dev/null; do sleep 0.1; done
	rm "$MACHINE/pid"
}
start() {
	mkdir -p "$MACHINE/var/lib/karat"
	$(sed -n 's/^ExecStart=//p' "$unit") >>"$MACHINE/journal" 2>&1 &
	echo $! >"$MACHINE/pid"
}
case "$*" in
daemon-reload) [ -e "$unit" ] ;;
"enable --now karatd") start ;;
"restart karatd") stop; start ;;
"disable --now karatd") stop ;;
*) echo "systemctl $*: not known here"; exit 1 ;;
esac`,
	"journalctl": `[ "$1 $2" = "-u karatd" ] && cat "$MACHINE/journal"`,
}

// prepare lays the machine out, with the release where it was downloaded.
func (m machine) prepare(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"bin", "home", "etc/systemd/system", "var/lib", "usr/local/bin", "download"} {
		if err := os.MkdirAll(filepath.Join(m.dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range stands {
		if err := os.WriteFile(filepath.Join(m.dir, "bin", name), []byte("#!/bin/sh\nset -eu\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(m.release)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Link(filepath.Join(m.release, file.Name()), filepath.Join(m.dir, "download", file.Name())); err != nil {
			t.Fatal(err)
		}
	}
	// The guides but for the service's begin where the programs are installed.
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `tar -xzf "$0"/karat-*.tar.gz --strip-components=2 -C "$1" --wildcards '*/bin/*'`, m.release, filepath.Join(m.dir, "usr/local/bin")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// run runs commands in one shell, at places and ports of this machine, and returns what they
// printed. All that they started has ended then. Some name the nodes that they ask; for the
// others it is the one of this machine.
func (m machine) run(t *testing.T, commands string, names bool) string {
	t.Helper()
	rpc, metrics, prometheus := freeport.Of(t, "127.0.0.1"), freeport.Of(t, "127.0.0.1"), freeport.Of(t, "127.0.0.1")
	commands = strings.NewReplacer(
		"0.0.0.0:9554", "127.0.0.1:"+rpc, ":9554", ":"+rpc, ":9557", ":"+metrics, ":9090", ":"+prometheus,
		" /etc/", " "+m.dir+"/etc/", " /var/lib/", " "+m.dir+"/var/lib/", " /usr/local/", " "+m.dir+"/usr/local/",
		// sed writes the port, and the unit its places, into files that are read later.
		"sudo systemctl daemon-reload", `sed -i "s#/usr/local/bin#$MACHINE/usr/local/bin#; s#/var/lib#$MACHINE/var/lib#; s#/etc/karat#$MACHINE/etc/karat#" "$MACHINE/etc/systemd/system/karatd.service"; sudo systemctl daemon-reload`,
		"s/^#metrics/metrics/", "s/^#metrics/metrics/; s/9557/"+metrics+"/",
		"promtool check config", "sed -i s/9557/"+metrics+"/ prometheus.yml; promtool check config",
	).Replace(commands)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	shell.Dir = filepath.Join(m.dir, "download")
	shell.Env = []string{
		"HOME=" + filepath.Join(m.dir, "home"), "MACHINE=" + m.dir, "LANG=C.UTF-8",
		"PATH=" + filepath.Join(m.dir, "bin") + ":" + filepath.Join(m.dir, "usr/local/bin") + ":" + os.Getenv("PATH"),
		"KARAT_LISTEN=none", "KARAT_NO_DISCOVERY=true", "KARAT_RPC_LISTEN=127.0.0.1:" + rpc,
	}
	if !names {
		shell.Env = append(shell.Env, "KARAT_RPC=127.0.0.1:"+rpc)
	}
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	shell.WaitDelay = 10 * time.Second
	out, err := shell.CombinedOutput()
	if shell.Process != nil {
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) // what a failure has left
	}
	if err != nil {
		logs, _ := filepath.Glob(filepath.Join(m.dir, "download", "*.log"))
		for _, log := range append(logs, filepath.Join(m.dir, "journal")) {
			text, _ := os.ReadFile(log)
			out = append(append(out, "\n"+log+":\n"...), text...)
		}
		t.Fatalf("%v\n%s\nof\n%s", err, out, commands)
	}
	return string(out)
}
