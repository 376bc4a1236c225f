package p2p

import (
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// addUnbroadcast adds to what nobody is known to have heard of what the pool says so of:
// it remembers that over a restart. It assumes mu.
func (r *relay) addUnbroadcast() {
	for _, wtxid := range r.pool.Unbroadcast() {
		if len(r.unheard) < maxUnheard {
			r.unheard[wtxid] = struct{}{}
		}
	}
}

// advance lets the repetitions of announcements be due earlier, as if time had passed.
func (r *relay) advance(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.repeatDue.IsZero() {
		r.repeatDue, r.renewDue = r.repeatDue.Add(-by), r.renewDue.Add(-by)
	}
}

// Advance lets what is repeated now and then be due earlier, as if time had passed, for
// tests that do not want to wait.
func (m *Manager) Advance(by time.Duration) { m.txs.advance(by) }

// Orphans returns the transactions that wait for what they spend, the oldest first.
func (m *Manager) Orphans() []peerinfo.Orphan { return m.txs.listOrphans() }

func (r *relay) listOrphans() (list []peerinfo.Orphan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.orphans.all() {
		told := peerinfo.Orphan{Tx: o.tx, WTxID: o.wtxid}
		for _, p := range o.owners {
			told.From = append(told.From, p.number)
		}
		list = append(list, told)
	}
	return list
}
