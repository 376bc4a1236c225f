package stratum

import (
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/miner/stratuminfo"
)

// The bounds of what is remembered of workers. One that nobody uses is forgotten after
// the hour of which its rate tells.
const (
	maxWorkers   = 8192
	keepWorker   = time.Hour
	maxNames     = 64  // of one connection
	maxNameSize  = 160 // bytes
	maxAgentSize = 64

	otherWorkers = "(others)" // no miner's name has this: it would be refused, or be the node's own
)

// worker is a name under which shares are handed in, and all that is counted of it.
type worker struct {
	name, address string

	mu sync.Mutex
	// Guarded by mu:
	connections int
	from, agent string
	difficulty  float64
	meter       meter
	shares      stratuminfo.Shares
	seen        time.Time // when a connection that used it ended
}

// accepted counts a good share: its job's difficulty, and what its hash was worth.
func (w *worker) accepted(difficulty, worth float64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meter.add(difficulty, now)
	count(&w.shares, difficulty, worth, now)
}

func count(s *stratuminfo.Shares, difficulty, worth float64, now time.Time) {
	s.Accepted++
	s.Work += difficulty
	s.Best = max(s.Best, worth)
	s.Last = now
}

// rejected counts a bad one.
func (w *worker) rejected(reason stratuminfo.Reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shares.Rejected[reason]++
}

// found counts a block.
func (w *worker) found() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shares.Blocks++
}

// is notes what the miner's program calls itself.
func (w *worker) is(agent string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agent = agent
}

// set notes the difficulty that the worker has, by which it may begin again one day.
func (w *worker) set(difficulty float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.difficulty = difficulty
}

func (w *worker) info(now time.Time) stratuminfo.Worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	return stratuminfo.Worker{
		Name: w.name, Address: w.address, Connections: w.connections, From: w.from, Agent: w.agent,
		Difficulty: w.difficulty, Rates: w.meter.rates(now), Shares: w.shares,
	}
}

// workers are all that are known, by name.
type workers struct {
	mu sync.Mutex
	// Guarded by mu:
	byName map[string]*worker
	full   bool // hardly anybody has left lately: it is not worth looking again
}

// enter notes that a connection uses a name, and returns its worker and the difficulty
// that it had lately, 0 if it had none. When there are too many, those that come last
// are counted as one.
func (ws *workers) enter(name, address, from, agent string) (w *worker, difficulty float64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w = ws.byName[name]
	if w == nil && len(ws.byName) >= maxWorkers && (ws.full || !ws.forget()) {
		name, address = otherWorkers, ""
		w = ws.byName[name]
	}
	if w == nil {
		w = &worker{name: name, address: address}
		ws.byName[name] = w
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connections++
	w.from, w.agent = from, agent
	return w, w.difficulty
}

// few is how many unused workers are so few that all are forgotten at once, and that none
// are looked for again for a while: to look takes as long as a thousand names do.
const few = 32

// forget forgets half of the workers that nobody uses, those first that were not used for
// longest. It assumes mu, and reports whether there were any.
func (ws *workers) forget() bool {
	type idle struct {
		name string
		seen time.Time
	}
	var list []idle
	for name, w := range ws.byName {
		if unused, seen := w.idle(); unused {
			list = append(list, idle{name, seen})
		}
	}
	slices.SortFunc(list, func(a, b idle) int { return a.seen.Compare(b.seen) })
	ws.full = len(list) < few
	if !ws.full {
		list = list[:len(list)/2]
	}
	for _, i := range list {
		delete(ws.byName, i.name)
	}
	return len(list) > 0
}

func (w *worker) idle() (bool, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connections == 0, w.seen
}

// leave notes that a connection does not use a worker any more.
func (ws *workers) leave(w *worker, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connections--
	w.seen = now
}

// expire forgets those that were not used for an hour.
func (ws *workers) expire(now time.Time) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.full = false
	for name, w := range ws.byName {
		if idle, seen := w.idle(); idle && now.Sub(seen) > keepWorker {
			delete(ws.byName, name)
		}
	}
}

func (ws *workers) all() []*worker {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	all := make([]*worker, 0, len(ws.byName))
	for _, w := range ws.byName {
		all = append(all, w)
	}
	return all
}
