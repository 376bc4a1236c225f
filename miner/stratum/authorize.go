package stratum

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
)

// unauthorized returns the fault of a worker that cannot be.
func unauthorized(text string) *fault { return &fault{code: codeUnauthorized, text: text} }

// authorize lets shares be handed in under a name, ADDRESS or ADDRESS.RIG. The first
// address of a connection is the one that is paid: a job has one coinbase.
func (c *connection) authorize(m *message) error {
	f := c.admit(m.text(0), m.text(1))
	if f != nil {
		c.credit -= costOfName
		c.server.o.Logger.Debug("a worker was refused", "from", c.from.name, "why", f.text)
	}
	if err := c.reply(answer(m.ID, f == nil, f)); err != nil || f != nil {
		return err
	}
	c.begin()
	return nil
}

// admit enters a worker.
func (c *connection) admit(name, password string) *fault {
	script, address, shown, f := c.server.payee(name)
	if f != nil {
		return f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.names[name] != nil:
		return nil
	case c.script != nil && !bytes.Equal(c.script, script):
		return unauthorized("this connection pays " + c.paid() + " already, and has one payout: connect again for another")
	case len(c.names) >= maxNames:
		return unauthorized("too many workers on one connection")
	}
	w, difficulty := c.server.workers.enter(shown, address, c.from.name, c.agent)
	if c.script == nil {
		c.hints.chosen, c.hints.before = passwordDifficulty(password), difficulty
	}
	c.names[name], c.script, c.payee = w, script, address
	if c.told {
		w.set(c.session.told)
	}
	return nil
}

func (c *connection) paid() string {
	if c.payee == "" {
		return "the node's own address"
	}
	return c.payee
}

// payee returns who is paid for the work of a name, and the name as it is shown.
func (s *Server) payee(name string) (script []byte, address, shown string, f *fault) {
	if name == "" || len(name) > maxNameSize || name != printable(name, maxNameSize) {
		return nil, "", "", unauthorized("a worker's name has 1 to 160 printable characters: ADDRESS or ADDRESS.RIG")
	}
	head, rig, dotted := strings.Cut(name, ".")
	script, err := taproot.DecodeAddress(s.o.Params.HRP, head)
	switch {
	case err == nil:
		address, _ = taproot.EncodeAddress(s.o.Params.HRP, script) // it was decoded from one
		shown = address
		if dotted {
			shown += "." + rig
		}
		return script, address, shown, nil
	case looksLikeAddress(s.o.Params.HRP, head):
		return nil, "", "", unauthorized("the worker's name begins with an address that cannot be paid: " + err.Error())
	case s.o.PayTo == nil:
		return nil, "", "", unauthorized("the worker's name must be the address that is paid, " + s.o.Params.HRP + "1….RIG: this node has none of its own (--mine-to)")
	}
	return s.o.PayTo, "", name, nil
}

// looksLikeAddress reports whether a name was meant to be an address, of this network or
// of another. Work for a mistyped one must not be paid to the node.
func looksLikeAddress(hrp, name string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, hrp+"1") {
		return true
	}
	const shortest = 26 // of the addresses that are in use anywhere
	return len(name) >= shortest && strings.Trim(name, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// passwordDifficulty reads the difficulty that a miner chooses by its password, such as
// d=1024; 0 if it chooses none. All else in it means nothing.
func passwordDifficulty(password string) float64 {
	for part := range strings.FieldsFuncSeq(password, func(r rune) bool { return strings.ContainsRune(",; ", r) }) {
		if digits, ok := strings.CutPrefix(part, "d="); ok {
			n, _ := strconv.ParseFloat(digits, 64)
			n, _ = clamp(n)
			return n
		}
	}
	return 0
}
