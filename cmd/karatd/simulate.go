package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/forecast"
	"github.com/karatcoin/karat/internal/cmdline"
)

// simulateChoices are the flags of network simulate.
type simulateChoices struct {
	rate, svg  string
	days, seed int64
}

func networkSimulateCommand(o *options) *cli.Command {
	s := &simulateChoices{}
	return &cli.Command{
		Name:  "simulate",
		Usage: "see what the difficulty of --network does when miners come and go",
		Description: "Runs the network's own rules over blocks that are found by chance: with steady miners, with\n" +
			"a visitor of fifty times their hash rate, with miners who are there only while blocks are\n" +
			"easy, and with clocks that are wrong on purpose. Beside it stands Bitcoin's rule of 2016\n" +
			"blocks. No work is done: a month takes a second.\n\n" +
			"   karatd --network coin.json network simulate\n" +
			"   karatd --network coin.json network simulate --days 90 --svg coin.svg",
		Flags: []cli.Flag{
			rateFlag(&s.rate),
			&cli.GenericFlag{Name: "days", Value: cmdline.Number(&s.days, 0, 0, 3650), Usage: "look at so many `DAYS`", DefaultText: "30, or what 200000 blocks take"},
			&cli.GenericFlag{Name: "seed", Value: cmdline.Number(&s.seed, 1, 0, math.MaxUint32), Usage: "another `NUMBER` is another chance"},
			&cli.StringFlag{Name: "svg", Destination: &s.svg, Usage: "draw the times between blocks into `FILE`, which must not exist"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		},
		Action: func(c *cli.Context) error { return s.simulate(c, o) },
	}
}

func rateFlag(to *string) cli.Flag {
	return &cli.StringFlag{Name: "hashrate", Destination: to, Usage: "of all miners at launch, such as `3.4MH/s`", DefaultText: "what the first blocks are made for"}
}

// launchRate returns the hash rate of a flag, or the one for which the network's first blocks
// keep the spacing.
func launchRate(p *consensus.Params, text string) (float64, error) {
	if text == "" {
		return forecast.Hashes(p.Genesis.Bits) / float64(p.TargetSpacing), nil
	}
	rate, err := parseHashRate(text)
	if err != nil {
		return 0, cmdline.Usagef("--hashrate %w", err)
	}
	return rate, nil
}

func (s *simulateChoices) simulate(c *cli.Context, o *options) error {
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	rate, err := launchRate(p, s.rate)
	if err != nil {
		return err
	}
	spacing := time.Duration(p.TargetSpacing) * time.Second
	most := max(1, forecast.MaxBlocks*int64(p.TargetSpacing)/(24*60*60))
	switch {
	case s.days == 0:
		s.days = min(30, most)
	case s.days > most:
		return cmdline.Usagef("--days %d: that is more than %d blocks; want %d at most", s.days, forecast.MaxBlocks, most)
	}
	var own, other []forecast.Report
	for _, course := range forecast.Courses(rate, spacing, time.Duration(s.days)*24*time.Hour) {
		if err := c.Context.Err(); err != nil {
			return err
		}
		own = append(own, forecast.Run(p, course, uint64(s.seed)))
		other = append(other, forecast.RunBy(p, course, forecast.Bitcoins2016(), uint64(s.seed)))
	}
	if s.svg != "" {
		if err := writeNew(s.svg, forecast.Plot(spacing, own, other)); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{"hashrate": rate, "spacing": p.TargetSpacing, "own": reportsJSON(own), "2016": reportsJSON(other)})
	}
	fmt.Fprintf(c.App.Writer, "network %s, %d days with %s at launch, a block wanted every %s\n\n", p.Name, s.days, hashRate(rate), spacing)
	for i, reports := range [][]forecast.Report{own, other} {
		fmt.Fprintln(c.App.Writer, []string{"by the network's rule", "\nby Bitcoin's rule of 2016 blocks"}[i])
		if err := printReports(c.App.Writer, reports); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.App.Writer, "\nA stall is the longest time without a block; too early are coins ahead of schedule.")
	return nil
}

func printReports(to io.Writer, reports []forecast.Report) error {
	w := cmdline.Table(to, tabwriter.AlignRight)
	fmt.Fprintln(w, "  course\tblocks\tdue\tfast 5%\tmedian\tslow 5%\tstall\ttoo early\t")
	for i := range reports {
		r := &reports[i]
		whole, _, _ := strings.Cut(r.TooEarly.String(), ".")
		fmt.Fprintf(w, "  %s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", r.Course, r.Blocks, r.Due,
			roughly(r.Spacing.P5), roughly(r.Spacing.Median), roughly(r.Spacing.P95), roughly(r.Longest), whole)
	}
	return w.Flush()
}

// roughly writes a duration so that it can be compared at a glance.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1fd", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1fh", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.1fm", d.Minutes())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func reportsJSON(reports []forecast.Report) (list []map[string]any) {
	for i := range reports {
		r := &reports[i]
		settled := any(nil)
		if r.Settled >= 0 {
			settled = r.Settled.Seconds()
		}
		list = append(list, map[string]any{
			"course": r.Course, "blocks": r.Blocks, "due": r.Due, "longest": r.Longest.Seconds(), "settled": settled, "too_early": r.TooEarly.String(),
			"spacing": map[string]float64{"p5": r.Spacing.P5.Seconds(), "median": r.Spacing.Median.Seconds(), "p95": r.Spacing.P95.Seconds()},
		})
	}
	return list
}

func networkCheckCommand(o *options) *cli.Command {
	var rate string
	return &cli.Command{
		Name:  "check",
		Usage: "look for choices of --network that its people may regret",
		Description: "Each finding names a field of the genesis.json, what comes of its value, and a better one.\n" +
			"The exit code is 1 if there are any.\n\n" +
			"   karatd --network coin.json network check --hashrate 20MH/s",
		Flags:  []cli.Flag{rateFlag(&rate), &cli.BoolFlag{Name: "json", Usage: "print JSON"}},
		Action: func(c *cli.Context) error { return networkCheck(c, o, rate) },
	}
}

func networkCheck(c *cli.Context, o *options, rateText string) error {
	p, err := o.chosen(c)
	if err != nil {
		return err
	}
	rate, err := launchRate(p, rateText)
	if err != nil {
		return err
	}
	findings := forecast.Advise(p, rate)
	if c.Bool("json") {
		list := []map[string]string{}
		for _, f := range findings {
			list = append(list, map[string]string{"field": f.Field, "text": f.Text})
		}
		if err := cmdline.PrintJSON(c.App.Writer, list); err != nil {
			return err
		}
	} else if len(findings) == 0 {
		fmt.Fprintf(c.App.Writer, "nothing to regret at %s\n", hashRate(rate))
	} else {
		for _, f := range findings {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: %s\n", f.Field, f.Text); err != nil {
				return err
			}
		}
	}
	if len(findings) > 0 {
		return fmt.Errorf("%d findings at %s", len(findings), hashRate(rate))
	}
	return nil
}
