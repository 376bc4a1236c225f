package cmdline

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// writeTestManual lets a program write its manual, and returns the folder and the exit code.
func writeTestManual(t *testing.T, program Program, epoch string) (folder string, code int) {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", epoch)
	folder = filepath.Join(t.TempDir(), "man1")
	program.App.Commands = append(program.App.Commands, ManCommand("prog"))
	return folder, program.Run(t.Context(), []string{"prog", "man", folder})
}

// TestManual: each command has a page, and on it stands what its help says: what it is for, its
// flags with their values and defaults, examples that can be copied.
func TestManual(t *testing.T) {
	program := wallet(io.Discard, io.Discard)
	program.App.Description = "Has one\nparagraph.\n\n   prog 'a b' --yes ~/x\\y   pays\n   prog alone\n\n.Begins with a point."
	program.App.Flags = append(program.App.Flags, &cli.BoolFlag{Name: "secret", Hidden: true, Usage: "for tests"})
	folder, code := writeTestManual(t, program, "86400")
	if code != ExitOK {
		t.Fatal("exit code", code)
	}
	files, err := filepath.Glob(folder + "/*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	if want := "prog-balance.1 prog-man.1 prog-net-diff.1 prog-net-show.1 prog-net.1 prog-rpc.1 prog-send.1 prog.1"; strings.Join(names, " ") != want {
		t.Errorf("pages %v", names)
	}
	for name, wants := range map[string][]string{
		"prog.1": {
			`.TH PROG 1 "1970-01-02" "karat 1.2.3"`, "Has one paragraph.\n.PP\n", `\fBprog \(aqa b\(aq \-\-yes \(ti/x\ey\fR` + "\npays\n", `\fBprog alone\fR`, "\n\\&.Begins",
			"\\fBprog\\-send\\fR(1)\npay\n", `\fB\-\-number\fR \fINUMBER\fR` + "\na NUMBER (default: 7)\n",
		},
		"prog-send.1":     {`\fBprog send\fR [options] ADDRESS AMOUNT`, `\fB\-\-yes\fR, \fB\-y\fR`, ".SS Payees\n.TP 4\n\\fB\\-\\-to\\fR", "SEE ALSO\n\\fBprog\\fR(1)"},
		"prog-net.1":      {`\fBprog net\fR [options] command`, `\fBprog\-net\-diff\fR(1)`},
		"prog-net-diff.1": {`\fBprog net diff\fR [options] A B`, "SEE ALSO\n\\fBprog\\-net\\fR(1)"},
	} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(data), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, data)
			}
		}
		if strings.Contains(string(data), "secret") {
			t.Errorf("%s tells of a flag that is hidden", name)
		}
	}
	if mandoc, err := exec.LookPath("mandoc"); err != nil {
		t.Log("NOT RUN: mandoc, which would read the pages (Debian's package mandoc)")
	} else if out, err := exec.CommandContext(t.Context(), mandoc, append([]string{"-T", "lint", "-W", "warning"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}

// TestManualRefuses: a date that is none, a folder that cannot be made, none at all.
func TestManualRefuses(t *testing.T) {
	var errs bytes.Buffer
	if _, code := writeTestManual(t, wallet(io.Discard, &errs), "tomorrow"); code != ExitUsage || !strings.Contains(errs.String(), "SOURCE_DATE_EPOCH tomorrow: want seconds") {
		t.Error(code, errs.String())
	}
	for _, words := range [][]string{{"prog", "man"}, {"prog", "man", "a", "b"}} {
		program := wallet(io.Discard, &errs)
		program.App.Commands = append(program.App.Commands, ManCommand("prog"))
		if code := program.Run(t.Context(), words); code != ExitUsage {
			t.Error(words, code)
		}
	}
	program := wallet(io.Discard, &errs)
	program.App.Commands = append(program.App.Commands, ManCommand("prog"))
	t.Setenv("SOURCE_DATE_EPOCH", "")
	if code := program.Run(t.Context(), []string{"prog", "man", filepath.Join(t.TempDir(), "none", "man1")}); code != ExitFailure {
		t.Error("a folder in none was made:", code)
	}
}
