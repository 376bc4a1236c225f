package cmdline

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// wallet is a program with all that a command line can have. Its commands print
// what they see.
func wallet(out, errs io.Writer) Program {
	number := int64(0)
	see := func(c *cli.Context) error {
		fmt.Fprintf(out, "%s network=%s wallet=%s number=%d args=%q", c.Command.Name, c.String("network"), c.String("wallet"), number, c.Args().Slice())
		for _, name := range []string{"json", "yes", "wait", "to", "every"} {
			if c.IsSet(name) && name == "to" {
				fmt.Fprintf(out, " to=%v", c.StringSlice(name))
			} else if c.IsSet(name) {
				fmt.Fprintf(out, " %s=%v", name, c.Value(name))
			}
		}
		return nil
	}
	json := func() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }
	return Program{Untouched: "rpc", App: &cli.App{
		Name: "prog", Usage: "a wallet", Description: "It has two paragraphs.\n\nThis is the second.", Version: "1.2.3",
		Writer: out, ErrWriter: errs,
		Flags: FromEnvironment(
			&cli.StringFlag{Name: "network", Value: "main", Usage: "the `NAME` of the network"},
			&cli.StringFlag{Name: "wallet", Aliases: []string{"w"}, Usage: "the `NAME` of the wallet"},
			&cli.GenericFlag{Name: "number", Value: Number(&number, 7, -5, 9), Usage: "a `NUMBER`"},
		),
		Commands: []*cli.Command{
			{Name: "balance", Usage: "show what there is", Flags: []cli.Flag{json()}, Action: see},
			{Name: "send", Usage: "pay", ArgsUsage: "ADDRESS AMOUNT", Action: see, Flags: []cli.Flag{
				&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}}, &cli.StringFlag{Name: "feerate"}, json(),
				&cli.StringSliceFlag{Name: "to", Category: "Payees:"}, &cli.DurationFlag{Name: "every"},
			}},
			{Name: "rpc", Usage: "call", ArgsUsage: "METHOD", Action: see, Flags: []cli.Flag{&cli.BoolFlag{Name: "wait"}}},
			{Name: "net", Usage: "networks", Subcommands: []*cli.Command{
				{Name: "show", Usage: "show one", Flags: []cli.Flag{json()}, Action: see},
				{Name: "diff", Usage: "compare two", ArgsUsage: "A B", Action: see},
			}},
		},
	}}
}

// TestArguments: a flag may stand before, between and behind the words that it
// belongs to, and the parser gets them all in its own order.
func TestArguments(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		// Flags of the program.
		{"balance", "balance"},
		{"--network dev balance", "--network=dev balance"},
		{"balance --network dev", "--network=dev balance"},
		{"balance --network=dev", "--network=dev balance"},
		{"balance -network dev", "--network=dev balance"},
		{"-w mine balance", "--wallet=mine balance"},
		{"balance -w mine", "--wallet=mine balance"},
		{"balance -w=mine --wallet yours", "--wallet=mine --wallet=yours balance"},
		{"--network send balance", "--network=send balance"},
		{"--network --json balance", "--network=--json balance"},
		{"--network= balance", "--network= balance"},
		// Flags of the command.
		{"balance --json", "balance --json"},
		{"--json balance", "balance --json"},
		{"--json --network dev balance", "--network=dev balance --json"},
		{"balance --json=false", "balance --json=false"},
		{"--yes send A 1", "send --yes -- A 1"},
		{"send --yes A 1", "send --yes -- A 1"},
		{"send A --yes 1", "send --yes -- A 1"},
		{"send A 1 --yes", "send --yes -- A 1"},
		{"send A 1 -y", "send --yes -- A 1"},
		{"send A --feerate 2 1 --network dev", "--network=dev send --feerate=2 -- A 1"},
		{"--feerate 2 send A 1", "send --feerate=2 -- A 1"},
		{"send --feerate=-1 A 1", "send --feerate=-1 -- A 1"},
		{"send --feerate -1 A 1", "send --feerate=-1 -- A 1"},
		{"send --to A --to B", "send --to=A --to=B"},
		{"--to A send --to B", "send --to=A --to=B"},
		// A command of a command.
		{"net show --json", "net show --json"},
		{"net --json show", "net show --json"},
		{"--json net show", "net show --json"},
		{"net diff a b --network dev", "--network=dev net diff -- a b"},
		// What is no flag.
		{"send A -1", "send -- A -1"},
		{"send A -.5", "send -- A -.5"},
		{"send - 1", "send -- - 1"},
		{"send --yes -- A --yes", "send --yes -- A --yes"},
		{"send -- -y --", "send -- -y --"},
		{"-- balance", "balance"},
		{"send balance net", "send -- balance net"},
		{"send help h", "send -- help h"},
		// What is the node's: all behind the method that is no flag of ours.
		{"rpc method -1 -w --fast --to=x -", "rpc -- method -1 -w --fast --to=x -"},
		{"rpc --wait method", "rpc --wait -- method"},
		{"rpc method 5 --wait", "rpc --wait -- method 5"},
		{"--wait rpc -w mine method --network dev --help", "--wallet=mine --network=dev rpc --wait -- method --help"},
		{"rpc method -- --wait", "rpc -- method --wait"},
		{"rpc -- method --wait", "rpc -- method --wait"},
		{"rpc help balance", "rpc -- help balance"},
	} {
		l, err := wallet(io.Discard, io.Discard).parse(strings.Fields(c.line))
		if err != nil || l.help || l.version {
			t.Errorf("%s: %v, %+v", c.line, err, l)
			continue
		}
		if got := strings.TrimPrefix(strings.Join(l.words(), " "), "prog "); got != c.want {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
}

// TestMistakes: one line that names what was probably meant.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"balanse", `unknown command "balanse": did you mean balance?`},
		{"--network dev balanse --json", `unknown command "balanse": did you mean balance?`},
		{"blaance", `unknown command "blaance": did you mean balance?`},
		{"bal", `unknown command "bal": did you mean balance?`},
		{"sned A 1", `unknown command "sned": did you mean send?`},
		{"mint", `unknown command "mint": see prog --help`},
		{"b", `unknown command "b": see prog --help`},
		{"net shwo", `unknown command "net shwo": did you mean net show?`},
		{"net erase", `unknown command "net erase": see prog net --help`},
		{"help balanse", `unknown command "balanse": did you mean balance?`},
		{"balance --jsn", `unknown flag --jsn: did you mean --json?`},
		{"--jsn balance", `unknown flag --jsn: did you mean --json?`},
		{"balance --jsn=true", `unknown flag --jsn: did you mean --json?`},
		{"balance --netwrok dev", `unknown flag --netwrok: did you mean --network?`},
		{"--netwrok dev balance", `unknown flag --netwrok: did you mean --network?`},
		{"send A 1 --netwrok=dev", `unknown flag --netwrok: did you mean --network?`},
		{"balance --yes", `unknown flag --yes: see prog balance --help`},
		{"balance -x", `unknown flag -x: see prog balance --help`},
		{"rpc --wiat method", `unknown flag --wiat: did you mean --wait?`},
		{"rpc -x method", `unknown flag -x: see prog rpc --help`},
		{"balance --network", `--network needs a value`},
		{"balance now", `balance takes no argument "now"`},
		{"net show dev", `net show takes no argument "dev"`},
		{"balance --json=maybe", `--json maybe: want true or false`},
		{"balance --number much", `--number much: want a whole number from -5 to 9`},
		{"balance --number 10", `--number 10: want a whole number from -5 to 9`},
		{"send --every 5", `--every 5: want a time with a unit, such as "500ms" or "30s"`},
	} {
		var out, errs bytes.Buffer
		code := wallet(&out, &errs).Run(t.Context(), append([]string{"prog"}, strings.Fields(c.line)...))
		if code != ExitUsage || errs.String() != "prog: "+c.want+"\n" || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %s%s, want %s", c.line, code, &out, &errs, c.want)
		}
	}
}

// TestCommandsSeeTheirFlags: the parser and the environment give a command what
// was meant for it.
func TestCommandsSeeTheirFlags(t *testing.T) {
	t.Setenv("KARAT_NETWORK", "dev")
	t.Setenv("KARAT_NUMBER", "8")
	for _, c := range []struct{ line, want string }{
		{"balance", `balance network=dev wallet= number=8 args=[]`},
		{"balance --network main --json -w x --number -3", `balance network=main wallet=x number=-3 args=[] json=true`},
		{"send A --to B 1 --yes --to C --every 2s", `send network=dev wallet= number=8 args=["A" "1"] yes=true to=[B C] every=2s`},
		{"rpc getblock -1 --verbose --wait", `rpc network=dev wallet= number=8 args=["getblock" "-1" "--verbose"] wait=true`},
		{"send help h", `send network=dev wallet= number=8 args=["help" "h"]`},
		{"net diff -- -a -b", `diff network=dev wallet= number=8 args=["-a" "-b"]`},
	} {
		var out, errs bytes.Buffer
		code := wallet(&out, &errs).Run(t.Context(), append([]string{"prog"}, strings.Fields(c.line)...))
		if got := out.String(); code != ExitOK || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: exit code %d, %s%s, want %s", c.line, code, got, &errs, c.want)
		}
	}
	t.Setenv("KARAT_NUMBER", "10")
	var errs bytes.Buffer
	code := wallet(io.Discard, &errs).Run(t.Context(), []string{"prog", "balance"})
	if want := "prog: KARAT_NUMBER 10: want a whole number from -5 to 9\n"; code != ExitUsage || errs.String() != want {
		t.Errorf("exit code %d, %s, want %s", code, &errs, want)
	}
}

// TestDefaultCommand: it may be left out, and its flags stand where they like.
func TestDefaultCommand(t *testing.T) {
	for line, want := range map[string]string{
		"":                       "balance",
		"--json":                 "balance --json",
		"--json --network dev":   "--network=dev balance --json",
		"balance --json":         "balance --json",
		"--network dev send A 1": "--network=dev send -- A 1",
	} {
		p := wallet(io.Discard, io.Discard)
		p.App.DefaultCommand = "balance"
		l, err := p.parse(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := strings.TrimPrefix(strings.Join(l.words(), " "), "prog "); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

const balanceHelp = `prog balance - show what there is

USAGE:
   prog balance [options]

OPTIONS OF BALANCE:
   --json                      print JSON

OPTIONS OF ALL COMMANDS:
   --network NAME              the NAME of the network (default: main)
   --wallet, -w NAME           the NAME of the wallet
   --number NUMBER             a NUMBER (default: 7)
   --help, -h                  show this help, or that of a command
   --version, -v               show the version
`

func TestHelp(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"balance --help", balanceHelp},
		{"--help balance", balanceHelp},
		{"-h balance --json", balanceHelp},
		{"help balance", balanceHelp},
		{"h balance", balanceHelp},
		{"", "prog - a wallet\n\nUSAGE:\n   prog [options] command\n\n   It has two paragraphs.\n\n   This is the second.\n\nCOMMANDS:\n   balance      show what there is\n"},
		{"--help", "prog - a wallet\n"},
		{"help", "prog - a wallet\n"},
		{"net", "prog net - networks\n\nUSAGE:\n   prog net [options] command\n\nCOMMANDS:\n   show         show one\n"},
		{"help net diff", "prog net diff - compare two\n\nUSAGE:\n   prog net diff [options] A B\n"},
		{"send --help", "prog send - pay\n"},
		{"--version", "prog version 1.2.3\n"},
		{"-v balance", "prog version 1.2.3\n"},
		{"version", "prog version 1.2.3\n"},
	} {
		var out, errs bytes.Buffer
		code := wallet(&out, &errs).Run(t.Context(), append([]string{"prog"}, strings.Fields(c.line)...))
		if code != ExitOK || errs.Len() > 0 || !strings.HasPrefix(out.String(), c.want) {
			t.Errorf("%s: exit code %d:\n%s%swant:\n%s", c.line, code, &out, &errs, c.want)
		}
	}
	var out bytes.Buffer
	row(&out, "--flag", strings.Repeat("word ", 30), 10)
	for line := range strings.Lines(out.String()) {
		if len(line) > helpColumns+1 || !strings.HasPrefix(line, "   --flag    ") && !strings.HasPrefix(line, "               word") {
			t.Errorf("a line of a long text: %q", line)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"balance", "send", "sync", "address", "addresses", "y", "json"}
	for word, want := range map[string]string{
		"balance": "balance", "balanc": "balance", "blance": "balance", "balnace": "balance", "ballance": "balance", "b": "",
		"snd": "send", "snyc": "sync", "addres": "address", "adresses": "addresses", "jsno": "json", "elephant": "", "": "", "yy": "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// TestBarsAreDrawnSeldom keeps the meter cheap: it is called for every block.
func TestBarsAreDrawnSeldom(t *testing.T) {
	m := NewMeter(io.Discard)
	m.every = time.Hour
	m.Update(1, 2, func() string { t.Error("drawn"); return "" })
}
