package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/karatcoin/karat/wallet"
)

// meter shows the progress of a sync that takes long: one line that is drawn over
// on a terminal, one every ten seconds elsewhere.
type meter struct {
	out      io.Writer
	terminal bool
	drawn    time.Time
	shown    bool
}

func newMeter(out io.Writer) *meter {
	f, ok := out.(*os.File)
	return &meter{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), drawn: time.Now()}
}

func (m *meter) update(p wallet.Progress) {
	every := 10 * time.Second
	if m.terminal {
		every = 300 * time.Millisecond
	}
	if time.Since(m.drawn) < every {
		return
	}
	m.drawn = time.Now()
	text := fmt.Sprintf("syncing: headers %d, looked through %d of %d blocks", p.Headers, p.Scanned, p.Tip)
	if m.terminal {
		fmt.Fprintf(m.out, "\r\033[K%s", text)
		m.shown = true
	} else {
		fmt.Fprintln(m.out, text)
	}
}

func (m *meter) finish() {
	if m.shown {
		fmt.Fprint(m.out, "\r\033[K")
	}
}
