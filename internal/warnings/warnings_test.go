package warnings

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestBoard(t *testing.T) {
	var log bytes.Buffer
	b := New(slog.New(slog.NewTextHandler(&log, nil)))
	poke, cancel := b.Subscribe()
	defer cancel()
	expect := func(want ...Warning) {
		t.Helper()
		if got := b.List(); got == nil || !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	expect()
	b.Set("disk", "the disk is old")
	b.Set("clock", "the clock is wrong")
	b.Set("disk", "the disk is older still") // it is warned of
	expect(Warning{1, "the disk is old"}, Warning{2, "the clock is wrong"})
	select {
	case <-poke:
	default:
		t.Error("nobody was poked")
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d lines in the log:\n%s", n, log.String())
	}
	b.Unset("disk")
	b.Unset("nothing")
	expect(Warning{2, "the clock is wrong"})
	b.Set("disk", "the disk is old again")
	expect(Warning{2, "the clock is wrong"}, Warning{3, "the disk is old again"})
}
