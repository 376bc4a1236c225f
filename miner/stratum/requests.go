package stratum

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"

	"github.com/karatcoin/karat/chain/consensus"
)

// versionMask is the bits of the version that miners may choose (BIP320).
const versionMask = 0x1fffe000

// versionID is the id of our own request for the miner's name.
const versionID = "karat-version"

// handle does what a line says. An error ends the connection.
func (c *connection) handle(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 { // some end their lines twice
		return nil
	}
	m, err := parseMessage(line)
	if err != nil {
		return err
	}
	if m.Method == "" { // an answer
		c.answered(m)
		return nil
	}
	switch m.Method {
	case "mining.submit":
		return c.submitted(m)
	case "mining.authorize":
		return c.authorize(m)
	}
	result, f := c.request(m)
	if f != nil {
		c.credit -= costOfNothing
	}
	if err := c.reply(answer(m.ID, result, f)); err != nil {
		return err
	}
	switch m.Method {
	case "mining.subscribe":
		c.begin()
	case "mining.suggest_difficulty", "mining.suggest_target":
		c.retell()
	case "mining.configure":
		c.confirmMask()
		c.retell()
	}
	return nil
}

// request does what is asked and returns the answer.
func (c *connection) request(m *message) (any, *fault) {
	switch m.Method {
	case "mining.subscribe":
		return c.subscribe(m)
	case "mining.configure":
		return c.configure(m)
	case "mining.extranonce.subscribe":
		return true, nil // it never changes
	case "mining.suggest_difficulty":
		if len(m.Params) == 0 {
			return nil, &fault{code: codeOther, text: "no difficulty"}
		}
		difficulty, _ := number(m.Params[0])
		return c.suggest(difficulty)
	case "mining.suggest_target":
		target, err := consensus.ParseUint256(fmt.Sprintf("%064s", m.text(0)))
		if err != nil || target.IsZero() {
			return nil, &fault{code: codeOther, text: "the target is not hexadecimal, or zero"}
		}
		return c.suggest(difficultyOf(target))
	case "mining.ping":
		return "pong", nil
	case "mining.get_transactions":
		return []string{}, nil // miners look at them at most to show that they do
	}
	return nil, &fault{code: codeOther, text: "unknown method " + printable(m.Method, 40)}
}

// answered takes the answer to a request of ours: the miner's name.
func (c *connection) answered(m *message) {
	var agent string
	if string(m.ID) != `"`+versionID+`"` || json.Unmarshal(m.Result, &agent) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.is(agent)
}

// is notes the miner's name for itself. It assumes mu.
func (c *connection) is(agent string) {
	c.agent = printable(agent, maxAgentSize)
	for _, w := range c.names {
		w.is(c.agent)
	}
}

// subscribe gives the miner a session: the one that it names, if that is free, or a new
// one. Who subscribes again has the same.
func (c *connection) subscribe(m *message) (any, *fault) {
	now := c.server.o.Clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if agent := m.text(0); agent != "" {
		c.is(agent)
	}
	if c.session == nil {
		if id := m.text(1); id != "" {
			c.session = c.server.sessions.resume(id, now)
			c.resumed = c.session != nil
		}
		if c.session == nil {
			var err error
			if c.session, err = c.server.sessions.create(); err != nil {
				return nil, &fault{code: codeOther, text: err.Error()}
			}
			c.session.vardiff.start(startDifficulty, now)
		}
		c.session.vardiff.resume(now)
		c.settle()
	}
	id := c.session.id
	subscriptions := [][]string{{"mining.set_difficulty", id}, {"mining.notify", id}}
	return []any{subscriptions, hex.EncodeToString(c.session.one[:]), extraNonce2Size}, nil
}

// settle hands what the miner has said of itself to its session. It assumes mu.
func (c *connection) settle() {
	if c.session == nil {
		return
	}
	now, h, v := c.server.o.Clock(), &c.hints, &c.session.vardiff
	c.session.mask |= h.mask
	if h.least > 0 {
		v.least = h.least
	}
	switch {
	case v.fixed:
	case h.guess > 0:
		v.start(h.guess, now)
		h.guess, h.before = 0, 0 // the miner knows better
	case v.difficulty < v.least:
		v.start(v.least, now)
	}
}

// suggest takes a difficulty to begin with.
func (c *connection) suggest(difficulty float64) (any, *fault) {
	difficulty, ok := clamp(difficulty)
	if !ok {
		return nil, &fault{code: codeOther, text: "a difficulty is a number above zero"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hints.guess = difficulty
	c.settle()
	return true, nil
}

// configure negotiates extensions (BIP310).
func (c *connection) configure(m *message) (any, *fault) {
	var names []string
	var parameters map[string]json.RawMessage
	if len(m.Params) == 0 || json.Unmarshal(m.Params[0], &names) != nil || len(names) > maxParams {
		return nil, &fault{code: codeOther, text: "no list of extensions"}
	}
	if len(m.Params) > 1 && json.Unmarshal(m.Params[1], &parameters) != nil {
		return nil, &fault{code: codeOther, text: "no parameters of extensions"}
	}
	result := map[string]any{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		switch name {
		case "version-rolling":
			c.configureMask(parameters, result)
		case "minimum-difficulty":
			least, ok := number(parameters["minimum-difficulty.value"])
			if ok = ok && least >= 0 && least <= maxDifficulty; ok {
				c.hints.least = max(least, minDifficulty)
			}
			result[name] = ok
		case "subscribe-extranonce", "info":
			result[name] = true
		default:
			if len(name) <= maxText {
				result[name] = false
			}
		}
	}
	c.settle()
	return result, nil
}

// configureMask lets the miner choose bits of the version. What it was allowed before it
// keeps, because of the shares that are on their way. It assumes mu.
func (c *connection) configureMask(parameters map[string]json.RawMessage, result map[string]any) {
	asked := uint32(0xffffffff)
	if raw, given := parameters["version-rolling.mask"]; given {
		var digits string
		_ = json.Unmarshal(raw, &digits) // what is no text has no digits
		var ok bool
		if asked, ok = hexWord(digits); !ok {
			result["version-rolling"] = "the mask is not eight hexadecimal digits"
			return
		}
	}
	mask := asked & versionMask
	result["version-rolling"] = bits.OnesCount32(mask) > 0
	if mask != 0 {
		result["version-rolling.mask"] = fmt.Sprintf("%08x", mask)
		c.hints.mask |= mask
	}
}

// confirmMask tells a miner that works already from when on its mask counts: at once.
func (c *connection) confirmMask() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working && c.session.mask != 0 {
		c.push(outgoing{line: notice("mining.set_version_mask", fmt.Sprintf("%08x", c.session.mask))})
	}
}
