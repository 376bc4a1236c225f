package mempool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// replacement works out the change that puts a group in, and those that it conflicts
// with out, together with their descendants. It refuses the group unless that makes the
// pool better, as a miner would see it. Without conflicts it is just the change that adds
// the group.
func (g *graph) replacement(group *group, conflicts []*txNode, increment types.FeeRate) (*change, error) {
	removed, err := g.replaced(group, conflicts, increment)
	if err != nil {
		return nil, err
	}
	add := make([]*txNode, len(group.candidates))
	for i, c := range group.candidates {
		add[i] = g.newNode(c.Entry)
	}
	c, ok := g.prepare(removed, add)
	if !ok {
		return nil, policy(ReasonClusterTooLarge, "")
	}
	if len(removed) == 0 || improves(chunksOf(c.before), chunksOf(c.after)) {
		return c, nil
	}
	if group.isFamily() {
		return nil, policy(ReasonPackageNotImproved, "")
	}
	return nil, policy(pending.ReasonNotImproved, "insufficient feerate: does not improve feerate diagram")
}

// replaced returns what a group would replace: its conflicts and the descendants of
// those. It refuses a group that touches too much, pays too little, or spends what it
// would replace, which no block can hold.
func (g *graph) replaced(group *group, conflicts []*txNode, increment types.FeeRate) ([]*txNode, error) {
	if len(conflicts) == 0 {
		return nil, nil
	}
	if group.isFamily() {
		if err := checkFamilyReplaces(group); err != nil {
			return nil, err
		}
	}
	clusters := map[*cluster]bool{}
	for _, n := range conflicts {
		clusters[n.cluster] = true
	}
	payer := group.candidates[group.last()] // who is named as the one that replaces
	if len(clusters) > MaxReplacedClusters {
		return nil, policy(group.reason(ReasonTooManyReplaced, ReasonTooManySiblingReplaced, ReasonPackageTooManyReplaced),
			"rejecting replacement %s; too many conflicting clusters (%d > %d)", payer.TxID, len(clusters), MaxReplacedClusters)
	}
	removed := withDescendants(conflicts)
	var old pending.Total
	for _, n := range removed {
		n.addTo(&old)
	}
	if detail := paysFor(old, group.total(), increment); detail != "" {
		return nil, policy(group.reason(pending.ReasonInsufficientFee, pending.ReasonInsufficientSiblingFee, ReasonPackageInsufficientFee),
			"rejecting replacement %s, %s", payer.TxID, detail)
	}
	if group.isFamily() {
		return removed, checkFamilyRates(group)
	}
	return removed, g.checkDisjoint(payer, conflicts)
}

// paysFor holds the fees of a replacement against those of what it replaces (BIP125's
// rules 3 and 4): it pays as much as all of that, and for its own relay besides. Otherwise
// anybody could make the network relay one payment for ever, by versions that each pay a
// little better. It returns what is wrong, if anything is.
func paysFor(old, own pending.Total, increment types.FeeRate) (fault string) {
	if own.Fees < old.Fees {
		return fmt.Sprintf("less fees than conflicting txs; %s < %s", money(own.Fees), money(old.Fees))
	}
	if more, least := own.Fees-old.Fees, increment.Fee(own.VSize); more < least {
		return fmt.Sprintf("not enough additional fees to relay; %s < %s", money(more), money(least))
	}
	return ""
}

// money writes an amount with two decimals at least, as Bitcoin Core has it in its texts.
func money(a types.Amount) string {
	text := a.String()
	for strings.HasSuffix(text, "0") && text[len(text)-3] != '.' {
		text = text[:len(text)-1]
	}
	return text
}

// checkDisjoint checks that a transaction spends nothing of what it replaces: that leaves
// with it. There may be more than a thousand parents and as many conflicts, and the pool is
// locked meanwhile: so each is looked at once.
func (g *graph) checkDisjoint(c *candidate, conflicts []*txNode) error {
	needed := map[*cluster]uint64{} // places of all that the transaction builds on
	for _, parent := range g.parents(c.Tx) {
		needed[parent.cluster] |= parent.cluster.lineage[parent.at]
	}
	for _, n := range conflicts {
		if needed[n.cluster]>>n.at&1 != 0 {
			return refuse(consensus.ErrInvalid, ReasonSpendsConflict, "%s spends conflicting transaction %s", c.TxID, n.TxID)
		}
	}
	return nil
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
