package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
)

const (
	flagOutput = "output"
	flagText   = "text"

	psbtMagic = "psbt\xff" // at the beginning of every PSBT (BIP174)
)

// outputFlags are those of commands that make a PSBT.
func outputFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Usage: "write to `FILE`, in binary (default: to standard output, as text)"},
		&cli.BoolFlag{Name: flagText, Usage: "write text (base64) to the file, too"},
		&cli.BoolFlag{Name: flagForce, Usage: "write over a file that is there"},
	}, cmdline.QRFlags("draw a QR code too")...)
}

// readPSBT reads a PSBT: a file, - for standard input, or the text itself. It may be binary,
// base64 or hexadecimal.
func readPSBT(c *cli.Context, name string) (*psbt.Packet, error) {
	text, where := name, "the PSBT"
	if !strings.HasPrefix(name, "cHNidP") && !strings.HasPrefix(strings.ToLower(name), hex.EncodeToString([]byte(psbtMagic))) {
		if name == "-" && c.String(flagPassphrase) == "-" {
			return nil, cmdline.Usagef("standard input has the PSBT: name a file with --%s", flagPassphrase)
		}
		var err error
		if text, err = cmdline.ReadFile(c.Context, name, c.App.Reader); err != nil {
			return nil, err
		}
		if where = name; name == "-" {
			where = "standard input"
		}
	}
	if !strings.HasPrefix(text, psbtMagic) {
		// Mail programs fold lines, and editors add marks.
		text = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || r == '\ufeff' {
				return -1
			}
			return r
		}, text)
		if raw, err := hex.DecodeString(text); err == nil {
			text = string(raw)
		}
	}
	var p *psbt.Packet
	var err error
	if strings.HasPrefix(text, psbtMagic) {
		p, err = psbt.Decode([]byte(text))
	} else {
		p, err = psbt.DecodeBase64(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not a PSBT that can be read: %w", where, err)
	}
	return p, nil
}

// readSigned reads a PSBT that is about to be used, and leaves out what pretends to be signed: who
// adds a wrong signature could otherwise hold up a payment that enough others have signed.
func readSigned(c *cli.Context, name string) (*psbt.Packet, error) {
	p, err := readPSBT(c, name)
	if err != nil {
		return nil, err
	}
	const most = 5
	dropped := p.DropWrong()
	for n, d := range dropped {
		if n == most {
			fmt.Fprintf(c.App.ErrWriter, "and %d more\n", len(dropped)-most)
			break
		}
		what := "what was to be sent of it"
		if !d.Final {
			what = "the signature of " + signerOf(&p.Inputs[d.Input], d.Key)
		}
		fmt.Fprintf(c.App.ErrWriter, "input %d: %s is wrong, and left out\n", d.Input, what)
	}
	return p, nil
}

// signerOf names the owner of a key as signers are named elsewhere, or else the key.
func signerOf(in *psbt.Input, key [32]byte) string {
	for i := range in.TapDerivations {
		if d := &in.TapDerivations[i]; d.Key == key {
			return hex.EncodeToString(d.Origin.Fingerprint[:])
		}
	}
	return hex.EncodeToString(key[:])
}

// checkOutput refuses to write over a file before anything is done.
func checkOutput(c *cli.Context) error {
	name := cmp.Or(c.String(flagOutput), c.String(flagPSBT))
	if name == "" || c.Bool(flagForce) {
		return nil
	}
	if _, err := os.Lstat(name); err == nil {
		return cmdline.Usagef("%s is there already: choose another name, or --%s", name, flagForce)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writePSBT writes a PSBT to where the flags say.
func writePSBT(c *cli.Context, p *psbt.Packet) error {
	text, err := p.Base64()
	if err != nil {
		return err
	}
	name := c.String(flagOutput)
	switch {
	case c.Bool(flagJSON) && name == "":
		return nil // the answer has it
	case name == "":
		fmt.Fprintln(c.App.Writer, text)
	case c.Bool(flagText):
		err = wholefile.ReplaceBytes(name, []byte(text+"\n"))
	default:
		err = writeFile(name, p)
	}
	if err != nil {
		return err
	}
	return cmdline.DrawQR(c, text)
}
