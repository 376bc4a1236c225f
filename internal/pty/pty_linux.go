// Package pty is for tests of programs that talk to a person: it makes a terminal,
// and lets the test sit at it.
package pty

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Person sits at a terminal.
type Person struct {
	Keyboard *os.File // what is typed is written here, and what a program shows is read here
	Terminal *os.File // what a program reads from and writes to
}

// New makes a terminal. It is left open at the end: a program that was interrupted
// may still read from it.
func New(t *testing.T) Person {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return Person{keyboard, terminal}
}

// Resize makes the terminal as wide and high as that, in characters.
func (p Person) Resize(t *testing.T, columns, rows uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(p.Keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
}

// Type types a line.
func (p Person) Type(t *testing.T, line string) {
	t.Helper()
	if _, err := p.Keyboard.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// SeesWhatIsTyped reports whether the terminal echoes.
func (p Person) SeesWhatIsTyped(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(p.Terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
