package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node/doctor"
)

func doctorCommand(o *options) *cli.Command {
	tx := ""
	return &cli.Command{
		Name:  "doctor",
		Usage: "say what is wrong with the node, and what to do next",
		Description: "Asks the node of the data directory, and where it does not answer looks at its files, its\n" +
			"disk and its ports. Each finding has a code that stays the same, what was seen, and the next\n" +
			"step; the first one is most likely the cause of the others.\n\n" +
			"   karatd doctor                       is something wrong?\n" +
			"   karatd doctor --tx TXID             why is this transaction in no block?\n" +
			"   karatd --network coin.json doctor --json\n\n" +
			"It takes the flags of run, and reads the same configuration file. A node that was started\n" +
			"with others is found by what it has left in its data directory.\n\n" +
			"The exit code is 0 if nothing is wrong (a notice is nothing wrong), and 1 if something is.",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			&cli.StringFlag{Name: "tx", Destination: &tx, Usage: "say why a transaction is in no block yet, by its `TXID`; or the transaction in hexadecimal"},
		}, o.runFlags()...),
		Action: func(c *cli.Context) error { return showFindings(c, o, tx) },
	}
}

// diagnosis is what doctor tells.
type diagnosis struct {
	Healthy  bool             `json:"healthy"`
	Findings []doctor.Finding `json:"findings"`
}

// diagnose asks the node and looks around.
func (v *visit) diagnose() diagnosis {
	var told diagnosis
	err := v.ask("doctor", &told)
	if err != nil && v.facts.Answers {
		v.facts.Refused = cmdline.OneLine(err)
	}
	findings := append(doctor.Diagnose(v.lookAround()), told.Findings...)
	doctor.Sort(findings)
	return diagnosis{doctor.Worst(findings) < doctor.Warning, findings}
}

// diagnoseTx asks the node about a transaction.
func (v *visit) diagnoseTx(tx string) (d diagnosis, err error) {
	err = v.ask("doctor", &d, tx)
	if err != nil && !v.facts.Answers {
		d = v.diagnose()
		err = nil
	}
	return d, err
}

func showFindings(c *cli.Context, o *options, tx string) error {
	if _, err := hex.DecodeString(tx); err != nil {
		return cmdline.Usagef("--tx %.80q: want the 64 hexadecimal digits of a transaction's id, or the whole transaction in hexadecimal", tx)
	}
	v := newVisit(c, o)
	d := diagnosis{}
	if tx == "" {
		d = v.diagnose()
	} else {
		var err error
		if d, err = v.diagnoseTx(tx); err != nil {
			return err
		}
	}
	return d.end(c, d, func(w io.Writer) { v.print(w, d, tx == "") })
}

// end writes what is told, as JSON or for people, and makes an exit code of it.
func (d *diagnosis) end(c *cli.Context, all any, forPeople func(w io.Writer)) error {
	var text bytes.Buffer
	if !c.Bool("json") {
		forPeople(&text)
	} else if err := cmdline.PrintJSON(&text, all); err != nil {
		return err
	}
	if _, err := c.App.Writer.Write(text.Bytes()); err != nil {
		return err
	}
	if !d.Healthy {
		return errors.New(summary(d.Findings))
	}
	return nil
}

// summary counts findings.
func summary(findings []doctor.Finding) string {
	var parts []string
	for _, s := range []doctor.Severity{doctor.Fault, doctor.Warning, doctor.Notice} {
		switch n := doctor.Count(findings, s); n {
		case 0:
		case 1:
			parts = append(parts, fmt.Sprintf("1 %s", s))
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, s))
		}
	}
	if len(parts) == 0 {
		return "nothing is wrong"
	}
	return strings.Join(parts, ", ")
}

func (v *visit) print(w io.Writer, d diagnosis, isNode bool) {
	name, dir := "?", ""
	if v.params != nil {
		name = v.params.Name
	}
	if v.dir != "" {
		dir = ", data in " + v.dir
	}
	fmt.Fprintf(w, "karat node of network %s%s\n", name, dir)
	if isNode && d.Healthy {
		fmt.Fprintf(w, "The node is well: %s.\n", summary(d.Findings))
	}
	printFindings(w, d.Findings)
}

// screen is how wide findings are shown.
const screen = 80

func printFindings(w io.Writer, findings []doctor.Finding) {
	for _, f := range findings {
		paragraph(w, "\n"+strings.ToUpper(f.Severity.String())+" ", f.Code+": "+f.Summary)
		for _, line := range f.Evidence {
			paragraph(w, "  saw   ", line)
		}
		paragraph(w, "  next  ", f.Next)
	}
}

// paragraph breaks a text into lines. Those after the first stand below it.
func paragraph(w io.Writer, begin, text string) {
	indent := strings.Repeat(" ", cmdline.Width(strings.TrimPrefix(begin, "\n")))
	line, room := begin, screen-len(indent)
	at := 0
	for word := range strings.FieldsSeq(cmdline.Printable(text)) {
		word = cmdline.Shorten(word, room, cmdline.Middle)
		if at > 0 && at+1+cmdline.Width(word) > room {
			fmt.Fprintln(w, line)
			line, at = indent, 0
		}
		if at > 0 {
			line, at = line+" ", at+1
		}
		line, at = line+word, at+cmdline.Width(word)
	}
	fmt.Fprintln(w, line)
}
