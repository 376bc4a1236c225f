package stratum

// begin gives the miner work once it has subscribed and named a worker.
func (c *connection) begin() {
	if !c.startWorking() {
		return
	}
	// From now on it is told of every job. The newest is
	// told here as well; whichever comes second does nothing.
	c.server.mu.Lock()
	c.server.working[c] = struct{}{}
	c.server.mu.Unlock()
	j := c.server.jobs.current()
	if j != nil {
		c.give(j)
	}
	if j == nil || c.server.o.Clock().Sub(j.made) > refreshAfter { // nobody has worked for a while
		c.server.wanted.Poke()
	}
}

// startWorking reports whether the miner is ready for its first job. It comes to its
// difficulty here, when all is known by which it can be guessed.
func (c *connection) startWorking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil || c.script == nil || c.working || c.why != nil {
		return false
	}
	c.working = true
	v, now := &c.session.vardiff, c.server.o.Clock()
	v.fixed = c.hints.chosen > 0
	switch h := &c.hints; {
	case h.chosen > 0:
		v.start(h.chosen, now)
	case h.before > 0 && !c.resumed:
		v.start(h.before, now)
	default:
		v.resume(now)
	}
	if c.agent == "" {
		c.push(outgoing{line: line(struct {
			ID     string `json:"id"`
			Method string `json:"method"`
			Params []any  `json:"params"`
		}{versionID, "client.get_version", []any{}})})
	}
	return true
}

// give tells the miner of a job, unless it knows that one or a newer one.
func (c *connection) give(j *job) {
	payout := j.paying(c.payoutScript())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil && (!c.told || j.number > c.session.number) {
		c.tell(payout)
	}
}

// retell tells the miner of a new difficulty, if there is one, and of the newest job
// again: a difficulty is that of the jobs that come after it.
func (c *connection) retell() {
	j := c.server.jobs.current()
	if j == nil || !c.isBehind(j) {
		return
	}
	payout := j.paying(c.payoutScript())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil && j.number >= c.session.number {
		c.tell(payout)
	}
}

// isBehind reports whether the miner should have another difficulty than it was told.
func (c *connection) isBehind(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told && c.session.aim(j) != c.session.told
}

// tell sends the difficulty, if it has changed, and a job. It assumes mu.
func (c *connection) tell(payout *payoutJob) {
	s, j := c.session, payout.job
	// Some miners take a new difficulty up with their next piece of work only, which may
	// be long. One that is far too hard is not worth finishing: it is taken away.
	clean := !c.told || j.clean && s.number != j.number || s.aim(j) < s.told/2
	if difficulty := s.aim(j); difficulty != s.told || !c.told {
		c.push(outgoing{line: difficultyNotice(difficulty)})
		for _, w := range c.names {
			w.set(difficulty)
		}
		s.ease(difficulty)
		s.told = difficulty
	}
	revision := s.give(j, s.told)
	c.told = true
	if revision == 0 && clean == j.clean {
		c.push(outgoing{line: payout.shared})
	} else {
		c.push(outgoing{line: payout.line(revision, clean)})
	}
}

// payoutScript is what the miner's blocks pay. It does not change once it is known.
func (c *connection) payoutScript() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.script
}

// tend reconsiders the difficulty of a miner that may have no shares at all. Without a
// job it can have none, and that tells nothing of it.
func (c *connection) tend() {
	now := c.server.o.Clock()
	c.mu.Lock()
	if c.told {
		c.session.vardiff.adjust(c.session.told, now)
	} else {
		c.session.vardiff.resume(now)
	}
	c.mu.Unlock()
	c.retell()
}
