package sim

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Report is what came out of a simulation.
type Report struct {
	Options    Options
	Connected  time.Duration // until all had their connections, or nobody waited any longer
	Short      int           // nodes that had fewer by then
	Blocks     Spread        // from the birth of a block until a node has it as part of its best chain
	Payments   Spread        // from the birth of a payment until it is in a node's pool
	Degree     float64       // connections of an honest node, on average
	Captured   float64       // share of the honest nodes' own calls that are to attackers
	MostHeld   int           // connections to attackers of the node that has most, of its own calls
	Mined      int
	Height     int // of the best chain in the end
	BlockBytes int // of the last block
	Restarts   int
	Partitions int
	// Reorganisations are how often a node left a branch for another.
	Reorganisations int

	Upkeep, Relay, Chain Phase
	dots                 []dot
	links                [][2]place // who called whom
}

// Phase is what honest nodes sent while something went on.
type Phase struct {
	For   time.Duration
	Bytes float64 // of an honest node, on average: records of the encryption, and handshakes
	Kinds []Kind  // of these, the bytes of messages, the most first
	// Things is how many payments or blocks there were.
	Things int
}

// each returns the bytes of some types of messages for each of the things.
func (p Phase) each(names ...string) (bytes float64) {
	for _, k := range p.Kinds {
		if slices.Contains(names, k.Name) {
			bytes += k.Bytes / float64(max(p.Things, 1))
		}
	}
	return bytes
}

// Kind is what a node sent of one type of message, on average. What went over
// connections that have ended since is left out.
type Kind struct {
	Name  string
	Bytes float64
}

// Spread is how long things took to reach nodes.
type Spread struct {
	Took   []time.Duration // ascending
	Missed int             // nodes that were there and did not get it
}

// At returns the time in which so many percent had it. Those who never got it count as
// those whom it took longest; if the percentage needs them, the time is the greatest.
func (s Spread) At(percent float64) time.Duration {
	i := int(math.Ceil(percent/100*float64(len(s.Took)+s.Missed))) - 1
	if i >= len(s.Took) {
		return math.MaxInt64
	}
	return s.Took[max(i, 0)]
}

// add takes what became of a birth.
func (s *Spread) add(b *birth) {
	s.Took = append(s.Took, b.took...)
	for n := range b.due {
		// Who restarted since, or got a payment in a block, is not asked.
		if n.up() && n.since.Before(b.at) && (b.block || !n.pool.has(b.txid)) {
			s.Missed++
		}
	}
}

// Stale is the share of the blocks that are not part of the best chain.
func (r *Report) Stale() float64 { return 1 - float64(r.Height)/float64(max(r.Mined, 1)) }

// dot is a node on the map.
type dot struct {
	place
	evil bool
	took time.Duration // of the last block
}

// meter notes what was sent since the last time it was called.
func (w *world) meter(p *Phase) {
	var sent uint64
	for _, n := range w.honest {
		sent += w.net.Sent(n.addr)
	}
	now := time.Now()
	p.Bytes = float64(sent-w.sent) / float64(len(w.honest))
	p.For = now.Sub(w.metered)
	w.sent, w.metered = sent, now
	p.Kinds = w.meterKinds()
}

// meterKinds returns what was sent by type of message since the last time.
func (w *world) meterKinds() (kinds []Kind) {
	total := map[string]uint64{}
	seen := map[types.Hash]map[string]uint64{}
	for _, n := range w.honest {
		for _, p := range n.peers() {
			key := p.Session
			key[0] ^= byte(n.number) // both ends may be ours
			key[1] ^= byte(n.number >> 8)
			seen[key] = p.SentByType
			for name, sent := range p.SentByType {
				total[name] += sent - w.kinds[key][name]
			}
		}
	}
	w.kinds = seen
	for name, sent := range total {
		if sent > 0 {
			kinds = append(kinds, Kind{name, float64(sent) / float64(len(w.honest))})
		}
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name)) })
	return kinds
}

// finish computes the report.
func (w *world) finish() {
	r := w.report
	best := map[types.Hash]bool{} // a block that goes stale reaches few
	for b := w.pick(func(*node) bool { return true }).chain.top(); b != nil; b = b.parent {
		best[b.hash] = true
	}
	w.mu.Lock()
	for _, b := range w.order {
		if !b.block {
			r.Payments.add(b)
		} else if best[b.hash] {
			r.Blocks.add(b)
		}
	}
	w.mu.Unlock()
	slices.Sort(r.Blocks.Took)
	slices.Sort(r.Payments.Took)
	calls, captured := 0, 0
	for _, n := range w.honest {
		out, held, all := w.countPeers(n)
		calls += out
		captured += held
		r.MostHeld = max(r.MostHeld, held)
		r.Degree += float64(all) / float64(len(w.honest))
		r.Height = max(r.Height, int(n.chain.top().height()))
	}
	r.Captured = float64(captured) / float64(max(calls, 1))
	w.draw()
}

// draw notes what the map shows.
func (w *world) draw() {
	at := map[string]place{}
	for _, p := range w.places {
		at[p.at().String()] = p
	}
	for _, n := range w.honest {
		w.report.dots = append(w.report.dots, dot{place: n.place, took: n.took})
		for _, address := range w.called(n) {
			w.report.links = append(w.report.links, [2]place{n.place, at[address]})
		}
	}
	for _, a := range w.evil {
		w.report.dots = append(w.report.dots, dot{place: a.place, evil: true})
	}
}

// Save writes the report and its drawings into a folder.
func (r *Report) Save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"report.txt": text.Bytes(), "propagation.svg": r.propagation(), "map.svg": r.drawMap(),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	o := r.Options
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("%d nodes, %.0f%% of them hostile, seed %d; %d calls each, %.1f connections", o.Nodes, 100*o.Hostile, o.Seed, o.Outbound, r.Degree)
	p("one way %s to %s, %.1f%% of packets lost, %.1f MB/s up, %s to look at a block", o.Nearest, o.Farthest, 100*o.Loss, float64(o.Up)/1e6, o.Verify)
	for _, s := range []struct {
		name string
		Spread
	}{{"blocks", r.Blocks}, {"payments", r.Payments}} {
		if len(s.Took) == 0 {
			continue
		}
		line := fmt.Sprintf("%-9s", s.name)
		for _, percent := range []float64{50, 90, 95, 99, 100} {
			line += fmt.Sprintf("  %g%% %s", percent, show(s.At(percent)))
		}
		p("%s  (%d times, %d missed)", line, len(s.Took), s.Missed)
	}
	p("connections made in %s, %d nodes have fewer than they look for", r.Connected.Round(time.Second), r.Short)
	p("outbound captured: %.1f%%, %d of %d at the worst node", 100*r.Captured, r.MostHeld, o.Outbound)
	p("mined %d blocks of %d bytes, height %d, stale %.1f%%, %d reorganisations, %d restarts, %d partitions",
		r.Mined, r.BlockBytes, r.Height, 100*r.Stale(), r.Reorganisations, r.Restarts, r.Partitions)
	for _, phase := range []struct {
		name string
		Phase
	}{{"beginning", r.Upkeep}, {"payments", r.Relay}, {"blocks", r.Chain}} {
		p("sent by a node, %-9s %9.0f bytes in %s", phase.name, phase.Bytes, phase.For.Round(time.Second))
		for _, k := range phase.Kinds[:min(len(phase.Kinds), 5)] {
			p("    %-12s %9.0f", k.Name, k.Bytes)
		}
	}
	r.compare(p)
	_, err := b.WriteTo(out)
	return err
}

// The lengths of Bitcoin's messages, in bytes: a message's header, an entry of an inv or
// a getdata, and an announcement by headers, of one each (developer reference; BIP130).
const (
	bitcoinHeader   = 24
	bitcoinItem     = 36
	bitcoinAnnounce = bitcoinHeader + 1 + 81
	// compactBase is a compact block but for its short ids (BIP152): header, nonce,
	// their count, and a coinbase that is prefilled.
	compactBase = bitcoinHeader + 88 + 3 + 2 + 250
	shortID     = 6
	fastPeers   = 3 // that each node asks to send compact blocks unasked, at most
	paymentSize = 205
)

// compare sets what was measured beside what Bitcoin's protocol would send, computed for
// nodes with as many connections. Sent by a node, on average over all, is what is
// received.
func (r *Report) compare(p func(format string, args ...any)) {
	d := r.Degree
	whole := float64(r.BlockBytes+bitcoinHeader) + (d-1)*(bitcoinHeader+1+bitcoinItem) + bitcoinHeader + 1 + bitcoinItem
	compact := fastPeers*(compactBase+shortID*float64(r.Options.Txs)) + max(d-fastPeers, 0)*bitcoinAnnounce
	p("for a block a node sends %.0f bytes (%.0f of them compact blocks); computed for Bitcoin: %.0f by BIP152 in high-bandwidth mode, %.0f with whole blocks",
		r.Chain.each("compactblock", "headers", "block", "getblocks", "getblocktxs", "blocktxs"), r.Chain.each("compactblock"), compact, whole)
	if r.Relay.Things > 0 {
		least := d/2*bitcoinItem + bitcoinItem + bitcoinHeader + paymentSize
		p("for a payment it sends %.0f bytes; computed for Bitcoin: %.0f to %.0f by flooding inventories",
			r.Relay.each("inv", "gettxs", "tx"), least, least+(d/2-1)*bitcoinItem)
	}
}

func show(d time.Duration) string {
	if d == math.MaxInt64 {
		return "never"
	}
	return d.Round(time.Millisecond).String()
}
