package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/wallet"
)

const flagFaucet = "faucet"

// What a faucet may cost that is no friend.
const (
	faucetTime    = 15 * time.Second // for an answer
	maxFaucetText = 64 << 10         // bytes of one
	maxFaucetBits = 26               // of proof of work: some seconds
)

func faucetCommand() *cli.Command {
	return &cli.Command{
		Name: "faucet", Usage: "ask a faucet for coins", ArgsUsage: "URL",
		Description: "Networks that are for trying things out have pages that give coins away. This asks for some\n" +
			"to a new address: it does the little work that a faucet wants, and sends the address.\n\n" +
			"   karat faucet http://127.0.0.1:19580\n" +
			"   karat faucet --wait https://explorer.example.org",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", Usage: "wait until the wallet sees them"},
			accountFlag(), jsonFlag(),
		},
		Action: askFaucet,
	}
}

func askFaucet(c *cli.Context) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("faucet needs the URL of a node's pages")
	}
	f, err := newFaucet(c.Args().First())
	if err != nil {
		return err
	}
	h, err := findHome(c)
	if err != nil {
		return err
	}
	before, err := h.has(c, c.Bool("wait"))
	if err != nil {
		return err
	}
	got, err := h.fromFaucet(c, f)
	if err != nil {
		return err
	}
	if c.Bool("wait") {
		if err := h.waitForMore(c, before); err != nil {
			return err
		}
	}
	if c.Bool(flagJSON) {
		return cmdline.PrintJSON(c.App.Writer, got)
	}
	return got.print(c)
}

// gift is what a faucet has promised.
type gift struct {
	Address string       `json:"address"`
	Amount  types.Amount `json:"-"`
	Text    json.Number  `json:"amount"`
}

func (g gift) print(c *cli.Context) error {
	return cmdline.Line(c.App.Writer, "the faucet pays %s to %s within seconds", g.Amount, g.Address)
}

// fromFaucet asks for coins to a new address of the wallet.
func (h home) fromFaucet(c *cli.Context, f *faucet) (got gift, err error) {
	is, err := h.checkFaucet(c, f)
	if err != nil {
		return got, err
	}
	o, err := h.open(c, false)
	if err != nil {
		return got, err
	}
	defer o.close(&err)
	account, err := o.account(c)
	if err != nil {
		return got, err
	}
	if got.Address, err = o.faucetAddress(account.Number()); err != nil {
		return got, err
	}
	if err := o.SetLabel(wallet.LabelAddress, got.Address, faucetLabel); err != nil {
		return got, err
	}
	nonce, err := workFor(c.Context, is.Challenge, got.Address, is.Bits)
	if err != nil {
		return got, err
	}
	_, err = f.ask(c.Context, url.Values{"address": {got.Address}, "challenge": {is.Challenge}, "nonce": {nonce}})
	got.Amount, got.Text = is.Amount, number(is.Amount)
	return got, err
}

// faucetLabel is the label of addresses that faucets were told.
const faucetLabel = "from a faucet"

// faucetAddress returns a new address. One that a faucet was told before and has not paid would do
// as well, but tell who asked twice. It is taken where a restore from words would not find a new
// one: a faucet may say no any number of times.
func (o *opened) faucetAddress(account uint32) (string, error) {
	if o.Unpaid(account) >= int(o.file.GapLimit()) {
		list, err := o.Addresses(account, wallet.Receive)
		if err != nil {
			return "", err
		}
		for i := range slices.Backward(list) {
			if l, _ := o.Label(wallet.LabelAddress, list[i].Address); !list[i].Used && l.Text == faucetLabel {
				return list[i].Address, nil
			}
		}
	}
	return o.NextAddress(account)
}

// checkFaucet asks a faucet how it is, and refuses one that is of no use to this wallet.
func (h home) checkFaucet(c *cli.Context, f *faucet) (is faucetState, err error) {
	is, err = f.ask(c.Context, nil)
	switch {
	case err != nil:
	case is.Network != h.params.Identity().String():
		err = fmt.Errorf("%s gives coins of another network than %s", f.at.Redacted(), networkName(c, h.params.Name))
	case is.Bits < 0 || is.Bits > maxFaucetBits:
		err = fmt.Errorf("%s wants a proof of work of %d bits; nothing is worth more than %d here", f.at.Redacted(), is.Bits, maxFaucetBits)
	case is.Left < is.Amount:
		err = fmt.Errorf("%s is empty", f.at.Redacted())
	}
	return is, err
}

// has returns what the wallet has in all, if that is wanted.
func (h home) has(c *cli.Context, wanted bool) (sum types.Amount, err error) {
	if !wanted {
		return 0, nil
	}
	o, err := h.open(c, true)
	if err != nil {
		return 0, err
	}
	defer o.close(&err)
	return o.Balance().Total(), nil
}

// waitForMore waits until the wallet has more than it had.
func (h home) waitForMore(c *cli.Context, before types.Amount) error {
	for {
		now, err := h.has(c, true)
		if err != nil || now > before {
			return err
		}
		select {
		case <-c.Context.Done():
			return fmt.Errorf("the faucet was asked, and has not paid yet: %w", c.Context.Err())
		case <-time.After(waitEvery):
		}
	}
}

// workFor finds a nonce such that SHA-256 of challenge:address:nonce begins with so many zero bits.
func workFor(ctx context.Context, challenge, address string, zeros int) (nonce string, err error) {
	text := []byte(challenge + ":" + address + ":")
	for n := uint64(0); n%4096 != 0 || ctx.Err() == nil; n++ {
		sum := sha256.Sum256(strconv.AppendUint(text, n, 10))
		if bits.LeadingZeros32(binary.BigEndian.Uint32(sum[:])) >= zeros {
			return strconv.FormatUint(n, 10), nil
		}
	}
	return "", ctx.Err()
}

// faucet is one of the pages of a node.
type faucet struct{ at *url.URL }

// faucetState is what it says of itself, in grains.
type faucetState struct {
	Network   string       `json:"network"`
	Amount    types.Amount `json:"amount"`
	Left      types.Amount `json:"left"`
	Challenge string       `json:"challenge"`
	Bits      int          `json:"bits"`
}

// newFaucet reads the URL of a node's pages, or of the faucet's own.
func newFaucet(text string) (*faucet, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	at, err := url.Parse(text)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, cmdline.Usagef("%.200q: want the URL of a node's pages, such as http://127.0.0.1:19580", text)
	}
	at.Path = strings.TrimSuffix(strings.TrimSuffix(at.Path, "/"), "/faucet")
	return &faucet{at.JoinPath("api", "faucet")}, nil
}

// ask asks how the faucet is, or with a form for coins.
func (f *faucet) ask(ctx context.Context, form url.Values) (is faucetState, err error) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, f.at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return is, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{Timeout: faucetTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return is, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxFaucetText))
	if err != nil {
		return is, fmt.Errorf("%s: %w", f.at.Redacted(), err)
	}
	if answer.StatusCode != http.StatusOK {
		return is, fmt.Errorf("%s: nothing is to be had: %.300s", f.at.Redacted(), cmdline.Printable(strings.TrimSpace(string(text))))
	}
	if err := json.Unmarshal(text, &is); err != nil || is.Amount <= 0 {
		return is, fmt.Errorf("%s is no faucet of a karat node", f.at.Redacted())
	}
	return is, nil
}
