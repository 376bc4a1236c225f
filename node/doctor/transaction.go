package doctor

import (
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// transaction says why a transaction is in no block yet.
func (d *diagnosis) transaction(t *Transaction) {
	switch {
	case t.Confirmations > 0:
		d.add("tx-confirmed", fmt.Sprintf("%s has %s", t.TxID, plural(int(t.Confirmations), "confirmation")))
	case t.Pending != nil:
		d.pending(t)
	case t.Orphan != nil:
		var list []string
		for _, o := range t.Missing {
			list = append(list, fmt.Sprintf("it spends %s:%d", o.TxID, o.Index))
		}
		d.add("tx-orphan", some(list)...)
	case t.Refusal != "":
		d.add("tx-refused", fmt.Sprint(t.TxID), "the pool says: "+t.Refusal)
	case t.WouldAccept:
		d.add("tx-would-be-taken", fmt.Sprint(t.TxID))
	default:
		evidence := []string{fmt.Sprintf("%s is neither in the pool nor in a block whose outputs are unspent", t.TxID)}
		if t.NoIndex {
			evidence = append(evidence, "whether it was in a block long ago is told by --txindex alone")
		}
		d.add("tx-unknown", evidence...)
	}
}

// pending says why a transaction that waits is not in a block: of several reasons the first that
// would keep it out of the next one.
func (d *diagnosis) pending(t *Transaction) {
	p := t.Pending
	own, chunk := types.NewFeeRate(p.Modified, p.VSize), types.NewFeeRate(p.Chunk.Fees, p.Chunk.VSize)
	waits := fmt.Sprintf("it has waited for %s, of %d virtual bytes", span(t.Now.Sub(p.Time)), p.VSize)
	pays := fmt.Sprintf("it pays %s grains per virtual byte", own)
	if p.Chunk.Count > 1 {
		pays += fmt.Sprintf("; with %s that go with it, %s", plural(p.Chunk.Count-1, "other"), chunk)
	}
	wanted := 0 // by peers, as far as they say
	for i := range t.Peers {
		if t.Peers[i].RelayTxs && own >= t.Peers[i].MinFeeRate {
			wanted++
		}
	}
	ahead := fmt.Sprintf("%d virtual bytes pay more: %s", t.Ahead, blocks(t.Ahead, t.BlockVSize))
	switch {
	case p.Unbroadcast && t.Now.Sub(p.Time) > graceAtStart:
		d.add("tx-not-relayed", waits, fmt.Sprintf("of %s %d would take what pays %s", plural(len(t.Peers), "peer"), wanted, own))
	case chunk < t.BlockMin:
		d.add("tx-below-floor", pays, fmt.Sprintf("blocks that are made here take %s at least", t.BlockMin))
	case t.InNext:
		evidence := []string{pays, waits}
		if t.Spacing > 0 {
			evidence = append(evidence, fmt.Sprintf("the last block is %s old; one should come every %s", span(t.Now.Sub(t.TipTime)), span(t.Spacing)))
		}
		d.add("tx-next-block", evidence...)
	case chunk < own && len(p.Depends) > 0:
		d.add("tx-parent", pays, ahead, "it spends "+p.Depends[0].String())
	default:
		evidence := []string{pays, ahead}
		if t.NextMin > 0 {
			evidence = append(evidence, fmt.Sprintf("the next block takes %s at least", t.NextMin))
		}
		d.add("tx-low-fee", evidence...)
	}
}

// blocks says how many blocks are filled by so many virtual bytes.
func blocks(ahead, each int) string {
	if each <= 0 || ahead < each {
		return "less than a block"
	}
	return "about " + plural(ahead/each, "block")
}
