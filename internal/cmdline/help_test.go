package cmdline

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestHelpGroups: a category stands once, however its flags are listed, in the help as in the
// manual; flags without one come first and have no title.
func TestHelpGroups(t *testing.T) {
	var out bytes.Buffer
	program := wallet(&out, &out)
	flag := func(name, category string) cli.Flag { return &cli.BoolFlag{Name: name, Category: category, Usage: "x"} }
	program.App.Flags = []cli.Flag{flag("a1", "A:"), flag("n1", ""), flag("b1", "B:"), flag("a2", "A:"), flag("n2", ""), flag("b2", "B:")}
	if code := program.Run(t.Context(), []string{"prog", "--help"}); code != ExitOK {
		t.Fatal(code, out.String())
	}
	_, help, _ := strings.Cut(out.String(), "OPTIONS OF ALL COMMANDS:")
	folder, code := writeTestManual(t, program, "86400")
	page, err := os.ReadFile(filepath.Join(folder, "prog.1"))
	if code != ExitOK || err != nil {
		t.Fatal(code, err)
	}
	for what, text := range map[string]string{"help": help, "manual": strings.ReplaceAll(strings.ReplaceAll(string(page), `\-`, "-"), ".SS B\n", "  B:\n")} {
		at := 0
		for _, want := range []string{"--n1", "--n2", "A", "--a1", "--a2", "  B:\n", "--b1", "--b2"} {
			next := strings.Index(text[at:], want)
			if next < 0 {
				t.Fatalf("%s: %s is not where it should be:\n%s", what, want, text)
			}
			at += next
		}
		if strings.Contains(text, "\n  \n") || strings.Count(text, "  B:\n") != 1 {
			t.Errorf("%s: a title is empty, or stands twice:\n%s", what, text)
		}
	}
}
