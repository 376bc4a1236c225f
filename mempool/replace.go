package mempool

import (
	"cmp"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// replacement works out the change that puts entries in, and those that they conflict
// with out, together with their descendants. It refuses the entries unless that makes
// the pool better, as a miner would see it. Without conflicts it is just the change
// that adds the entries.
func (g *graph) replacement(entries []*pending.Entry, conflicts []*txNode, increment types.FeeRate) (*change, error) {
	removed, err := g.replaced(entries, conflicts, increment)
	if err != nil {
		return nil, err
	}
	add := make([]*txNode, len(entries))
	for i, e := range entries {
		add[i] = g.newNode(e)
	}
	c, ok := g.prepare(removed, add)
	if !ok {
		return nil, policy(ReasonClusterTooLarge, "more than %d transactions or %d virtual bytes would be connected", g.maxCount, g.maxVSize)
	}
	if len(removed) > 0 && !improves(chunksOf(c.before), chunksOf(c.after)) {
		return nil, policy(ReasonNotImproved, "insufficient feerate: does not improve feerate diagram")
	}
	return c, nil
}

// replaced returns what entries would replace: their conflicts and the descendants of
// those. It refuses entries that touch too much, pay too little, or spend what they would
// replace, which no block can hold.
func (g *graph) replaced(entries []*pending.Entry, conflicts []*txNode, increment types.FeeRate) ([]*txNode, error) {
	if len(conflicts) == 0 {
		return nil, nil
	}
	clusters := map[*cluster]bool{}
	for _, n := range conflicts {
		clusters[n.cluster] = true
	}
	if len(clusters) > MaxReplacedClusters {
		return nil, policy(ReasonTooManyReplaced, "it touches %d clusters, more than %d", len(clusters), MaxReplacedClusters)
	}
	removed := withDescendants(conflicts)
	leaving := make(map[*txNode]bool, len(removed))
	var old, own pending.Total
	for _, n := range removed {
		leaving[n] = true
		n.addTo(&old)
	}
	for _, e := range entries {
		g.newNode(e).addTo(&own)
	}
	// BIP125's rules 3 and 4: it pays as much as all that it replaces, and for its own
	// relay besides. Otherwise anybody could make the network relay one payment for
	// ever, by versions that each pay a little better.
	if own.Fees < old.Fees {
		return nil, policy(ReasonInsufficientFee, "%d grains are less than the %d of what it replaces", own.Fees, old.Fees)
	}
	if more := increment.Fee(own.VSize); own.Fees-old.Fees < more {
		return nil, policy(ReasonInsufficientFee, "it must pay %d grains more than the %d of what it replaces", more, old.Fees)
	}
	// What spends a conflict leaves with it, so the entry's own parent would be gone.
	for _, e := range entries {
		for _, parent := range g.parents(e.Tx) {
			if leaving[parent] {
				return nil, refuse(consensus.ErrInvalid, ReasonSpendsConflict, "it spends %s, and what that comes from", parent.TxID)
			}
		}
	}
	return removed, nil
}

// improves reports whether the chunks after are better than those before whatever the
// room for them is, and strictly so for some room. That is a matter of feerate
// diagrams: fees over weight, with the best chunks first. The new curve must lie
// nowhere below the old one, and somewhere above it. Both curves are straight between
// their corners, so that it is enough to hold the corners of each against the other.
func improves(before, after []chunk) bool {
	oldCurve, newCurve := diagram(before), diagram(after)
	below, above := sides(oldCurve, newCurve)
	if below {
		return false
	}
	oldBelow, oldAbove := sides(newCurve, oldCurve)
	return !oldAbove && (above || oldBelow)
}

// diagram returns the corners of the curve but for the origin: chunks sorted and
// summed up.
func diagram(chunks []chunk) []chunk {
	curve := slices.Clone(chunks)
	slices.SortFunc(curve, func(a, b chunk) int { return b.compare(&a) })
	for i := 1; i < len(curve); i++ {
		curve[i].fee += curve[i-1].fee
		curve[i].weight += curve[i-1].weight
	}
	return curve
}

// sides tells whether any of the points lies below a curve, and whether any lies
// above it. The points are corners of a curve themselves, and so in the order of
// their weights. Each is looked for from where the one before it was: there may be
// thousands, and the pool is locked meanwhile.
func sides(curve, points []chunk) (below, above bool) {
	from := 0
	for _, p := range points {
		for from < len(curve) && curve[from].weight < p.weight {
			from++
		}
		switch d := side(curve, from, p); {
		case d < 0:
			below = true
		case d > 0:
			above = true
		}
	}
	return below, above
}

// side tells whether the point lies below (-1), on (0) or above (1) the curve,
// which goes on flat behind its end. at is the first corner that is not left of the
// point.
func side(curve []chunk, at int, p chunk) int {
	var from chunk
	if at > 0 {
		from = curve[at-1]
	}
	if at == len(curve) {
		return cmp.Compare(p.fee, from.fee)
	}
	to := curve[at]
	return compareRates(p.fee-from.fee, p.weight-from.weight, to.fee-from.fee, to.weight-from.weight)
}
