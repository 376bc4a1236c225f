package stratum

import (
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

// maxJobs is how many jobs of a tip are remembered. With a new one every 30 seconds
// shares are taken for five minutes, which no miner needs.
const maxJobs = 10

// jobs are those whose shares are taken: of one tip, the newest last.
type jobs struct {
	tag string

	mu sync.Mutex
	// Guarded by mu:
	live []*job
	last uint32 // number of the newest that ever was
}

// add makes a job of a template. now is the time of the network, made that of the
// machine.
func (js *jobs) add(t *template.Template, now, made time.Time) *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	clean := len(js.live) == 0 || js.live[0].template.Header.PrevBlock != t.Header.PrevBlock
	js.last++
	j := newJob(js.last, t, clean, js.tag, now, made)
	if clean {
		js.live = nil
	}
	js.live = append(js.live, j)
	if len(js.live) > maxJobs {
		js.live = slices.Delete(js.live, 0, 1)
	}
	return j
}

// drop forgets all jobs: there is a new tip.
func (js *jobs) drop() {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.live = nil
}

// dropOn forgets the jobs on a tip: the block that will be the next one was found. If
// another block came first, there are jobs on that already, and they stay.
func (js *jobs) dropOn(tip types.Hash) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if len(js.live) > 0 && js.live[0].template.Header.PrevBlock == tip {
		js.live = nil
	}
}

// current is the newest job; nil: there is none.
func (js *jobs) current() *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	if len(js.live) == 0 {
		return nil
	}
	return js.live[len(js.live)-1]
}

// find returns a job whose shares are taken; nil: they are not.
func (js *jobs) find(number uint32) *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	for _, j := range js.live {
		if j.number == number {
			return j
		}
	}
	return nil
}
