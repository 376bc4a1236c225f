package cmdline

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
	"rsc.io/qr"
)

const (
	flagQR       = "qr"
	flagQRGround = "qr-ground"

	// quiet is the light border around a code, in modules, that readers need (ISO/IEC 18004).
	quiet = 4
	// maxQR is how many bytes the largest code holds with the least error correction.
	maxQR = 2953
)

// QRFlags returns the flags of commands that can draw their result as a QR code: see DrawQR.
func QRFlags(usage string) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: flagQR, Usage: usage},
		&cli.StringFlag{Name: flagQRGround, Usage: "draw the code without colours, for a terminal whose `GROUND` is dark or light (default: black on white, by colours)"},
	}
}

// DrawQR draws a text as a QR code if --qr is given. At a terminal that is too narrow, where
// the lines would fold, it says so instead. Errors: ErrUsage for a ground that is none, and
// that of a text which no code holds.
func DrawQR(c *cli.Context, text string) error {
	ground := c.String(flagQRGround)
	switch {
	case ground != "" && ground != "dark" && ground != "light":
		return Usagef("--%s %s: want dark or light", flagQRGround, ground)
	case !c.Bool(flagQR):
		return nil
	case len(text) > maxQR:
		return fmt.Errorf("a QR code holds %d bytes at most, and this has %d", maxQR, len(text))
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return err
	}
	columns := code.Size + 2*quiet
	has := Columns(c.App.Writer)
	if has > 0 && has < columns {
		fmt.Fprintf(c.App.ErrWriter, "%s: the QR code needs %d columns, and the terminal has %d: make it wider, or its letters smaller\n", c.App.Name, columns, has)
		return nil
	}
	_, err = io.WriteString(Raw(c.App.Writer), drawQR(code, ground, has > 0))
	return err
}

// drawQR draws a code. A character is two modules, one above the other, because characters
// are about twice as high as they are wide. With colours it is dark on light at every
// terminal, which all readers take. Without them a block is dark on a light ground and light
// on a dark one.
func drawQR(code *qr.Code, ground string, colours bool) string {
	var b strings.Builder
	colours = colours && ground == ""
	for y := -quiet; y < code.Size+quiet; y += 2 {
		if colours {
			b.WriteString("\033[30;107m")
		}
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := code.Black(x, y), code.Black(x, y+1)
			if ground == "dark" {
				upper, lower = !upper, !lower
			}
			switch {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		if colours {
			b.WriteString("\033[0m")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
