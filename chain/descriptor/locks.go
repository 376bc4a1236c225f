package descriptor

// Locks are what a script asks of the transaction that spends by it.
type Locks struct {
	Older uint32 // the sequence number (BIP112); 0: none
	After uint32 // the lock time (BIP65); 0: none
}

// Locks returns the locks that meet all that are anywhere in the script. It reports false if
// some are in blocks and some in time, so that no transaction meets them all.
func (m *Miniscript) Locks() (l Locks, ok bool) {
	ok = true
	m.root.locks(&l, &ok)
	return l, ok
}

func (n *node) locks(l *Locks, ok *bool) {
	switch n.fragment.name {
	case "older":
		*ok = *ok && (l.Older == 0 || l.Older&timeLockFlag == n.k&timeLockFlag)
		l.Older = max(l.Older, n.k&(timeLockFlag|0xffff))
	case "after":
		*ok = *ok && (l.After == 0 || (l.After < lockTimeThreshold) == (n.k < lockTimeThreshold))
		l.After = max(l.After, n.k)
	}
	for _, sub := range n.subs {
		sub.locks(l, ok)
	}
}
