package cmdline

import (
	"encoding/json"
	"io"
	"text/tabwriter"
)

// PrintJSON writes a value as indented JSON.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table returns a writer of rows whose cells end at tabs, and with flags of
// text/tabwriter. The text after the last tab of a row lines up with nothing. What
// is written is shown when it is flushed.
func Table(w io.Writer, flags uint) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', flags)
}

// output remembers the first write that failed, and takes no more after it.
type output struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}
