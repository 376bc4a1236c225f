package stratum

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

// submission is a share as a miner hands it in, read but not yet judged.
type submission struct {
	name, job string
	two       [extraNonce2Size]byte
	ntime     uint32
	nonce     uint32
	bits      uint32 // of the version, that the miner has chosen
	rolled    bool   // it has chosen any
}

// parseSubmission reads the parameters of mining.submit.
func parseSubmission(m *message) (sub submission, f *fault) {
	if len(m.Params) != 5 && len(m.Params) != 6 {
		return sub, refuse(stratuminfo.Malformed, "want worker, job, extranonce2, ntime, nonce, and version bits if they were negotiated")
	}
	sub.name, sub.job = m.text(0), m.text(1)
	var ok bool
	if !hexBytes(m.text(2), sub.two[:]) {
		return sub, refuse(stratuminfo.Malformed, "extranonce2 is not "+strconv.Itoa(2*extraNonce2Size)+" hexadecimal digits")
	}
	if sub.ntime, ok = hexWord(m.text(3)); !ok {
		return sub, refuse(stratuminfo.Malformed, "ntime is not 8 hexadecimal digits")
	}
	if sub.nonce, ok = hexWord(m.text(4)); !ok {
		return sub, refuse(stratuminfo.Malformed, "nonce is not 8 hexadecimal digits")
	}
	if sub.rolled = len(m.Params) == 6; sub.rolled {
		if sub.bits, ok = hexWord(m.text(5)); !ok {
			return sub, refuse(stratuminfo.Malformed, "version bits are not 8 hexadecimal digits")
		}
	}
	return sub, nil
}

// verdict is what became of a good share.
type verdict struct {
	worker            *worker
	difficulty, worth float64     // that it had to have, and that it has
	block             *foundBlock // nil: it is none
}

// submitted judges a share and answers. A block goes to the chain first.
func (c *connection) submitted(m *message) error {
	var v verdict
	sub, f := parseSubmission(m)
	if f == nil {
		v, f = c.judge(sub)
	}
	now := c.server.o.Clock()
	if f != nil {
		c.count(sub.name, f)
		return c.reply(answer(m.ID, nil, f))
	}
	if v.block != nil {
		// What others find now would come second. The next job is one on this block.
		c.server.jobs.dropOn(v.block.header.PrevBlock)
		c.server.found <- *v.block
	}
	c.useful.Store(now.UnixNano())
	c.work.Store(math.Float64bits(math.Float64frombits(c.work.Load()) + v.difficulty))
	c.credit = min(c.credit+1, points)
	v.worker.accepted(v.difficulty, v.worth, now)
	c.server.accepted(v.difficulty, v.worth, now)
	if err := c.reply(answer(m.ID, true, nil)); err != nil {
		return err
	}
	c.retell()
	return nil
}

// count counts a bad share. That one is stale is nobody's fault.
func (c *connection) count(name string, f *fault) {
	if f.reason != stratuminfo.Stale || f.text == notGiven {
		c.credit--
	}
	c.server.rejected(f.reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.names[name]; w != nil {
		w.rejected(f.reason)
	}
}

// notGiven is said of a job that the miner was never told of.
const notGiven = "job not found"

// judge decides on a share.
func (c *connection) judge(sub submission) (v verdict, f *fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return v, &fault{codeNotSubscribed, "not subscribed", stratuminfo.Unauthorized}
	}
	if v.worker = c.names[sub.name]; v.worker == nil {
		return v, refuse(stratuminfo.Unauthorized, "unauthorized worker: call mining.authorize first")
	}
	g := c.session.find(sub.job)
	if g == nil && !c.session.had(sub.job) {
		return v, refuse(stratuminfo.Stale, notGiven)
	}
	var j *job
	if g != nil {
		j = c.server.jobs.find(g.number)
	}
	switch {
	case j == nil:
		return v, refuse(stratuminfo.Stale, "stale share: the job is gone")
	case sub.ntime < j.template.MinTime || int64(sub.ntime) > c.server.latest(j):
		return v, refuse(stratuminfo.Malformed, "ntime out of range")
	case sub.bits&^c.session.mask != 0:
		return v, refuse(stratuminfo.Malformed, "version bits outside of the mask")
	}
	f = c.judgeHash(&v, g, j, sub)
	return v, f
}

// latest is the latest time that a share of a job may have: as late as a block's, or that
// of the job itself, if the rules leave it none that is early enough.
func (s *Server) latest(j *job) int64 {
	return max(s.o.Now().Unix()+consensus.MaxFutureSeconds, int64(j.header.Timestamp))
}

// judgeHash decides on a share of which all but the hash is good. It assumes mu.
func (c *connection) judgeHash(v *verdict, g *givenJob, j *job, sub submission) *fault {
	payout := j.paying(c.script)
	n := nonces{number: g.number, revision: g.revision, one: c.session.one, two: sub.two}
	version := uint32(j.header.Version)
	if sub.rolled {
		version = version&^c.session.mask | sub.bits
	}
	header := payout.headerOf(n, int32(version), sub.ntime, sub.nonce)
	hash := header.Hash()
	value := consensus.Uint256FromHash(hash)
	if value.Cmp(g.target) > 0 {
		return refuse(stratuminfo.Low, "low difficulty share")
	}
	key := binary.LittleEndian.Uint64(hash[:])
	if _, seen := g.shares[key]; seen {
		return refuse(stratuminfo.Duplicate, "duplicate share")
	}
	if !c.session.remember(g, key) {
		return refuse(stratuminfo.Malformed, "too many shares of one job")
	}
	v.difficulty, v.worth = g.difficulty, difficultyOf(value)
	if value.Cmp(j.target) <= 0 {
		v.block = &foundBlock{payout: payout, nonces: n, header: header, worker: v.worker}
	}
	now := c.server.o.Clock()
	c.session.vardiff.share(g.difficulty, now)
	c.session.vardiff.adjust(c.session.told, now)
	return nil
}
