package rpc

import "context"

// socketMethods are btcd's methods that change what a client is told of, which only
// WebSockets have. Those whose work is longer than a line stand in ws_watch.go,
// ws_rescan.go and ws_subscribe.go.
func socketMethods() []method {
	outPoints := func(name string) param {
		return param{name: name, kind: kindArray, sample: `'[{"hash":"TXID","index":0}]'`, about: "Objects with the txid as hash, and the index of the output"}
	}
	addresses := param{name: "addresses", kind: kindArray, sample: `'["ADDRESS"]'`, about: "Addresses"}
	list := []method{
		{name: "notifyblocks", read: socketCall(func(w *wanted) { w.blocks = true }), about: "Tells of every block that comes and goes from now on."},
		{name: "stopnotifyblocks", read: socketCall(func(w *wanted) { w.blocks = false }), about: "Ends what notifyblocks began."},
		{name: "notifynewtransactions", read: notifyTransactions, about: "Tells of every transaction that the pool takes from now on.", params: []param{
			{name: "verbose", kind: kindBool, optional: "false", about: "true for the whole transaction, false for its id and amount"}}},
		{name: "stopnotifynewtransactions", read: socketCall(func(w *wanted) { w.txs = false }), about: "Ends what notifynewtransactions began."},
		{name: "loadtxfilter", read: loadTxFilter, about: "Sets for which transactions relevanttxaccepted and filteredblockconnected come, or adds to it: for those that pay to the addresses, and those that spend the outpoints or what was paid to the addresses.", params: []param{
			{name: "reload", kind: kindBool, sample: "true", about: "true to begin anew, false to add"},
			addresses, outPoints("outpoints")}},
		{name: "notifyreceived", read: notifyReceived, about: "Tells of transactions that pay to addresses, and of those that spend what was paid. (loadtxfilter is newer.)", params: []param{addresses}},
		{name: "stopnotifyreceived", read: stopNotifyReceived, about: "Ends what notifyreceived began, for addresses.", params: []param{addresses}},
		{name: "notifyspent", read: notifySpent, about: "Tells of transactions that spend outpoints. (loadtxfilter is newer.)", params: []param{outPoints("outpoints")}},
		{name: "stopnotifyspent", read: stopNotifySpent, about: "Ends what notifyspent began, for outpoints.", params: []param{outPoints("outpoints")}},
		{name: "rescan", read: rescanChain, about: "Tells of transactions of blocks that pay to addresses, spend from them or spend outpoints. The last notification is rescanfinished. Without a last block, what comes later is told, too.", params: []param{
			{name: "beginblock", kind: kindString, sample: "BLOCKHASH", about: "The hash of the first block"},
			addresses, outPoints("outpoints"),
			{name: "endblock", kind: kindString, optional: "the tip", about: "The hash of the last block"}}},
		{name: "rescanblocks", read: rescanBlocks, about: "Returns the transactions of blocks for which loadtxfilter has asked.", params: []param{
			{name: "blockhashes", kind: kindArray, sample: `'["BLOCKHASH"]'`, about: "The hashes of blocks that follow each other, at most 2000"}}},
		{name: "session", read: socketSession, about: "Returns a number that is another for each connection: what was asked for over an earlier one is forgotten."},
	}
	for i := range list {
		list[i].socket = true
	}
	return list
}

// socketCall makes a method of a change of what is wanted.
func socketCall(change func(w *wanted)) func(*Server, *args) work {
	return func(_ *Server, a *args) work {
		c := a.socket
		return func(ctx context.Context) (any, error) {
			c.wanted.mu.Lock()
			change(&c.wanted)
			c.wanted.mu.Unlock()
			return nil, c.adjust(ctx)
		}
	}
}

// notifyTransactions is btcd's notifynewtransactions. A second call changes the form,
// from the next transaction on.
func notifyTransactions(s *Server, a *args) work {
	verbose := a.flag(0, false)
	return socketCall(func(w *wanted) { w.txs, w.verbose = true, verbose })(s, a)
}

// socketSession is btcd's session.
func socketSession(_ *Server, a *args) work {
	c := a.socket
	return func(context.Context) (any, error) { return map[string]any{"sessionid": c.id}, nil }
}
