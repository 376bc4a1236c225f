package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// codeBlock is a block of code in a page, with what it prints, if that follows.
var codeBlock = regexp.MustCompile("(?s)```(go|javascript|python|sh)\n(.*?)```\n(?:\n```\n(.*?)```\n)?")

// TestDevExamples runs the programs of docs/dev.md as they stand there.
func TestDevExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles programs")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dev.md"))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(os.Args[0], filepath.Join(bin, "karatd")); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", bin, "../karat")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(asKaratd, "1")
	ran := map[string]int{}
	for _, example := range codeBlock.FindAllSubmatch(page, -1) {
		language := string(example[1])
		ran[language]++
		t.Run(language, func(t *testing.T) { runExample(t, language, example[2], string(example[3])) })
	}
	if len(ran) != 4 {
		t.Errorf("only %v were found", ran)
	}
}

// runExample runs a program, each line of whose output must begin as the page says.
func runExample(t *testing.T, language string, program []byte, want string) {
	how := map[string]struct {
		file    string
		command []string
	}{
		"go": {"main.go", []string{"go", "run"}}, "javascript": {"main.mjs", []string{"node"}}, "python": {"main.py", []string{"python3"}}, "sh": {"main.sh", []string{"bash", "-e"}},
	}[language]
	if _, err := exec.LookPath(how.command[0]); err != nil {
		t.Skipf("NOT RUN: there is no %s here", how.command[0])
	}
	file := filepath.Join(t.TempDir(), how.file)
	if err := os.WriteFile(file, program, 0o600); err != nil {
		t.Fatal(err)
	}
	if language == "sh" { // the wallet's commands ask a chain that runs
		d, started := startDev(t)
		t.Setenv("KARAT_NETWORK", started.Network)
		t.Setenv("KARAT_DATADIR", started.DataDir)
		t.Setenv("KARAT_RPC", strings.TrimPrefix(started.RPC, "http://"))
		defer endDev(d)
	}
	command := exec.CommandContext(t.Context(), how.command[0], append(how.command[1:], file)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	rest := stdout.String()
	for line := range strings.Lines(want) {
		line = strings.TrimSuffix(line, "\n")
		at := strings.Index("\n"+rest, "\n"+line)
		if at < 0 {
			t.Fatalf("it prints\n%s%s\nand not %q", stdout.String(), stderr.String(), line)
		}
		rest = rest[at:]
	}
}
