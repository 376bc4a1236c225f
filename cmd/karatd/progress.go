package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// plainEvery is how often progress is written where no bar can be drawn.
const plainEvery = 10 * time.Second

// meter shows the progress of long work: a bar on a terminal, a plain line
// every ten seconds elsewhere.
type meter struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil where no bar can be drawn
	total int64                    // 0 or less: not known
	start time.Time
	drawn time.Time
}

func newMeter(out io.Writer, what string, total int64) *meter {
	m := &meter{out: out, total: total, start: time.Now()}
	m.drawn = m.start
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if total <= 0 {
			total = -1 // a bar that only moves
		}
		m.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription(what),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionFullWidth(),
		)
	}
	return m
}

// update shows how far the work is; text says it in words. It is called often
// and mostly returns at once.
func (m *meter) update(done int64, text func() string) {
	now := time.Now()
	if m.bar != nil {
		if now.Sub(m.drawn) >= 100*time.Millisecond {
			m.drawn = now
			m.bar.Describe(text())
			_ = m.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
		}
		return
	}
	if now.Sub(m.drawn) < plainEvery {
		return
	}
	m.drawn = now
	fmt.Fprintf(m.out, "%s%s\n", text(), m.left(done, now))
}

// left is ", N % done, D left", if that can be known.
func (m *meter) left(done int64, now time.Time) string {
	if m.total <= 0 || done <= 0 || done > m.total {
		return ""
	}
	spent := now.Sub(m.start)
	left := time.Duration(float64(spent) * float64(m.total-done) / float64(done))
	return fmt.Sprintf(", %d %% done, about %s left", done*100/m.total, left.Round(time.Second))
}

func (m *meter) finish() {
	if m.bar != nil {
		_ = m.bar.Finish()
	}
}

func (m *meter) elapsed() time.Duration { return time.Since(m.start) }

// rate is n a second since the start.
func (m *meter) rate(n int) float64 { return float64(n) / max(m.elapsed().Seconds(), 1e-3) }
