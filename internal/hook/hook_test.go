package hook

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFire: events run in their order, and a text cannot leave its quotes.
func TestFire(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events")
	h := New("--alertnotify", "echo %s 100%% >> "+file, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	evil := `it's $(touch ` + file + `.evil); "x"`
	h.Fire("%s", Quote("first"))
	h.Fire("%s", Quote(evil))
	want := "first 100%\n" + evil + " 100%\n"
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		got, _ := os.ReadFile(file)
		if string(got) == want {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if _, err := os.Stat(file + ".evil"); err == nil {
		t.Error("a text ran as a command")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestOldestIsLeftOut: whoever fires does not wait for a command, however long it takes.
func TestOldestIsLeftOut(t *testing.T) {
	var log bytes.Buffer
	h := New("--blocknotify", "true", slog.New(slog.NewTextHandler(&log, nil)))
	for range waiting + 1 { // nothing runs
		h.Fire("%s", "x")
	}
	if !strings.Contains(log.String(), "--blocknotify") {
		t.Errorf("the log says nothing of it: %s", &log)
	}
	none := New("--blocknotify", "", nil)
	none.Fire("%s", "x")
	var unset *Hook
	if none.Set() || unset.Set() {
		t.Error("there is no command")
	}
}

// TestFailure is told in the log.
func TestFailure(t *testing.T) {
	var log bytes.Buffer
	New("--shutdownnotify", "exit 3", slog.New(slog.NewTextHandler(&log, nil))).Now(t.Context())
	if !strings.Contains(log.String(), "status=3") {
		t.Errorf("%s", &log)
	}
}
