package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEventsProgram: `karatd events` is karat-events with the same words, streams and exit code,
// wherever a user has it, and says what is missing if it is nowhere.
func TestEventsProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, path := t.TempDir(), t.TempDir()
	program := filepath.Join(dir, "karatd")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, out string) {
		c := exec.Command(program, args...)
		c.Env = append(os.Environ(), asKaratd+"=1", "PATH="+path)
		text, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), string(text)
	}
	if code, out := run("events", "--once"); code != 1 || !strings.Contains(out, "neither beside karatd nor on PATH") {
		t.Errorf("%d %s", code, out)
	}
	script := "#!/bin/sh\necho \"$0 $*\"\nexit 7\n"
	file := filepath.Join(path, eventsProgram)
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out := run("events", "status", "--schema", "a b", "--json"); code != 7 || out != file+" status --schema a b --json\n" {
		t.Errorf("%d %s", code, out)
	}
	if code, out := run("--network", "dev", "events"); code != 2 || !strings.Contains(out, "events comes first") {
		t.Errorf("%d %s", code, out)
	}
}
