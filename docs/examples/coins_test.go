package examples

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
)

// coins is a run of coins.py.
type coins struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	errs  bytes.Buffer
}

func (c *chain) coins(state, address string) *coins {
	c.t.Helper()
	python, err := interpreter()
	if err != nil {
		c.t.Fatal("THE EXAMPLE OF SUBSCRIPTIONS WAS NOT TESTED: it needs python3, and nothing else. ", err)
	}
	p := &coins{t: c.t, cmd: exec.CommandContext(c.t.Context(), python, "coins.py", c.CookieFile, c.RPC, state, address)}
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// until reads lines up to one that begins like this.
func (p *coins) until(format string, args ...any) {
	p.t.Helper()
	want := fmt.Sprintf(format, args...)
	for p.lines.Scan() {
		if strings.HasPrefix(p.lines.Text(), want) {
			return
		}
	}
	_ = p.cmd.Wait()
	p.t.Fatalf("it did not print %q: %s", want, &p.errs)
}

func (p *coins) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// TestCoins: the example knows the coins of an address, whatever happens to the chain
// while it is there or away.
func TestCoins(t *testing.T) {
	c := run(t, nodetest.Matures)
	address := call[struct{ Address string }](c, "decodescript", hex.EncodeToString(chaintest.KeyScript())).Address
	state := filepath.Join(t.TempDir(), "state")
	c.mine(3)
	c.payTo = chaintest.KeyScript()
	mined := c.mine(2)
	p := c.coins(state, address)
	p.until("5 %s 20.00000000 in 2 coins", mined[1])
	third := c.mine(1)[0]
	p.until("6 %s 30.00000000 in 3 coins", third)
	p.kill()

	call[any](c, "invalidateblock", mined[1]) // two coins go
	c.payTo = chaintest.Anchor
	c.mine(3)
	c.payTo = chaintest.KeyScript()
	last := c.mine(1)[0]
	p = c.coins(state, address)
	p.until("8 %s 20.00000000 in 2 coins", last)
	call[any](c, "invalidateblock", last)
	p.until("7 %s 10.00000000 in 1 coins", call[string](c, "getbestblockhash"))
	p.kill()
}
