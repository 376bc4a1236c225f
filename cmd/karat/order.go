package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

// payment is one line of what is to be paid, as it was typed.
type payment struct {
	address string
	label   string // of the receiver's address; empty: none
	message string // of the receiver's, in a URI: what it is for
	out     types.TxOut
}

// order reads what to pay from the command line or a file, and needs neither the wallet nor
// the node for it: a mistyped address must not be found out only after a sync.
func (h home) order(c *cli.Context) (list []payment, err error) {
	words, file, all := c.Args().Slice(), c.String(flagFile), c.Bool(flagAll)
	switch {
	case file != "" && (len(words) > 0 || all):
		return nil, cmdline.Usagef("--%s holds all that is paid: leave out ADDRESS and --%s", flagFile, flagAll)
	case file != "":
		list, err = h.paymentsOf(c, file)
	case len(words) == 0 || all && len(words) != 1:
		return nil, cmdline.Usagef("send wants ADDRESS AMOUNT, once for each receiver, or --%s ADDRESS", flagAll)
	case all:
		list = make([]payment, 1)
		list[0], _, err = h.recipient(words, true)
	default:
		for len(words) > 0 && err == nil {
			var p payment
			p, words, err = h.recipient(words, false)
			list = append(list, p)
		}
	}
	if err != nil {
		return nil, err
	}
	return list, addLabels(list, c.StringSlice(flagLabel))
}

// recipient reads the first payment of some words, and returns what follows it: ADDRESS AMOUNT,
// or a URI, which may have the amount in it.
func (h home) recipient(words []string, all bool) (p payment, rest []string, err error) {
	address, rest := words[0], words[1:]
	uri := wallet.PaymentURI{}
	if wallet.IsURI(address) {
		if uri, err = wallet.ParseURI(h.params.HRP, address); err != nil {
			return p, nil, cmdline.Usagef("%w", err)
		}
		address = uri.Address
	}
	amount := ""
	switch {
	case all && uri.Amount > 0:
		return p, nil, cmdline.Usagef("the URI asks for %s, and --%s sends everything", uri.Amount, flagAll)
	case all:
	case len(rest) > 0 && (uri.Amount == 0 || h.isAmount(rest[0])):
		amount, rest = rest[0], rest[1:]
	case uri.Amount > 0:
		amount = uri.Amount.String()
	default:
		return p, nil, cmdline.Usagef("send wants ADDRESS AMOUNT, once for each receiver, and there is no amount for %.100s", words[0])
	}
	if p, err = h.payment(address, amount, all); err != nil {
		return p, nil, err
	}
	if uri.Amount > 0 && p.out.Value != uri.Amount {
		return p, nil, cmdline.Usagef("the URI asks for %s, and the amount behind it is %s: leave it out, or pay the address alone", uri.Amount, p.out.Value)
	}
	p.label, p.message = strings.TrimSpace(uri.Label), uri.Message
	return p, rest, nil
}

// isAmount reports whether a word is an amount, and not the next address.
func (h home) isAmount(word string) bool {
	_, err := cmdline.ParseAmount(word, h.params.HRP)
	return err == nil
}

// payment reads one payment. Without all it has an amount.
func (h home) payment(address, amount string, all bool) (p payment, err error) {
	p.address = address
	if p.out.ScriptPubKey, err = taproot.DecodeAddress(h.params.HRP, address); err != nil {
		if !strings.Contains(err.Error(), address) { // it is too long to be repeated
			err = fmt.Errorf("%.100q: %w", address, err)
		}
		return p, cmdline.Usagef("%w", err)
	}
	if !all {
		if p.out.Value, err = cmdline.ParseAmount(amount, h.params.HRP); err != nil {
			return p, cmdline.Usagef("the amount for %s: %w", address, err)
		}
	}
	if err := wallet.CheckPayment(&p.out, all); err != nil {
		return p, fmt.Errorf("%s: %w", address, err)
	}
	return p, nil
}

// addLabels gives the receivers their labels, in the order in which both were typed.
func addLabels(list []payment, labels []string) error {
	if len(labels) > len(list) {
		return cmdline.Usagef("--%s stands %d times for %s", flagLabel, len(labels), plural(len(list), "receiver"))
	}
	for i, text := range labels {
		list[i].label = strings.TrimSpace(text)
	}
	for i := range list {
		if err := wallet.CheckLabel(list[i].label); err != nil {
			return cmdline.Usagef("the label of %s: %w", list[i].address, err)
		}
	}
	return nil
}

// paymentsOf reads a file of payments: comma-separated address, amount and label, which may be
// missing. The first line may name the columns.
func (h home) paymentsOf(c *cli.Context, file string) (list []payment, err error) {
	text, err := cmdline.ReadFile(c.Context, file, c.App.Reader)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flagFile, err)
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, cmdline.Usagef("%s: %w", file, err)
		}
		line, _ := r.FieldPos(0)
		if first && strings.EqualFold(strings.TrimSpace(fields[0]), "address") {
			continue
		}
		if len(fields) < 2 || len(fields) > 3 {
			return nil, cmdline.Usagef("%s, line %d: want ADDRESS,AMOUNT or ADDRESS,AMOUNT,LABEL", file, line)
		}
		p, err := h.payment(strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1]), false)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, line, err)
		}
		if len(fields) == 3 {
			p.label = strings.TrimSpace(fields[2])
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, cmdline.Usagef("%s: there is no payment in it", file)
	}
	return list, nil
}
