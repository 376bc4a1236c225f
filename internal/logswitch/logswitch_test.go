package logswitch

import (
	"log/slog"
	"strings"
	"testing"
)

// TestSwitches: debug lines come and go by category, and all others stay.
func TestSwitches(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		var out strings.Builder
		s := New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})), "net", "pool")
		log := s.Logger()
		net, pool := log.With(Category("net")), log.With(Category("pool"), "a", 1).WithGroup("g")
		lines := func() string {
			out.Reset()
			log.Debug("d")
			net.Debug("n")
			net.Info("ni")
			pool.Debug("p")
			var said []string
			for line := range strings.Lines(out.String()) {
				_, text, _ := strings.Cut(strings.TrimSpace(line), "msg=")
				said = append(said, text)
			}
			return strings.Join(said, ", ")
		}
		before := "ni"
		if level == slog.LevelDebug {
			before = "d, n, ni, p a=1"
		}
		if got := lines(); got != before {
			t.Errorf("level %v: %q, want %q", level, got, before)
		}
		if !s.SetCategory("pool", true) || !s.SetCategory("net", false) || s.SetCategory("none", true) || len(s.Categories()) != 2 {
			t.Error("the categories are others")
		}
		after := strings.Replace("d, ni, p a=1", "d, ", "", int(level-slog.LevelDebug)/4)
		if got := lines(); got != after {
			t.Errorf("level %v: %q, want %q", level, got, after)
		}
		if got := s.Categories(); !got["pool"] || got["net"] {
			t.Errorf("%v", got)
		}
	}
}
