package cmdline

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// How often progress is shown. Work that takes less time shows none at all.
const (
	barEvery   = 200 * time.Millisecond
	plainEvery = 10 * time.Second // where no bar can be drawn, as in a log file
)

// Meter shows the progress of long work: on a terminal a bar, elsewhere a line every
// ten seconds. It is for one goroutine.
type Meter struct {
	out   io.Writer
	every time.Duration
	start time.Time
	drawn time.Time

	onTerminal  bool
	bar         *progressbar.ProgressBar // nil until it is drawn
	done, total int64                    // that bar shows
}

// NewMeter returns a meter of work that begins now.
func NewMeter(out io.Writer) *Meter {
	m := &Meter{out: out, every: plainEvery, start: time.Now()}
	if _, m.onTerminal = Terminal(out); m.onTerminal {
		m.every = barEvery
	}
	m.drawn = m.start
	return m
}

// Update shows how much of the work is done, in any unit. A total of 0 means that it
// is not known. The text says it in words; it is a function because Update is called
// for every block and mostly returns at once.
func (m *Meter) Update(done, total int64, text func() string) {
	now := time.Now()
	if now.Sub(m.drawn) < m.every {
		return
	}
	m.drawn = now
	if !m.onTerminal {
		fmt.Fprintf(m.out, "%s%s\n", Printable(text()), m.left(done, total, now))
		return
	}
	// The library's bar cannot go back, and takes a full one for the end.
	if m.bar == nil || total != m.total || done < m.done {
		m.Finish()
		m.bar = newBar(m.out, total)
	}
	m.done, m.total = done, total
	m.bar.Describe(Printable(text()))
	_ = m.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
}

// newBar returns a bar that draws nothing until it is set.
func newBar(out io.Writer, total int64) *progressbar.ProgressBar {
	if total <= 0 {
		total = -1 // something that only moves
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(Raw(out)),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(24),
		progressbar.OptionFullWidth(),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
	)
}

// left returns ", N % done, about D left", or nothing if that cannot be known.
func (m *Meter) left(done, total int64, now time.Time) string {
	if total <= 0 || done <= 0 || done > total {
		return ""
	}
	spent := now.Sub(m.start)
	left := time.Duration(float64(spent) * float64(total-done) / float64(done))
	return fmt.Sprintf(", %d %% done, about %s left", done*100/total, left.Round(time.Second))
}

// Finish removes the bar from a terminal, so that results can be shown in its place.
func (m *Meter) Finish() {
	if m.bar != nil {
		_ = m.bar.Clear() // as above
		m.bar = nil
	}
}

// Elapsed returns the time since the work began.
func (m *Meter) Elapsed() time.Duration { return time.Since(m.start) }

// Rate returns how many of n were done in each second since the work began.
func (m *Meter) Rate(n int) float64 { return float64(n) / max(m.Elapsed().Seconds(), 1e-3) }
