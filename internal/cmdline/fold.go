package cmdline

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// folder is a writer that breaks lines between words where a terminal would break them
// anywhere: an address or an id that goes on in the next line cannot be compared, or be
// copied by a double click. It keeps what is not a whole line yet.
type folder struct {
	w       io.Writer
	columns int
	rest    []byte
}

func (f *folder) Write(p []byte) (int, error) {
	f.rest = append(f.rest, p...)
	end := bytes.LastIndexByte(f.rest, '\n') + 1
	var text strings.Builder
	for line := range strings.Lines(string(f.rest[:end])) {
		text.WriteString(fold(strings.TrimSuffix(line, "\n"), f.columns) + "\n")
	}
	f.rest = append(f.rest[:0], f.rest[end:]...)
	if _, err := io.WriteString(f.w, text.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// leastCell is how many columns a cell needs to go on below itself.
const leastCell = 24

// Line writes a line for people. At a terminal that is too narrow it is broken between words.
func Line(w io.Writer, format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if columns := Columns(w); columns > 0 {
		line = fold(line, columns)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// fold breaks a row of a table. What goes on in the next line stands below the last cell, or
// near the margin if there is no place for it.
func fold(line string, columns int) string {
	if Width(line) <= columns {
		return line
	}
	text := strings.TrimLeft(line, " ")
	margin := line[:len(line)-len(text)]
	near := margin + indent
	var folded strings.Builder
	begin, below := margin, near
	next := func(begins string) {
		folded.WriteString(strings.TrimRight(begin, " ") + "\n")
		begin = begins
	}
	if at := strings.LastIndex(text, gap); at >= 0 {
		begin, text = margin+text[:at+len(gap)], text[at+len(gap):]
		if below = strings.Repeat(" ", Width(begin)); Width(below)+leastCell > columns {
			below = near
			next(near)
		}
	}
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0 && Width(begin)+Width(word) > columns && Width(near)+Width(word) <= columns:
			next(near)
		case i == 0:
		case Width(begin)+1+Width(word) <= columns:
			begin += " "
		case Width(below)+Width(word) <= columns:
			next(below)
		default:
			next(near)
		}
		begin += word
	}
	return folded.String() + begin
}
