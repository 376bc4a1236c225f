package cmdline

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// flagLimit is the flag that says how many rows of a long table are shown.
const flagLimit = "limit"

// usualRows is how many rows a terminal is shown of a table that nobody limited.
const usualRows = 25

// LimitFlag returns the flag --limit of a command whose table may be long.
func LimitFlag() cli.Flag {
	n := int64(0)
	return &cli.GenericFlag{
		Name: flagLimit, Value: Number(&n, 0, 0, 1<<31-1), DefaultText: fmt.Sprintf("%d at a terminal, else 0", usualRows),
		Usage: "show the last `N` rows at most; 0 for all",
	}
}

// Last returns the last rows of a long table, as many as --limit says, or as a terminal
// can be expected to show. Then a line on standard error says how to see the others.
// Whatever reads a pipe or JSON gets all, unless it asks for less.
func Last[T any](c *cli.Context, rows []T) []T {
	limit := 0
	if c.IsSet(flagLimit) {
		_, _ = fmt.Sscan(fmt.Sprint(c.Generic(flagLimit)), &limit) // it was checked
	} else if _, isTerminal := Terminal(c.App.Writer); isTerminal && !c.Bool("json") {
		limit = usualRows
	}
	if limit == 0 || len(rows) <= limit {
		return rows
	}
	if !c.IsSet(flagLimit) {
		fmt.Fprintf(c.App.ErrWriter, "the last %d of %d; --%s N shows more, --%s 0 all\n", limit, len(rows), flagLimit, flagLimit)
	}
	return rows[len(rows)-limit:]
}
