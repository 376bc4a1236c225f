package clients

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// told is what rpcclient's handlers were called with, as texts.
type told chan string

func (n told) handlers() *rpcclient.NotificationHandlers {
	at := func(tx *btcutil.Tx, d *btcjson.BlockDetails) string {
		if d == nil {
			return tx.Hash().String()
		}
		return fmt.Sprintf("%s %d %s %d", tx.Hash(), d.Height, d.Hash, d.Index)
	}
	return &rpcclient.NotificationHandlers{
		OnFilteredBlockConnected: func(height int32, header *wire.BlockHeader, txs []*btcutil.Tx) {
			text := fmt.Sprintf("filtered %d", height)
			for _, tx := range txs {
				text += " " + tx.Hash().String()
			}
			n <- text
		},
		OnRelevantTxAccepted: func(raw []byte) {
			var tx wire.MsgTx
			if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
				n <- "relevant " + err.Error()
				return
			}
			n <- "relevant " + tx.TxHash().String()
		},
		OnRecvTx:      func(tx *btcutil.Tx, d *btcjson.BlockDetails) { n <- "recv " + at(tx, d) },
		OnRedeemingTx: func(tx *btcutil.Tx, d *btcjson.BlockDetails) { n <- "redeeming " + at(tx, d) },
		OnRescanFinished: func(hash *chainhash.Hash, height int32, at time.Time) {
			n <- fmt.Sprintf("finished %d %s", height, hash)
		},
		OnRescanProgress: func(*chainhash.Hash, int32, time.Time) { n <- "progress" },
	}
}

// dial opens a WebSocket of rpcclient's.
func dial(t *testing.T, o *rpcclient.ConnConfig, n told) *rpcclient.Client {
	t.Helper()
	o.HTTPPostMode, o.Endpoint = false, "ws"
	c := must[*rpcclient.Client](t)(rpcclient.New(o, n.handlers()))
	t.Cleanup(c.Shutdown)
	return c
}

// taprootAddress is that of a key that nobody has.
func taprootAddress(t *testing.T) address.Address {
	t.Helper()
	a, err := address.NewAddressTaproot(bytes.Repeat([]byte{2}, 32), dev(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// payTo spends what a transaction's first output has, to a script and an anchor.
func payTo(from *wire.MsgTx, script []byte) *wire.MsgTx {
	txid := from.TxHash()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&txid, 0), nil, nil))
	tx.AddTxOut(wire.NewTxOut(100_000_000, anchor))
	tx.AddTxOut(wire.NewTxOut(from.TxOut[0].Value-100_001_000, script))
	return tx
}

// quiet fails the test if anything was told that nobody has waited for. The answer to a
// call comes behind the notifications before it only on one connection, so that it asks.
func quiet(t *testing.T, c *rpcclient.Client, n told) {
	t.Helper()
	if err := c.Ping(); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-n:
		t.Errorf("told %s", text)
	default:
	}
}

// TestRPCClientFilter: loadtxfilter, rescanblocks and what comes of them, as LND's view
// of the chain uses them.
func TestRPCClientFilter(t *testing.T) {
	s := startNode(t)
	n := make(told, 100)
	c := dial(t, config(s), n)
	hashes := must[[]*chainhash.Hash](t)(c.GenerateToAddress(5, anchorAddress(t), nil))
	coinbase := func(i int) *wire.MsgTx { return must[*wire.MsgBlock](t)(c.GetBlock(hashes[i])).Transactions[0] }
	if _, err := c.RescanBlocks([]chainhash.Hash{*hashes[0]}); err == nil {
		t.Error("rescanblocks without a filter")
	}
	watched := taprootAddress(t)
	first := coinbase(0).TxHash()
	if err := errors.Join(c.NotifyBlocks(), c.LoadTxFilter(true, []address.Address{watched}, []wire.OutPoint{{Hash: first}})); err != nil {
		t.Fatal(err)
	}
	script := append([]byte{0x51, 32}, bytes.Repeat([]byte{2}, 32)...)
	one, other := payTo(coinbase(0), script), payTo(coinbase(1), anchor)
	for _, tx := range []*wire.MsgTx{one, other} {
		must[*chainhash.Hash](t)(c.SendRawTransaction(tx, false))
	}
	want(t, "relevant", n, "relevant "+one.TxHash().String())
	mined := must[[]*chainhash.Hash](t)(c.GenerateToAddress(2, anchorAddress(t), nil))
	want(t, "filtered", n, "filtered 6 "+one.TxHash().String(), "filtered 7")
	quiet(t, c, n)

	found := must[[]btcjson.RescannedBlock](t)(c.RescanBlocks([]chainhash.Hash{*hashes[4], *mined[0], *mined[1]}))
	if len(found) != 1 || found[0].Hash != mined[0].String() || len(found[0].Transactions) != 1 {
		t.Errorf("found %+v", found)
	}
	var refused *btcjson.RPCError
	if _, err := c.RescanBlocks([]chainhash.Hash{*hashes[4], *mined[1]}); !errors.As(err, &refused) || refused.Code != btcjson.ErrRPCInvalidParameter {
		t.Errorf("blocks that do not follow each other: %v", err)
	}
	if _, err := c.RescanBlocks([]chainhash.Hash{{1}}); !errors.As(err, &refused) || refused.Code != btcjson.ErrRPCBlockNotFound {
		t.Errorf("an unknown block: %v", err)
	}
	// Another filter, which knows nothing of the first.
	if err := c.LoadTxFilter(true, nil, []wire.OutPoint{{Hash: other.TxHash()}}); err != nil {
		t.Fatal(err)
	}
	last := payTo(other, anchor)
	last.TxOut[0].Value, last.TxOut[1].Value = 1000, 1000
	must[*chainhash.Hash](t)(c.SendRawTransaction(last, true))
	want(t, "relevant", n, "relevant "+last.TxHash().String())
	quiet(t, c, n)
}

// TestRPCClientOldNotifications: notifyreceived, notifyspent and rescan, as btcwallet
// and LND's notifier use them.
func TestRPCClientOldNotifications(t *testing.T) {
	s := startNode(t)
	n, later := make(told, 100), make(told, 100)
	c := dial(t, config(s), n)
	hashes := must[[]*chainhash.Hash](t)(c.GenerateToAddress(5, anchorAddress(t), nil))
	coinbase := func(i int) *wire.MsgTx { return must[*wire.MsgBlock](t)(c.GetBlock(hashes[i])).Transactions[0] }
	watched := taprootAddress(t)
	script := append([]byte{0x51, 32}, bytes.Repeat([]byte{2}, 32)...)
	first, second := coinbase(0).TxHash(), coinbase(1).TxHash()
	if err := errors.Join(c.NotifyReceived([]address.Address{watched}), c.NotifySpent([]*wire.OutPoint{{Hash: first}, {Hash: second}})); err != nil {
		t.Fatal(err)
	}
	one, other := payTo(coinbase(0), script), payTo(coinbase(1), anchor)
	must[*chainhash.Hash](t)(c.SendRawTransaction(one, false))
	want(t, "in the pool", n, "redeeming "+one.TxHash().String(), "recv "+one.TxHash().String())
	must[*chainhash.Hash](t)(c.SendRawTransaction(other, false))
	want(t, "in the pool", n, "redeeming "+other.TxHash().String())
	if err := c.NotifySpent([]*wire.OutPoint{{Hash: first}}); err != nil { // it is spent already
		t.Fatal(err)
	}
	want(t, "spent before", n, "redeeming "+one.TxHash().String())
	mined := must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil))
	block := must[*wire.MsgBlock](t)(c.GetBlock(mined[0]))
	var wanted []string
	for i, tx := range block.Transactions[1:] {
		wanted = append(wanted, fmt.Sprintf("redeeming %s 6 %s %d", tx.TxHash(), mined[0], i+1))
		if tx.TxHash() == one.TxHash() {
			wanted = append(wanted, fmt.Sprintf("recv %s 6 %s %d", tx.TxHash(), mined[0], i+1))
		}
	}
	want(t, "in the block", n, wanted...)
	quiet(t, c, n)

	// Another client looks for the same in what was before it.
	l := dial(t, config(s), later)
	if err := l.Rescan(hashes[0], []address.Address{watched}, []*wire.OutPoint{{Hash: second}}); err != nil {
		t.Fatal(err)
	}
	var of = map[chainhash.Hash]string{one.TxHash(): "recv", other.TxHash(): "redeeming"}
	for i, tx := range block.Transactions[1:] {
		want(t, "rescan", later, fmt.Sprintf("%s %s 6 %s %d", of[tx.TxHash()], tx.TxHash(), mined[0], i+1))
	}
	want(t, "rescan", later, "finished 6 "+mined[0].String())
	// It is told of what comes, too: without a gap, and once.
	paid := payTo(coinbase(2), script)
	must[*chainhash.Hash](t)(c.SendRawTransaction(paid, false))
	want(t, "after the rescan", later, "recv "+paid.TxHash().String())
	mined = must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil))
	want(t, "after the rescan", later, fmt.Sprintf("recv %s 7 %s 1", paid.TxHash(), mined[0]))
	quiet(t, l, later)
	if err := l.RescanEndHeight(hashes[0], []address.Address{watched}, nil, hashes[3]); err != nil {
		t.Fatal(err)
	}
	want(t, "up to a block", later, "finished 4 "+hashes[3].String())
	if err := l.Rescan(hashes[0], nil, nil); err != nil {
		t.Fatal(err)
	}
	want(t, "for nothing", later, "finished 7 "+mined[0].String())
	quiet(t, l, later)
}

// TestRPCClientBtcd: the methods of btcd that are no notifications.
func TestRPCClientBtcd(t *testing.T) {
	s := startNode(t)
	for _, c := range []*rpcclient.Client{dial(t, config(s), make(told, 100)), must[*rpcclient.Client](t)(rpcclient.New(config(s), nil))} {
		best := must[*chainhash.Hash](t)(c.GetBestBlockHash())
		if must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil)); *best == *must[*chainhash.Hash](t)(c.GetBestBlockHash()) {
			t.Error("no block")
		}
		best = must[*chainhash.Hash](t)(c.GetBestBlockHash())
		filter := must[*wire.MsgCFilter](t)(c.GetCFilter(best, wire.GCSFilterRegular))
		core := must[*btcjson.GetBlockFilterResult](t)(c.GetBlockFilter(*best, nil))
		if hex.EncodeToString(filter.Data) != core.Filter {
			t.Errorf("filter %x, want %s", filter.Data, core.Filter)
		}
		header := must[*wire.MsgCFHeaders](t)(c.GetCFilterHeader(best, wire.GCSFilterRegular))
		if header.PrevFilterHeader.String() != core.Header {
			t.Errorf("header %s, want %s", header.PrevFilterHeader, core.Header)
		}
		perm := "perm"
		if err := errors.Join(c.Node(btcjson.NConnect, "127.0.0.1:1", &perm), c.Node(btcjson.NRemove, "127.0.0.1:1", nil)); err != nil {
			t.Error(err)
		}
		if err := c.Node(btcjson.NDisconnect, "127.0.0.1:1", nil); err == nil {
			t.Error("a node that is not there was disconnected")
		}
		if net := must[wire.BitcoinNet](t)(c.GetCurrentNet()); net != dev(t).Net {
			t.Errorf("network %x", uint32(net))
		}
		if _, err := c.RawRequest("getinfo", []json.RawMessage{}); err == nil {
			t.Error("getinfo answers")
		}
		if session, err := c.Session(); err == nil && session.SessionID == 0 || err != nil && !errors.Is(err, rpcclient.ErrWebsocketsRequired) {
			t.Errorf("session %v, %v", session, err)
		}
	}
}

// TestRPCClientSearch: searchrawtransactions, and debuglevel.
func TestRPCClientSearch(t *testing.T) {
	s := nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.Indexes = append(c.Indexes, indexed.Scripts)
	}).Started
	for _, c := range []*rpcclient.Client{dial(t, config(s), make(told, 100)), must[*rpcclient.Client](t)(rpcclient.New(config(s), nil))} {
		watched := taprootAddress(t)
		script := append([]byte{0x51, 32}, bytes.Repeat([]byte{2}, 32)...)
		hashes := must[[]*chainhash.Hash](t)(c.GenerateToAddress(5, anchorAddress(t), nil))
		coinbase := func(i int) *wire.MsgTx { return must[*wire.MsgBlock](t)(c.GetBlock(hashes[i])).Transactions[0] }
		before := 0
		if list, err := c.SearchRawTransactions(watched, 0, 1000, false, nil); err == nil {
			before = len(list)
		}
		mined, waiting := payTo(coinbase(0), script), payTo(coinbase(1), script)
		must[*chainhash.Hash](t)(c.SendRawTransaction(mined, false))
		block := must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil))[0]
		must[*chainhash.Hash](t)(c.SendRawTransaction(waiting, false))
		list := must[[]*wire.MsgTx](t)(c.SearchRawTransactions(watched, before, 10, false, nil))
		if len(list) != 2 || list[0].TxHash() != mined.TxHash() || list[1].TxHash() != waiting.TxHash() {
			t.Errorf("found %v", list)
		}
		list = must[[]*wire.MsgTx](t)(c.SearchRawTransactions(watched, 1, 1, true, nil))
		if len(list) != 1 || list[0].TxHash() != mined.TxHash() {
			t.Errorf("the newest but one is %v", list)
		}
		verbose := must[[]*btcjson.SearchRawTransactionsResult](t)(c.SearchRawTransactionsVerbose(watched, before, 10, true, false, nil))
		if len(verbose) != 2 || verbose[0].BlockHash != block.String() || verbose[0].Confirmations != 1 || verbose[1].BlockHash != "" || verbose[0].Txid != mined.TxHash().String() {
			t.Errorf("found %+v", verbose)
		}
		for i, tx := range verbose {
			if len(tx.Vin) != 1 || tx.Vin[0].PrevOut == nil || tx.Vin[0].PrevOut.Value < 10 || tx.Vin[0].PrevOut.Addresses[0] != anchorAddress(t).EncodeAddress() || len(tx.Vout) != 2 || tx.Vout[0].Value != 1 {
				t.Errorf("transaction %d is %+v", i, tx)
			}
		}
		only := []string{watched.EncodeAddress()}
		verbose = must[[]*btcjson.SearchRawTransactionsResult](t)(c.SearchRawTransactionsVerbose(watched, before, 10, false, false, only))
		if len(verbose) != 2 || len(verbose[0].Vin) != 0 || len(verbose[0].Vout) != 1 || len(verbose[1].Vout) != 1 {
			t.Errorf("found %+v", verbose)
		}
		var refused *btcjson.RPCError
		nobody := must[*address.AddressTaproot](t)(address.NewAddressTaproot(bytes.Repeat([]byte{3}, 32), dev(t)))
		if _, err := c.SearchRawTransactions(nobody, 0, 10, false, nil); !errors.As(err, &refused) || refused.Code != btcjson.ErrRPCNoTxInfo {
			t.Errorf("an address that nobody knows: %v", err)
		}
		if text := must[string](t)(c.DebugLevel("show")); len(text) < 30 {
			t.Errorf("debuglevel show: %s", text)
		}
		for _, spec := range []string{"debug", "net=trace,rpc=debug", "info"} {
			if text := must[string](t)(c.DebugLevel(spec)); text != "Done." {
				t.Errorf("debuglevel %s: %s", spec, text)
			}
		}
		for _, spec := range []string{"loud", "net", "net=loud", "nothing=debug", ""} {
			if _, err := c.DebugLevel(spec); !errors.As(err, &refused) || refused.Code != btcjson.ErrRPCInvalidParams.Code {
				t.Errorf("debuglevel %q: %v", spec, err)
			}
		}
	}
}
