package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
)

func rpcCommand() *cli.Command {
	return &cli.Command{
		Name: "rpc", Usage: "call any method of the node", ArgsUsage: "METHOD [PARAMETER…]", HideHelpCommand: true,
		Description: "Parameters that are JSON are sent as JSON, all others as texts; and as texts go those that\n" +
			"are known to be texts, whatever they look like. Results are printed as JSON, texts without\n" +
			"quotes. What follows the method goes to the node as it is, -1 and --verbose included; only\n" +
			"the options below are taken out, and after -- not even these.\n\n" +
			"   karat rpc help                      all methods\n" +
			"   karat rpc help getblock             one of them\n" +
			"   karat rpc getblock HASH 2           a block with its transactions\n" +
			"   karat rpc --named getblock blockhash=HASH verbosity=2\n" +
			"   karat rpc --string METHOD 51        a text that looks like a number",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", Usage: "wait for a node that is starting"},
			&cli.BoolFlag{Name: "string", Usage: "send all parameters as texts"},
			&cli.BoolFlag{Name: "named", Usage: "give parameters as NAME=VALUE"},
			&cli.BoolFlag{Name: flagJSON, Usage: "print texts with quotes, and no result as null"},
		},
		Action: callNode,
	}
}

// callNode calls a method by the name that was typed. karat has no list of methods:
// the node knows its own, and older ones and newer ones differ.
func callNode(c *cli.Context) error {
	if !c.Args().Present() {
		return cmdline.Usagef("rpc needs the name of a method: karat rpc help lists them")
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	params, err := parameters(c)
	if err != nil {
		return err
	}
	result, err := callWaiting(c, h, params)
	if err != nil {
		return err
	}
	return printResult(c, result)
}

// parameters reads the parameters that follow the method. A word that is JSON is
// sent as JSON, so that 5, true and {"a":1} are what they look like. A text that
// looks like JSON needs --string, or quotes of its own, unless the method is known to
// take a text there.
func parameters(c *cli.Context) (params []any, err error) {
	named := rpc.Named{}
	for _, word := range c.Args().Tail() {
		name, isNamed := "", false
		if c.Bool("named") {
			if name, word, isNamed = strings.Cut(word, "="); !isNamed {
				return nil, cmdline.Usagef("parameter %q: want NAME=VALUE", name)
			}
			if _, twice := named[name]; twice {
				return nil, cmdline.Usagef("parameter %s is given twice", name)
			}
		}
		var value any = word
		// The word itself is sent, as a number that is read and written again may
		// lose digits.
		if raw := json.RawMessage(word); !c.Bool("string") && json.Valid(raw) && !isText(c.Args().First(), name, len(params), word) {
			value = raw
		}
		if isNamed {
			named[name] = value
		} else {
			params = append(params, value)
		}
	}
	if c.Bool("named") {
		return []any{named}, nil
	}
	return params, nil
}

// isText reports whether a word that is JSON is a text all the same, since the method takes
// one in this place: the digits of a script, for one. Quotes and null mean what they say.
func isText(method, name string, n int, word string) bool {
	return word[0] != '"' && word != "null" && rpc.TakesText(method, name, n)
}

// quietWait is how long --wait says nothing: a node that starts is there sooner.
const quietWait = 2 * time.Second

// callWaiting calls the method. With --wait it tries again while there is no node
// yet, or one that is still starting, and says once what it waits for. Any other answer
// is an answer. A node that starts for the first time makes its certificate, too.
func callWaiting(c *cli.Context, h home, params []any) (result json.RawMessage, err error) {
	quiet := time.After(quietWait)
	var list []askedNode
	var known time.Time // when the certificate was written that is known
	for {
		if list == nil {
			known = h.certified(c)
			list, err = h.asked(c)
		}
		if list != nil {
			err = list[0].client.Call(c.Context, c.Args().First(), &result, params...)
		}
		if !c.Bool("wait") || err == nil {
			return result, err
		}
		if now := h.certified(c); errors.Is(err, rpc.ErrCertificate) && !now.Equal(known) && !list[0].stored {
			known = now
			at, err := h.address(c, list[0].where)
			if err != nil {
				return nil, err
			}
			list[0].client.At(at)
			continue
		}
		if !starting(c, err) {
			return nil, err
		}
		select {
		case <-quiet:
			if err := cmdline.Line(c.App.ErrWriter, "waiting for a node, until Ctrl-C: %s", cmdline.OneLine(err)); err != nil {
				return nil, err
			}
		case <-time.After(200 * time.Millisecond):
		case <-c.Context.Done():
			return nil, c.Context.Err()
		}
	}
}

// starting reports whether an error may go away when the node has started: it makes the
// file of --rpc-cert at its first start.
func starting(c *cli.Context, err error) bool {
	var refused *rpc.Error
	var missing *fs.PathError
	return errors.Is(err, rpc.ErrUnreachable) || errors.As(err, &refused) && refused.Code == rpc.CodeInWarmup ||
		errors.As(err, &missing) && missing.Path == c.String(flagCert) && errors.Is(missing, fs.ErrNotExist)
}

// printResult prints a result for people and for shells: a text without quotes can be
// the argument of the next command.
func printResult(c *cli.Context, result json.RawMessage) error {
	var text string
	switch {
	case c.Bool(flagJSON):
	case string(result) == "null": // what methods without a result return
		return nil
	case json.Unmarshal(result, &text) == nil:
		_, err := fmt.Fprintln(c.App.Writer, text)
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, result, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.App.Writer, b.String())
	return err
}
