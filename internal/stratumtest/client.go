// Package stratumtest is a Stratum client for tests. It is written from the protocol and
// shares nothing with the server: it makes the coinbase, the merkle root and the header
// of a job by itself, and hashes. Only tests import it.
//
//	c := stratumtest.New(conn)
//	defer c.Close()
//	err := c.Start("ADDRESS.rig") // subscribes and authorizes
//	job, err := c.Job(ctx)        // waits for work
//	share, ok := job.Search(0, 1000)
//	err = c.Submit(share)         // a *Refusal if the server does not want it
package stratumtest

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Refusal is the error of an answer.
type Refusal struct {
	Code int
	Text string
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%d: %s", r.Code, r.Text) }

// Client is a miner's end of a connection. Its methods may be called concurrently.
type Client struct {
	conn    net.Conn
	changed chan struct{} // is poked after something came
	ended   chan struct{}

	mu sync.Mutex
	// Guarded by mu:
	err         error
	nextID      int
	waiting     map[int]chan answer
	worker      string
	session     string
	extraNonce1 []byte
	size2       int
	difficulty  float64
	mask        uint32
	job         *Job
	jobs        int
	notices     []string // methods of the server's last messages, in order
}

type answer struct {
	Result json.RawMessage
	Err    error
}

// New returns a client on a connection, and begins to read.
func New(conn net.Conn) *Client {
	c := &Client{conn: conn, changed: make(chan struct{}, 1), ended: make(chan struct{}), waiting: map[int]chan answer{}, difficulty: 1}
	go c.read()
	return c
}

// Close hangs up, and returns when nothing is read any more.
func (c *Client) Close() {
	c.conn.Close()
	<-c.ended
}

// Ended is closed when the connection has ended.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Changed is poked after the server has sent something.
func (c *Client) Changed() <-chan struct{} { return c.changed }

// Session is the id with which the session can be resumed.
func (c *Client) Session() string { c.mu.Lock(); defer c.mu.Unlock(); return c.session }

// ExtraNonce1 is what the server gave.
func (c *Client) ExtraNonce1() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return hex.EncodeToString(c.extraNonce1)
}

// Difficulty is the one that the next job will have.
func (c *Client) Difficulty() float64 { c.mu.Lock(); defer c.mu.Unlock(); return c.difficulty }

// Notices are the methods of what the server has sent by itself.
func (c *Client) Notices() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.notices...)
}

// Current is the newest job, and how many have come; nil: none has.
func (c *Client) Current() (*Job, int) { c.mu.Lock(); defer c.mu.Unlock(); return c.job, c.jobs }

// Job waits for a job, if there is none.
func (c *Client) Job(ctx context.Context) (*Job, error) {
	for {
		if job, _ := c.Current(); job != nil {
			return job, nil
		}
		select {
		case <-c.changed:
		case <-c.ended:
			return nil, c.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// read reads until the connection ends.
func (c *Client) read() {
	lines := bufio.NewScanner(c.conn)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		c.take(lines.Bytes())
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
	c.mu.Lock()
	c.err = errors.Join(errors.New("the connection has ended"), lines.Err())
	for id, to := range c.waiting {
		to <- answer{Err: c.err}
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	close(c.ended)
}

func (c *Client) take(line []byte) {
	var m struct {
		ID     any               `json:"id"`
		Method string            `json:"method"`
		Params []json.RawMessage `json:"params"`
		Result json.RawMessage   `json:"result"`
		Error  []any             `json:"error"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Method != "" {
		c.notices = append(c.notices[max(0, len(c.notices)-99):], m.Method)
		c.notice(m.Method, m.Params)
		return
	}
	id, ok := m.ID.(float64)
	to := c.waiting[int(id)]
	if !ok || to == nil {
		return
	}
	delete(c.waiting, int(id))
	a := answer{Result: m.Result}
	if len(m.Error) >= 2 {
		code, _ := m.Error[0].(float64)
		text, _ := m.Error[1].(string)
		a.Err = &Refusal{int(code), text}
	}
	to <- a
}

// notice takes a message of the server. It assumes mu.
func (c *Client) notice(method string, params []json.RawMessage) {
	switch method {
	case "mining.set_difficulty":
		var difficulty float64
		if len(params) > 0 && json.Unmarshal(params[0], &difficulty) == nil {
			c.difficulty = difficulty
		}
	case "mining.set_version_mask":
		var digits string
		if len(params) > 0 && json.Unmarshal(params[0], &digits) == nil {
			fmt.Sscanf(digits, "%x", &c.mask)
		}
	case "mining.notify":
		if job := parseJob(params); job != nil {
			job.ExtraNonce1, job.size2, job.Difficulty, job.mask = c.extraNonce1, c.size2, c.difficulty, c.mask
			c.job = job
			c.jobs++
		}
	}
}

// Call makes a request and waits for its answer.
func (c *Client) Call(method string, params ...any) (json.RawMessage, error) {
	c.mu.Lock()
	c.nextID++
	id, to := c.nextID, make(chan answer, 1)
	if c.err != nil {
		c.mu.Unlock()
		return nil, c.err
	}
	c.waiting[id] = to
	c.mu.Unlock()
	line, err := json.Marshal(map[string]any{"id": id, "method": method, "params": append([]any{}, params...)})
	if err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	a := <-to
	return a.Result, a.Err
}

// Subscribe gets a session: a new one, or the one with an id.
func (c *Client) Subscribe(id string) error {
	params := []any{"stratumtest/1"}
	if id != "" {
		params = append(params, id)
	}
	raw, err := c.Call("mining.subscribe", params...)
	if err != nil {
		return err
	}
	var parts []json.RawMessage
	var subscriptions [][]string
	var digits string
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 3 {
		return fmt.Errorf("mining.subscribe: %s", raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := errors.Join(json.Unmarshal(parts[0], &subscriptions), json.Unmarshal(parts[1], &digits), json.Unmarshal(parts[2], &c.size2)); err != nil {
		return err
	}
	for _, s := range subscriptions {
		if len(s) == 2 && s[0] == "mining.notify" {
			c.session = s[1]
		}
	}
	c.extraNonce1, err = hex.DecodeString(digits)
	return err
}

// Authorize names a worker. The first one is that of later shares.
func (c *Client) Authorize(worker, password string) error {
	raw, err := c.Call("mining.authorize", worker, password)
	if err == nil && string(raw) != "true" {
		err = fmt.Errorf("mining.authorize: %s", raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.worker == "" {
		c.worker = worker
	}
	return err
}

// Start subscribes and authorizes.
func (c *Client) Start(worker string) error {
	if err := c.Subscribe(""); err != nil {
		return err
	}
	return c.Authorize(worker, "x")
}

// Roll negotiates which bits of the version may be chosen, and returns them.
func (c *Client) Roll(mask string) (uint32, error) {
	raw, err := c.Call("mining.configure", []string{"version-rolling"}, map[string]any{"version-rolling.mask": mask, "version-rolling.min-bit-count": 2})
	if err != nil {
		return 0, err
	}
	var result struct {
		OK   bool   `json:"version-rolling"`
		Mask string `json:"version-rolling.mask"`
	}
	if err := json.Unmarshal(raw, &result); err != nil || !result.OK {
		return 0, fmt.Errorf("mining.configure: %s", raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Sscanf(result.Mask, "%x", &c.mask)
	return c.mask, nil
}

// Submit hands a share in. The error is a *Refusal if the server does not want it.
func (c *Client) Submit(s Share) error {
	c.mu.Lock()
	worker := c.worker
	c.mu.Unlock()
	raw, err := c.Call("mining.submit", s.Params(worker)...)
	if err == nil && string(raw) != "true" {
		err = fmt.Errorf("mining.submit: %s", raw)
	}
	return err
}
