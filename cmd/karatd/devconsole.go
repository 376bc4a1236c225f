package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node/lab"
	"github.com/karatcoin/karat/rpc/labinfo"
)

// console takes a lab's commands from standard input, a line each, and says after each
// what has come of it.
type console struct {
	lab    *lab.Lab
	in     io.Reader
	out    io.Writer
	prompt string // empty: nobody sits there
}

func newConsole(c *cli.Context, network *lab.Lab) *console {
	k := &console{lab: network, in: c.App.Reader, out: c.App.Writer}
	if _, is := cmdline.Terminal(c.App.Reader); is {
		k.prompt = "lab> "
	}
	return k
}

// run takes commands until there are no more. It reports whether the lab is to end: by quit,
// or because a script is done. Without any command, as for a service, the lab goes on.
func (k *console) run(ctx context.Context) (end bool) {
	lines := bufio.NewScanner(k.in)
	fmt.Fprint(k.out, k.prompt)
	for lines.Scan() && ctx.Err() == nil {
		line := strings.TrimSpace(lines.Text())
		if line != "" && !strings.HasPrefix(line, "#") {
			end = true
			if line == "quit" || line == "exit" {
				return true
			}
			k.do(ctx, line)
		}
		fmt.Fprint(k.out, k.prompt)
	}
	return end && k.prompt == ""
}

// do does what a line says.
func (k *console) do(ctx context.Context, line string) {
	switch line {
	case "help":
		k.help()
		return
	case "status":
		if is, err := k.status(ctx); err == nil {
			k.tell(is)
		}
		return
	}
	command, err := labinfo.Parse(line)
	if err == nil {
		err = k.lab.Do(ctx, command)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(k.out, cmdline.Printable(err.Error()))
		return
	}
	_, _ = k.status(ctx) // an error is that the lab ends
}

func (k *console) help() {
	table := cmdline.Table(k.out, 0)
	for _, line := range labinfo.Usage() {
		fmt.Fprintf(table, "  %s\t%s\n", line[0], line[1])
	}
	fmt.Fprintf(table, "  status\tshow nodes and links\n  quit\tend the lab\n")
	_ = table.Flush()
}

// status says in a line or two where the nodes are.
func (k *console) status(ctx context.Context) (labinfo.Status, error) {
	is, err := k.lab.Status(ctx)
	if err != nil {
		return is, err
	}
	var tips []types.Index // in the order of the first node that has it
	at := map[types.Index][]int{}
	for i, n := range is.Nodes {
		if at[n.Tip] == nil {
			tips = append(tips, n.Tip)
		}
		at[n.Tip] = append(at[n.Tip], i)
	}
	news := ""
	if is.News > 0 {
		news = fmt.Sprintf(", news under way: %d", is.News)
	}
	fmt.Fprintf(k.out, "after %s%s\n", is.Passed.Round(time.Millisecond), news)
	for _, tip := range tips {
		who := "all nodes"
		if len(tips) > 1 {
			if who = "nodes " + printable(at[tip]); len(at[tip]) == 1 {
				who = "node " + printable(at[tip])
			}
		}
		fmt.Fprintf(k.out, "  height %d, tip …%s: %s\n", tip.Height, tip.Hash.String()[48:], who)
	}
	return is, nil
}

// tell shows nodes and links.
func (k *console) tell(is labinfo.Status) {
	repeat := "yes, by the same seed and commands"
	if !is.Repeatable {
		repeat = "no: something came from outside of the seed, or a command while time passed"
	}
	fmt.Fprintf(k.out, "seed %d, clock %s, speed %g, loss %g%%\ncan be repeated: %s\n",
		is.Seed, is.Now.Local().Format(time.DateTime), is.Speed, 100*is.Loss, repeat)
	table := cmdline.Table(k.out, 0)
	fmt.Fprintln(table, "  node\theight\tfound\twaiting\tlinks (delay)")
	for i, n := range is.Nodes {
		var links []string
		for _, l := range is.Links {
			other := l.A
			if l.A == i {
				other = l.B
			}
			switch {
			case l.A != i && l.B != i:
			case l.Cut:
				links = append(links, fmt.Sprintf("%d (cut)", other))
			default:
				links = append(links, fmt.Sprintf("%d (%s)", other, l.Delay))
			}
		}
		fmt.Fprintf(table, "  %d\t%d\t%d\t%d\t%s\n", i, n.Tip.Height, n.Found, n.Waiting, strings.Join(links, " "))
	}
	_ = table.Flush()
}
