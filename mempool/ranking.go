package mempool

import (
	"bytes"
	"iter"
	"slices"
	"sort"

	"github.com/karatcoin/karat/chain/types"
)

// ranked is a chunk's place in the ranking. Fee and weight are copies: they save most
// comparisons the way to the cluster.
type ranked struct {
	cluster *cluster
	fee     types.Amount
	weight  int32
	index   int32 // among the cluster's chunks
}

func (r *ranked) feeRate() types.FeeRate { return types.NewFeeRate(r.fee, vsizeOf(int(r.weight))) }

func (r *ranked) nodes() []*txNode {
	c := &r.cluster.chunks[r.index]
	return r.cluster.nodes[c.first:c.end]
}

// compare tells which chunk comes first (-1) in the ranking: the better feerate, of
// equals the lesser id, and chunks of one cluster always in their order.
func (r *ranked) compare(s *ranked) int {
	if d := compareRates(s.fee, int(s.weight), r.fee, int(r.weight)); d != 0 {
		return d
	}
	if r.cluster == s.cluster {
		return int(r.index - s.index)
	}
	a, b := r.cluster.tie(int(r.index)), s.cluster.tie(int(s.index))
	return bytes.Compare(a[:], b[:])
}

// rankedOf returns a cluster's chunks as they stand in a ranking, in their order.
func rankedOf(c *cluster) iter.Seq[ranked] {
	return func(yield func(ranked) bool) {
		for i := range c.chunks {
			if !yield(ranked{c, c.chunks[i].fee, int32(c.chunks[i].weight), int32(i)}) {
				return
			}
		}
	}
}

// maxPage is the number of chunks in a page, at which it is split. A change moves half
// a page on average, and copies one if a snapshot has it.
const maxPage = 256

// page is a part of a ranking. It is never changed once a snapshot has it.
type page struct {
	epoch  uint64
	chunks []ranked
}

// ranking is all chunks of a graph, the best one first: what the next block would take
// is its one end, and what goes first when memory is short the other.
//
// It is a list of short lists, which are copied before they are changed if somebody may
// be reading them. So a snapshot costs nothing but some copies later, and a change costs
// the same however long the ranking is.
type ranking struct {
	pages  []*page // none of which is empty
	epoch  uint64  // pages of an earlier one belong to a snapshot too
	shared bool    // the list of pages belongs to a snapshot too
}

// snapshot returns the ranking as it is now. It will not change.
func (r *ranking) snapshot() rankingSnapshot {
	r.epoch++
	r.shared = true
	return r.pages
}

// find returns where a chunk is, or where it belongs.
func (r *ranking) find(c *ranked) (page, at int) {
	page = max(0, sort.Search(len(r.pages), func(i int) bool { return c.compare(&r.pages[i].chunks[0]) < 0 })-1)
	if page < len(r.pages) {
		chunks := r.pages[page].chunks
		at = sort.Search(len(chunks), func(i int) bool { return c.compare(&chunks[i]) <= 0 })
	}
	return page, at
}

// writable returns a page that may be changed.
func (r *ranking) writable(i int) *page {
	r.unshare()
	if r.pages[i].epoch != r.epoch {
		own := &page{r.epoch, make([]ranked, len(r.pages[i].chunks), maxPage)}
		copy(own.chunks, r.pages[i].chunks)
		r.pages[i] = own
	}
	return r.pages[i]
}

func (r *ranking) unshare() {
	if r.shared {
		r.pages, r.shared = slices.Clone(r.pages), false
	}
}

func (r *ranking) insert(c ranked) {
	if len(r.pages) == 0 {
		r.unshare()
		r.pages = append(r.pages, &page{r.epoch, append(make([]ranked, 0, maxPage), c)})
		return
	}
	i, at := r.find(&c)
	p := r.writable(i)
	if len(p.chunks) == maxPage {
		upper := append(make([]ranked, 0, maxPage), p.chunks[maxPage/2:]...)
		clear(p.chunks[maxPage/2:])
		p.chunks = p.chunks[:maxPage/2]
		r.pages = slices.Insert(r.pages, i+1, &page{r.epoch, upper})
		if at > maxPage/2 {
			p, at = r.pages[i+1], at-maxPage/2
		}
	}
	p.chunks = slices.Insert(p.chunks, at, c)
}

// remove removes a chunk that is there.
func (r *ranking) remove(c ranked) {
	i, at := r.find(&c)
	p := r.writable(i)
	p.chunks = slices.Delete(p.chunks, at, at+1)
	if len(p.chunks) > maxPage/4 {
		return
	}
	// A page with little in it joins the next one, or the last one the one before it.
	first := max(0, min(i, len(r.pages)-2))
	switch {
	case len(r.pages) == 1:
		if len(p.chunks) == 0 {
			r.pages = nil
		}
	case len(r.pages[first].chunks)+len(r.pages[first+1].chunks) <= maxPage*3/4:
		p = r.writable(first)
		p.chunks = append(p.chunks, r.pages[first+1].chunks...)
		r.pages = slices.Delete(r.pages, first+1, first+2)
	case len(p.chunks) == 0:
		r.pages = slices.Delete(r.pages, i, i+1)
	}
}

// worst returns the last chunk, of which there must be one.
func (r *ranking) worst() *ranked {
	last := r.pages[len(r.pages)-1]
	return &last.chunks[len(last.chunks)-1]
}

// worstFirst goes through the chunks from the end.
func (r *ranking) worstFirst() iter.Seq[*ranked] {
	return func(yield func(*ranked) bool) {
		for _, p := range slices.Backward(r.pages) {
			for i := range slices.Backward(p.chunks) {
				if !yield(&p.chunks[i]) {
					return
				}
			}
		}
	}
}

// rankingSnapshot is a ranking that does not change. It can be read without a lock.
type rankingSnapshot []*page

// bestFirst goes through the chunks from the beginning.
func (s rankingSnapshot) bestFirst() iter.Seq[*ranked] {
	return func(yield func(*ranked) bool) {
		for _, p := range s {
			for i := range p.chunks {
				if !yield(&p.chunks[i]) {
					return
				}
			}
		}
	}
}
