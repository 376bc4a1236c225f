package stratum

import (
	"slices"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
)

// The bounds of what a session remembers.
const (
	maxGiven  = 16   // jobs that it was told of and may have shares of
	maxShares = 4096 // of all of them, by which duplicates are known
)

// session is what a miner gets back when it resumes. It belongs to one connection, whose
// lock guards it, or to the table of those that wait for one.
type session struct {
	id       string
	one      [extraNonce1Size]byte // no two sessions have the same
	vardiff  vardiff
	told     float64 // the difficulty that the miner was told last; 0: none
	given    []*givenJob
	kept     int    // shares of them
	number   uint32 // of the job that it was told of last, and its revision
	revision uint16
	mask     uint32 // bits of the version that the miner may choose
	last     targetOfOne
}

// targetOfOne is a difficulty and its target, which takes as long to find out as all else
// that a job costs a miner.
type targetOfOne struct {
	difficulty float64
	target     consensus.Uint256
}

// of returns the target of a difficulty.
func (o *targetOfOne) of(difficulty float64) consensus.Uint256 {
	if o.difficulty != difficulty {
		*o = targetOfOne{difficulty, targetOf(difficulty)}
	}
	return o.target
}

// givenJob is a job that the miner was told of. It has the job's number and not the job
// itself, so that a session that nobody resumes does not keep a block in memory.
type givenJob struct {
	id         string
	number     uint32
	revision   uint16
	difficulty float64
	target     consensus.Uint256
	shares     map[uint64]struct{} // by the start of their hashes
}

// aim is the difficulty that the miner should have for a job: never more than the
// network's, so that every block is a share.
func (s *session) aim(j *job) float64 {
	if s.vardiff.difficulty >= j.limit {
		return j.limit
	}
	return round(s.vardiff.difficulty)
}

// give notes that the miner is told of a job, and returns its revision.
func (s *session) give(j *job, difficulty float64) uint16 {
	revision := uint16(0)
	if s.number == j.number {
		revision = s.revision + 1
	}
	s.number, s.revision = j.number, revision
	g := &givenJob{id: jobID(j.number, revision), number: j.number, revision: revision, difficulty: difficulty, target: j.target}
	if difficulty < j.limit {
		g.target = s.last.of(difficulty)
	}
	if j.clean && revision == 0 {
		s.given, s.kept = nil, 0
	}
	s.given = append(s.given, g)
	if len(s.given) > maxGiven {
		s.forget()
	}
	return revision
}

// forget takes no more shares of the oldest job.
func (s *session) forget() {
	s.kept -= len(s.given[0].shares)
	s.given = slices.Delete(s.given, 0, 1)
}

// remember notes a share of a job that was given. It reports whether there is room, for
// which older jobs are given up: shares may cost nothing, and a session outlives its
// connection.
func (s *session) remember(g *givenJob, share uint64) bool {
	for s.kept >= maxShares && s.given[0] != g {
		s.forget()
	}
	if s.kept >= maxShares {
		return false
	}
	if g.shares == nil {
		g.shares = map[uint64]struct{}{}
	}
	g.shares[share] = struct{}{}
	s.kept++
	return true
}

// ease lowers the difficulty of the jobs that were given before. Some miners work by a
// new difficulty at once, which makes good shares of old jobs look too easy.
func (s *session) ease(difficulty float64) {
	for _, g := range s.given {
		if difficulty < g.difficulty {
			g.difficulty, g.target = difficulty, s.last.of(difficulty)
		}
	}
}

// find returns a job that the miner was told of; nil: it was not, or that is long ago.
func (s *session) find(id string) *givenJob {
	for _, g := range s.given {
		if g.id == id {
			return g
		}
	}
	return nil
}

// had reports whether a job's name is one that the miner may have been told of once.
func (s *session) had(id string) bool {
	number, err := strconv.ParseUint(id, 16, 48)
	return err == nil && uint32(number>>16) <= s.number
}
