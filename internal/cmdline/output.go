package cmdline

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"text/tabwriter"
	"unicode/utf8"
)

// PrintJSON writes a value as indented JSON.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table returns a writer of rows whose cells end at tabs, and with flags of
// text/tabwriter. The text after the last tab of a row lines up with nothing. What
// is written is shown when it is flushed. At a terminal a row that is too long goes on in
// the next line.
func Table(w io.Writer, flags uint) *tabwriter.Writer {
	if columns := Columns(w); columns > 0 {
		w = &folder{w: w, columns: columns}
	}
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', flags)
}

// output is what a program writes to. All texts that a person reads pass through it,
// so it is the one place where those that could command a terminal are made harmless,
// and where it is noticed that a text could not be written. It may be used
// concurrently, as a log and progress are.
type output struct {
	w io.Writer
	// keeps says that the first failure stays: nothing is written after it.
	keeps bool

	mu   sync.Mutex
	err  error  // the first failure
	half []byte // the beginning of a rune or a line's end that is still to come
}

// Write implements io.Writer. It writes a rune that is not fit to be shown as an
// escape.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := p
	if len(o.half) > 0 {
		text = append(o.half, p...)
		o.half = nil
	}
	if end := len(text) - halfRune(text); end < len(text) {
		text, o.half = text[:end], bytes.Clone(text[end:])
	}
	if err := o.write(escape(text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// halfRune returns how many of the last bytes begin a rune, or the end of a line, and do not
// end it.
func halfRune(text []byte) int {
	if bytes.HasSuffix(text, []byte("\r")) {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

func (o *output) write(p []byte) error {
	if o.keeps && o.err != nil {
		return o.err
	}
	_, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return err
}

// end writes what was held back, and returns the first failure.
func (o *output) end() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.half) > 0 {
		_ = o.write(escape(o.half)) // it is kept
		o.half = nil
	}
	return o.err
}

// Raw returns a writer to the same place that takes bytes as they are. It is for
// bytes of the program's own that are no text: colours, a bar that is drawn again, a
// file of blocks. Failures are noticed there as well.
func Raw(w io.Writer) io.Writer {
	if o, ok := w.(*output); ok {
		return raw{o}
	}
	return w
}

type raw struct{ o *output }

// Write implements io.Writer.
func (r raw) Write(p []byte) (int, error) {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	if err := r.o.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Stream returns what a writer of a program writes to in the end, such as the file
// that is its terminal.
func Stream(stream any) any {
	switch w := stream.(type) {
	case *output:
		return w.w
	case raw:
		return w.o.w
	}
	return stream
}
