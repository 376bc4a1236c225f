package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/rpc"
)

func rpcCommand() *cli.Command {
	return &cli.Command{
		Name: "rpc", Usage: "call any method of the node", ArgsUsage: "METHOD [PARAMETER…]", HideHelpCommand: true,
		Description: "Parameters that are JSON are sent as such, others as texts. Results are printed as JSON,\n" +
			"texts bare.\n\n" +
			"   karat rpc help                      all methods\n" +
			"   karat rpc help getblock             one of them\n" +
			"   karat rpc getblock HASH 2           a block with its transactions",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", Usage: "wait for a node that is starting"},
			&cli.BoolFlag{Name: "string", Usage: "send all parameters as texts"},
		},
		Action: callNode,
	}
}

func callNode(c *cli.Context) error {
	if !c.Args().Present() {
		return fmt.Errorf("%w: rpc needs the name of a method; karat rpc help lists them", errUsage)
	}
	p, err := findPlace(c)
	if err != nil {
		return err
	}
	node, err := p.client(c)
	if err != nil {
		return err
	}
	var params []any
	for _, word := range c.Args().Tail() {
		var value any = word
		if raw := json.RawMessage(word); !c.Bool("string") && json.Valid(raw) {
			value = raw
		}
		params = append(params, value)
	}
	result, err := callWaiting(c, node, params)
	if err != nil {
		return err
	}
	return printResult(c, result)
}

// callWaiting calls the method, again and again while the node starts if it is to
// be waited for.
func callWaiting(c *cli.Context, node *rpc.Client, params []any) (result json.RawMessage, err error) {
	for {
		err = node.Call(c.Context, c.Args().First(), &result, params...)
		var refused *rpc.Error
		starting := errors.Is(err, rpc.ErrUnreachable) || errors.As(err, &refused) && refused.Code == rpc.CodeInWarmup
		if !c.Bool("wait") || !starting {
			return result, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-c.Context.Done():
			return nil, c.Context.Err()
		}
	}
}

func printResult(c *cli.Context, result json.RawMessage) error {
	var text string
	switch {
	case string(result) == "null":
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
