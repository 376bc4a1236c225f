package ratelog

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLinesAreLeftOutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if New(log) != log {
			t.Error("a logger is wrapped twice")
		}
		lines := func() int {
			n := strings.Count(out.String(), "\n")
			out.Reset()
			return n
		}
		for i := range 1000 {
			log.With("peer", i).WithGroup("g").Warn("it misbehaved", "x", i)
		}
		if n := lines(); n != Burst {
			t.Errorf("%d lines, want %d", n, Burst)
		}
		log.Warn("another")
		for range 100 {
			log.Debug("it misbehaved")
		}
		if n := lines(); n != 101 {
			t.Errorf("%d lines of other kinds, want 101", n)
		}
		time.Sleep(Every)
		log.Warn("it misbehaved")
		if text := out.String(); !strings.Contains(text, "left_out=980") {
			t.Errorf("what was left out is not told: %s", text)
		}
		out.Reset()
		time.Sleep(time.Hour)
		for range 1000 {
			log.Warn("it misbehaved")
		}
		if n := lines(); n != Burst {
			t.Errorf("%d lines after an hour, want %d", n, Burst)
		}
	})
}
