package cmdline

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletion: what may stand next, by what was typed before; a name that is mistyped is put
// right; and where a value or an argument stands nothing is known.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"":                      "balance send rpc net",
		"b":                     "balance",
		"balanse":               "balance",
		"xyzzy":                 "",
		"--network dev s":       "send",
		"--network ":            "",
		"--network=dev net ":    "show diff",
		"net dfif":              "diff",
		"balance -":             "--help --version --json --network --wallet --number",
		"balance --j":           "--json",
		"balance --netwrok":     "--network",
		"send --f":              "--feerate",
		"send ADDRESS ":         "",
		"send ADDRESS --y":      "--yes",
		"send -- --y":           "",
		"nonsense --y":          "",
		"rpc getblock --w":      "--wait --wallet",
		"--feerate 2 send --ye": "--yes",
	} {
		var out bytes.Buffer
		words := append([]string{"prog"}, strings.Split(line, " ")...)
		if code := wallet(&out, io.Discard).Run(t.Context(), append(words, completing)); code != 0 {
			t.Errorf("%q: exit code %d", line, code)
		}
		var got []string
		for row := range strings.Lines(out.String()) {
			name, _, _ := strings.Cut(row, "\t")
			got = append(got, name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestBashCompletes: bash takes the script, and gets what the program says.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	var script bytes.Buffer
	program := wallet(&script, io.Discard)
	program.App.Commands = append(program.App.Commands, CompletionCommand("prog"))
	if code := program.Run(t.Context(), []string{"prog", "completion", "bash"}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	dir := t.TempDir()
	stub := "#!/bin/sh\necho \"$#: $*\" >&2\nprintf 'balance\\tshow it\\nsend\\tpay\\n'\n"
	if err := os.WriteFile(filepath.Join(dir, "prog"), []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), bash, "--norc", "-c", script.String()+"\nCOMP_WORDS=(prog 'a b' ''); COMP_CWORD=2; _prog; printf '%s,' \"${COMPREPLY[@]}\"")
	command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := command.CombinedOutput(); err != nil || string(out) != "balance,send," {
		t.Errorf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		program := wallet(io.Discard, io.Discard)
		program.App.Commands = append(program.App.Commands, CompletionCommand("prog"))
		if code := program.Run(t.Context(), append([]string{"prog"}, args...)); code != ExitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}
