package cmdline

import (
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// usualColumns is the width of a terminal that does not tell its own.
const usualColumns = 80

// Columns returns how many columns a terminal has, or 0 for a stream that is none: a
// file and another program take lines of any length.
func Columns(stream any) int {
	f, ok := Terminal(stream)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return usualColumns
	}
	return columns
}

// flagWide is the flag that lets tables be as wide as they come.
const flagWide = "wide"

// WideFlag returns the flag --wide of programs that print tables.
func WideFlag() cli.Flag {
	return &cli.BoolFlag{Name: flagWide, Usage: "show tables in full, however wide the terminal is"}
}

// Fit says what happens to the cells of a column where the table is wider than the
// terminal.
type Fit int

const (
	Keep   Fit = iota // they stay as they are
	Middle            // their middle is left out, as both ends of an id tell something
	End               // their end is left out, as that of a sentence
	Below             // they go into a line of their own, to be copied whole
	Drop              // the column is left out
)

// A column that is cut keeps this many columns.
const (
	leastMiddle = 13 // abcdef…uvwxyz
	leastEnd    = 12
)

// Column is a column of a table.
type Column struct {
	Title string
	Right bool // numbers stand at the right
	Fit   Fit
}

// Rows is a table that fits the terminal that it is shown at: what is too wide is cut
// in the ways that its columns allow, from the last column to the first, and a line on
// standard error says how to see all. Elsewhere, and with --wide, nothing is cut.
//
//	t := cmdline.NewRows(c, cmdline.Column{Title: "amount", Right: true}, cmdline.Column{Title: "transaction", Fit: cmdline.Middle})
//	t.Add("1.50000000", "6cb5…")
//	return t.Flush()
type Rows struct {
	out, errs io.Writer
	limit     int // columns; 0: none
	columns   []Column
	rows      [][]string
}

// NewRows returns a table without rows that goes to the program's output.
func NewRows(c *cli.Context, columns ...Column) *Rows {
	r := &Rows{out: c.App.Writer, errs: c.App.ErrWriter, limit: Columns(c.App.Writer), columns: columns}
	if c.Bool(flagWide) {
		r.limit = 0
	}
	return r
}

// Add adds a row. Its cells may be anybody's texts: they are shown as Printable says.
func (r *Rows) Add(cells ...string) {
	row := make([]string, len(r.columns))
	for i := range min(len(cells), len(row)) {
		row[i] = Printable(cells[i])
	}
	r.rows = append(r.rows, row)
}

// gap stands between two columns, and indent before a cell in a line of its own.
const (
	gap    = "  "
	indent = "    "
)

// Flush shows the table.
func (r *Rows) Flush() error {
	widths, cut := r.fit()
	var text strings.Builder
	titles := make([]string, len(r.columns))
	for i, column := range r.columns {
		titles[i] = column.Title
	}
	for n, row := range append([][]string{titles}, r.rows...) {
		r.line(&text, widths, row, n == 0)
	}
	if _, err := io.WriteString(r.out, text.String()); err != nil {
		return err
	}
	if cut {
		fmt.Fprintf(r.errs, "cut to %d columns; --%s shows all\n", r.limit, flagWide)
	}
	return nil
}

// The width of a column that is not in the line.
const (
	isBelow   = -1
	isDropped = -2
)

// fit returns the width of each column, and whether something had to be left out.
func (r *Rows) fit() (widths []int, cut bool) {
	widths = make([]int, len(r.columns))
	for i, column := range r.columns {
		widths[i] = Width(column.Title)
		for _, row := range r.rows {
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	if r.limit == 0 {
		return widths, false
	}
	// The gentlest ways come first.
	for _, fit := range []Fit{Below, Middle, End, Drop} {
		for i := len(r.columns) - 1; i >= 0; i-- {
			over := total(widths) - r.limit
			if over <= 0 {
				return widths, cut
			}
			if r.columns[i].Fit != fit {
				continue
			}
			switch fit {
			case Below:
				widths[i] = isBelow
			case Middle:
				widths[i] = max(min(widths[i], leastMiddle), widths[i]-over)
			case End:
				widths[i] = max(min(widths[i], leastEnd), widths[i]-over)
			case Drop:
				widths[i] = isDropped
			}
			cut = cut || fit != Below
		}
	}
	return widths, cut
}

// total returns the width of a line.
func total(widths []int) int {
	sum := 0
	for _, width := range widths {
		if width >= 0 {
			sum += width + len(gap)
		}
	}
	return sum - len(gap)
}

// line adds a row to a text.
func (r *Rows) line(text *strings.Builder, widths []int, row []string, isTitle bool) {
	var line, below strings.Builder
	first := true
	for i, cell := range row {
		switch {
		case widths[i] == isDropped:
			continue
		case widths[i] == isBelow:
			if cell != "" && !isTitle {
				below.WriteString(indent + cell + "\n")
			}
			continue
		case !first:
			line.WriteString(gap)
		}
		first = false
		cell = Shorten(cell, widths[i], r.columns[i].Fit)
		space := strings.Repeat(" ", widths[i]-Width(cell))
		if r.columns[i].Right {
			line.WriteString(space + cell)
		} else {
			line.WriteString(cell + space)
		}
	}
	text.WriteString(strings.TrimRight(line.String(), " ") + "\n" + below.String())
}

// Width returns how many columns of a terminal a text takes.
func Width(text string) int { return uniseg.StringWidth(text) }

// Shorten returns a text that takes at most so many columns, with … for what is left
// out in the middle or at the end.
func Shorten(text string, columns int, fit Fit) string {
	if Width(text) <= columns {
		return text
	}
	columns-- // for the mark
	tail := 0
	if fit == Middle {
		tail = columns / 2
	}
	var letters []string
	for rest, state := text, -1; len(rest) > 0; {
		var letter string
		letter, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		letters = append(letters, letter)
	}
	begin, end := "", ""
	for len(letters) > 0 && Width(begin+letters[0]) <= columns-tail {
		begin, letters = begin+letters[0], letters[1:]
	}
	for len(letters) > 0 && Width(letters[len(letters)-1]+end) <= tail {
		end, letters = letters[len(letters)-1]+end, letters[:len(letters)-1]
	}
	return begin + "…" + end
}
