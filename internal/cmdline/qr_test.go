package cmdline

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
	"rsc.io/qr"
)

// TestQRCode: every module is drawn in its place, dark or light, with the border around it,
// on each ground.
func TestQRCode(t *testing.T) {
	code, err := qr.Encode("KRTD1P8WPT9V4FRPF3TKN0SRD97PKSGSXC5HS52LAFXWRU9KGEEPHVS7RQR2Y4QK", qr.L)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ground  string
		colours bool
	}{{"", true}, {"", false}, {"light", true}, {"dark", true}, {"dark", false}} {
		lines := strings.Split(strings.TrimSuffix(drawQR(code, c.ground, c.colours), "\n"), "\n")
		if want := (code.Size + 2*4 + 1) / 2; len(lines) != want {
			t.Fatalf("%+v: %d lines, want %d", c, len(lines), want)
		}
		for i, line := range lines {
			if c.colours && c.ground == "" {
				inner, begins := strings.CutPrefix(line, "\033[30;107m")
				inner, ends := strings.CutSuffix(inner, "\033[0m")
				if line = inner; !begins || !ends {
					t.Fatalf("%+v: line %d sets no colours, or does not take them back", c, i)
				}
			}
			cells := []rune(line)
			if len(cells) != code.Size+2*4 {
				t.Fatalf("%+v: line %d has %d columns", c, i, len(cells))
			}
			for j, cell := range cells {
				for half := range 2 {
					block := cell == '█' || cell == []rune{'▀', '▄'}[half]
					if dark := block != (c.ground == "dark"); dark != code.Black(j-4, 2*i+half-4) {
						t.Fatalf("%+v: the module at %d, %d is dark: %v", c, j-4, 2*i+half-4, dark)
					}
				}
			}
		}
	}
}

// TestDrawQR: a code is drawn where it is asked for, and what cannot be drawn is refused.
func TestDrawQR(t *testing.T) {
	draw := func(text string, args ...string) (string, error) {
		var out bytes.Buffer
		app := &cli.App{Name: "prog", Writer: &out, Flags: QRFlags("draw"), Action: func(c *cli.Context) error { return DrawQR(c, text) }}
		err := app.Run(append([]string{"prog"}, args...))
		return out.String(), err
	}
	if got, err := draw("text"); got != "" || err != nil {
		t.Errorf("without --qr: %q, %v", got, err)
	}
	if got, err := draw("text", "--qr"); !strings.Contains(got, "▄") || strings.Contains(got, "\033") || err != nil {
		t.Errorf("into a file: %q, %v", got, err)
	}
	if _, err := draw(strings.Repeat("x", 2953), "--qr", "--qr-ground", "dark"); err != nil {
		t.Errorf("the most that a code holds: %v", err)
	}
	if _, err := draw(strings.Repeat("x", 2954), "--qr"); err == nil || !strings.Contains(err.Error(), "2953") {
		t.Errorf("more than a code holds: %v", err)
	}
	if _, err := draw("text", "--qr", "--qr-ground", "blue"); !errors.Is(err, ErrUsage) {
		t.Errorf("a blue ground: %v", err)
	}
}
