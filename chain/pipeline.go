package chain

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// Signatures are not checked where they are met. Scripts run on all cores under
// the assumption that every signature is good. BIP342 allows that: a signature that
// is not empty must be good or the script fails, so no script takes another way
// because of a bad one. The claims that scripts make are checked thousands at a
// time, across transactions and blocks, because a claim costs less the more are
// checked with it. A block counts only when every batch that holds a claim of it
// has passed.
const (
	// batchClaims is the number of claims at which a batch is checked. With more, a
	// claim costs little less, but more blocks wait for their verdicts.
	batchClaims = 4096
	// jobInputs is about how many inputs one job for a worker has: enough that
	// handing it over costs nothing beside it, few enough that all workers have some
	// of a large block.
	jobInputs = 128
	// maxUnsettledBytes bounds the encodings of blocks that are connected but
	// whose scripts are not all checked: a few full blocks, or many small ones.
	maxUnsettledBytes = 16 << 20
)

// connecting is a block whose update is applied to the coin cache and whose
// scripts may not all be checked yet.
type connecting struct {
	node     *blockNode
	block    *consensus.HashedBlock
	prevouts []types.TxOut // what its inputs spend, in their order
	update   consensus.Update
	announce bool // report success, not only failure

	// pending counts the jobs and batches that hold the block. At 0 its verdict is
	// there.
	pending atomic.Int32
	// doubtful is set when a script failed, or a batch with a claim of this block.
	// A batch does not tell whose claim was false, so the block is then checked
	// again, alone and exactly.
	doubtful atomic.Bool
}

// job is a range of a block's transactions.
type job struct {
	block         *connecting
	first, endTxs int
}

// pipeline checks scripts while the chain goes on and connects further blocks. Its
// workers run between start and drain. Its fields belong to the goroutine that
// holds the chain's turn; workers share with it only what they receive.
type pipeline struct {
	jobs      chan job // nil while stopped
	workers   sync.WaitGroup
	batches   []*secp.Batch // one a worker, kept for its memory
	unsettled []*connecting // in the order of the chain
	verified  func(wtxid types.Hash) bool
	effort    *effort
	bytes     int // of the unsettled blocks' encodings
}

func (p *pipeline) start(workers int) {
	if p.jobs != nil {
		return
	}
	for len(p.batches) < workers {
		p.batches = append(p.batches, &secp.Batch{})
	}
	jobs := make(chan job, 4*workers)
	p.jobs = jobs
	for _, batch := range p.batches[:workers] {
		p.workers.Go(func() { work(jobs, batch, p.verified, p.effort) })
	}
}

// push hands the block's scripts to the workers. It waits while they have more than
// enough to do.
func (p *pipeline) push(c *connecting, checkScripts bool) {
	p.unsettled = append(p.unsettled, c)
	p.bytes += len(c.block.Raw)
	if !checkScripts {
		return
	}
	c.pending.Add(1) // until all jobs are made: a quick worker must not end at 0 before
	first, inputs := 1, 0
	for i := 1; i < len(c.block.Block.Txs); i++ {
		inputs += len(c.block.Block.Txs[i].Inputs)
		if inputs >= jobInputs || i == len(c.block.Block.Txs)-1 {
			c.pending.Add(1)
			p.jobs <- job{block: c, first: first, endTxs: i + 1}
			first, inputs = i+1, 0
		}
	}
	c.pending.Add(-1)
}

// drain waits until every block that was pushed has its verdict, and ends the
// workers. Only at the end does a worker check a batch that is not full, so there is
// no other way to get the verdicts of the last blocks.
func (p *pipeline) drain() {
	if p.jobs == nil {
		return
	}
	close(p.jobs)
	p.workers.Wait()
	p.jobs = nil
}

// settled takes the first unsettled block if its verdict is there. Verdicts come in
// any order, but count from below: a block is not valid before its parent.
func (p *pipeline) settled() *connecting {
	if len(p.unsettled) == 0 || p.unsettled[0].pending.Load() > 0 {
		return nil
	}
	c := p.unsettled[0]
	p.unsettled[0] = nil
	p.unsettled = p.unsettled[1:]
	p.bytes -= len(c.block.Raw)
	return c
}

// full reports that no more blocks should be pushed before some are settled.
func (p *pipeline) full() bool { return p.bytes > maxUnsettledBytes }

// work runs scripts until there are no more jobs. Claims gather in the batch, and in
// held the blocks that they came from, each of which waits for the batch.
func work(jobs <-chan job, batch *secp.Batch, verified func(types.Hash) bool, effort *effort) {
	var held []*connecting
	check := func() {
		if batch.Len() == 0 && len(held) == 0 {
			return
		}
		began, claims := time.Now(), batch.Len()
		ok := batch.Verify()
		since(&effort.checking, began)
		effort.checked(claims, ok)
		for i, c := range held {
			if !ok {
				c.doubtful.Store(true)
			}
			c.pending.Add(-1)
			held[i] = nil
		}
		held = held[:0]
		batch.Reset()
	}
	for j := range jobs {
		if len(held) == 0 || held[len(held)-1] != j.block {
			held = append(held, j.block)
			j.block.pending.Add(1)
		}
		began := time.Now()
		if err := consensus.CheckScripts(j.block.block, j.block.prevouts, j.first, j.endTxs, batch, verified); err != nil {
			j.block.doubtful.Store(true)
		}
		since(&effort.scripts, began)
		j.block.pending.Add(-1)
		if batch.Len() >= batchClaims {
			check()
		}
	}
	check()
}

// recheck gives the exact verdict on a doubtful block, alone. The error names the first
// input at fault.
func (c *connecting) recheck() error { return consensus.JudgeScripts(c.block, c.prevouts) }
