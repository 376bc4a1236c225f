package cmdline

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"\n":               "",
		"secret":           "secret",
		"secret\n":         "secret",
		"secret\r\nmore\n": "secret",
		" with spaces \n":  " with spaces ",
		"\ufeffsecret\r\n": "secret",
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, "-"} {
			if got, err := FirstLine(t.Context(), name, strings.NewReader(text)); err != nil || got != want {
				t.Errorf("%q from %s: %q, %v", text, name, got, err)
			}
		}
	}
	if _, err := FirstLine(t.Context(), "nowhere", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if got, err := FirstLine(t.Context(), "/dev/zero", nil); err == nil || !strings.Contains(err.Error(), "/dev/zero: its first line has") {
		t.Errorf("a line without end: %d bytes, %v", len(got), err)
	}
	// A stream that stays open has a first line all the same.
	r, w := io.Pipe()
	defer w.Close()
	go w.Write([]byte("secret\n"))
	if got, err := FirstLine(t.Context(), "-", r); err != nil || got != "secret" {
		t.Errorf("a stream: %q, %v", got, err)
	}
}

func TestReadFile(t *testing.T) {
	if got, err := ReadFile(t.Context(), "-", strings.NewReader("one\ntwo")); err != nil || got != "one\ntwo" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReadFile(t.Context(), "/dev/zero", nil); err == nil || !strings.Contains(err.Error(), "/dev/zero: it has more than") {
		t.Errorf("a file without end: %v", err)
	}
	if _, err := ReadFile(t.Context(), "nowhere", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestReadsObeyTheContext: nobody writes, and Ctrl-C is obeyed all the same.
func TestReadsObeyTheContext(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	silent, w := io.Pipe()
	defer w.Close()
	for name, read := range map[string]func(context.Context) (string, error){
		"the first line of stdin":           func(ctx context.Context) (string, error) { return FirstLine(ctx, "-", silent) },
		"all of stdin":                      func(ctx context.Context) (string, error) { return ReadFile(ctx, "-", silent) },
		"a pipe that nobody opens to write": func(ctx context.Context) (string, error) { return ReadFile(ctx, pipe, nil) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if got, err := read(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := read(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, later: %v", name, err)
		}
	}
}
