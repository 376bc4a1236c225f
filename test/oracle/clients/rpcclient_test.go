package clients

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// startNode runs a node of the dev network, whose coinbases can be spent after
// two blocks.
func startNode(t *testing.T) node.Started {
	t.Helper()
	return nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.Listen, c.MaxPeers = "127.0.0.1:0", 8
	}).Started
}

// dev is the dev network as btcd's packages know networks.
func dev(t *testing.T) *chaincfg.Params {
	t.Helper()
	p := chaincfg.RegressionNetParams
	p.Name, p.Net, p.Bech32HRPSegwit = "dev", 0x6474726b, "krtd"
	p.PubKeyHashAddrID, p.ScriptHashAddrID = 1, 2
	if err := chaincfg.Register(&p); err != nil && !errors.Is(err, chaincfg.ErrDuplicateNet) {
		t.Fatal(err)
	}
	return &p
}

var anchor = chaintest.Anchor

func anchorAddress(t *testing.T) address.Address {
	t.Helper()
	a, err := address.NewAddressPayToAnchor(dev(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// config returns what rpcclient needs to log in with the cookie.
func config(s node.Started) *rpcclient.ConnConfig {
	return &rpcclient.ConnConfig{Host: s.RPC, CookiePath: s.CookieFile, HTTPPostMode: true, DisableTLS: true, Params: "regtest"}
}

// spend pays what a coinbase has made to two anchors.
func spend(block *wire.MsgBlock, fee int64) *wire.MsgTx {
	coinbase := block.Transactions[0]
	tx := wire.NewMsgTx(2)
	txid := coinbase.TxHash()
	tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&txid, 0), nil, nil))
	half := coinbase.TxOut[0].Value / 2
	tx.AddTxOut(wire.NewTxOut(half, anchor))
	tx.AddTxOut(wire.NewTxOut(half-fee, anchor))
	return tx
}

func TestRPCClientHTTP(t *testing.T) {
	s := startNode(t)
	c := must[*rpcclient.Client](t)(rpcclient.New(config(s), nil))
	defer c.Shutdown()
	chain(t, c)
	transactions(t, c)
	network(t, c, s)
	refusals(t, c)
	batch(t, s)
}

func TestRPCClientWebSocket(t *testing.T) {
	s := startNode(t)
	connected := make(chan string, 100)
	accepted := make(chan string, 100)
	filtered := make(chan string, 100)
	o := config(s)
	o.HTTPPostMode, o.Endpoint = false, "ws"
	c := must[*rpcclient.Client](t)(rpcclient.New(o, &rpcclient.NotificationHandlers{
		OnBlockConnected: func(hash *chainhash.Hash, height int32, at time.Time) {
			connected <- fmt.Sprintf("+%d %s", height, hash)
		},
		OnBlockDisconnected: func(hash *chainhash.Hash, height int32, at time.Time) {
			connected <- fmt.Sprintf("-%d %s", height, hash)
		},
		OnFilteredBlockConnected: func(height int32, header *wire.BlockHeader, _ []*btcutil.Tx) {
			filtered <- fmt.Sprintf("+%d %s", height, header.BlockHash())
		},
		OnFilteredBlockDisconnected: func(height int32, header *wire.BlockHeader) {
			filtered <- fmt.Sprintf("-%d %s", height, header.BlockHash())
		},
		OnTxAccepted: func(hash *chainhash.Hash, amount btcutil.Amount) {
			accepted <- fmt.Sprintf("%s %d", hash, amount)
		},
		OnTxAcceptedVerbose: func(tx *btcjson.TxRawResult) { accepted <- "verbose " + tx.Txid },
	}))
	defer c.Shutdown()
	for _, err := range []error{c.NotifyBlocks(), c.NotifyNewTransactions(false)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	chain(t, c)
	hashes := must[[]*chainhash.Hash](t)(c.GenerateToAddress(2, anchorAddress(t), nil))
	want(t, "connected", connected, "+1", "+2", "+3", "+4", "+5", fmt.Sprintf("+6 %s", hashes[0]), fmt.Sprintf("+7 %s", hashes[1]))

	block := must[*wire.MsgBlock](t)(c.GetBlock(hashes[0]))
	must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil))
	want(t, "connected", connected, "+8")
	tx := spend(block, 1000)
	txid := must[*chainhash.Hash](t)(c.SendRawTransaction(tx, false))
	want(t, "accepted", accepted, fmt.Sprintf("%s %d", txid, tx.TxOut[0].Value+tx.TxOut[1].Value))
	if err := c.NotifyNewTransactions(true); err != nil {
		t.Fatal(err)
	}

	best := must[*chainhash.Hash](t)(c.GetBestBlockHash())
	if err := c.InvalidateBlock(best); err != nil {
		t.Fatal(err)
	}
	want(t, "disconnected", connected, fmt.Sprintf("-8 %s", best))
	if err := c.ReconsiderBlock(best); err != nil {
		t.Fatal(err)
	}
	want(t, "connected again", connected, fmt.Sprintf("+8 %s", best))
	want(t, "filtered", filtered, "+1", "+2", "+3", "+4", "+5", fmt.Sprintf("+6 %s", hashes[0]), "+7", "+8", fmt.Sprintf("-8 %s", best), "+8")
	block = must[*wire.MsgBlock](t)(c.GetBlock(hashes[1]))
	txid = must[*chainhash.Hash](t)(c.SendRawTransaction(spend(block, 1000), false))
	want(t, "accepted, verbose", accepted, fmt.Sprintf("verbose %s", txid))
}

// want waits for notifications that begin like the given ones.
func want(t *testing.T, what string, got <-chan string, starts ...string) {
	t.Helper()
	for _, start := range starts {
		select {
		case text := <-got:
			if !strings.HasPrefix(text, start) {
				t.Fatalf("%s: %s, want %s…", what, text, start)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: no %s", what, start)
		}
	}
}

// chain mines five blocks and asks about them.
func chain(t *testing.T, c *rpcclient.Client) {
	t.Helper()
	hashes := must[[]*chainhash.Hash](t)(c.GenerateToAddress(5, anchorAddress(t), nil))
	if height := must[int64](t)(c.GetBlockCount()); height != 5 {
		t.Errorf("height %d", height)
	}
	best := must[*chainhash.Hash](t)(c.GetBestBlockHash())
	if *best != *hashes[4] || *best != *must[*chainhash.Hash](t)(c.GetBlockHash(5)) {
		t.Errorf("best block %s", best)
	}
	block := must[*wire.MsgBlock](t)(c.GetBlock(best))
	if block.BlockHash() != *best {
		t.Errorf("block %s", block.BlockHash())
	}
	verbose := must[*btcjson.GetBlockVerboseResult](t)(c.GetBlockVerbose(best))
	if verbose.Height != 5 || verbose.Confirmations != 1 || len(verbose.Tx) != 1 || verbose.PreviousHash != hashes[3].String() {
		t.Errorf("block %+v", verbose)
	}
	withTxs := must[*btcjson.GetBlockVerboseTxResult](t)(c.GetBlockVerboseTx(best))
	if len(withTxs.Tx) != 1 || withTxs.Tx[0].Txid != verbose.Tx[0] || withTxs.Tx[0].Vout[0].Value != 10 {
		t.Errorf("block with transactions %+v", withTxs)
	}
	header := must[*wire.BlockHeader](t)(c.GetBlockHeader(best))
	if *header != block.Header {
		t.Errorf("header %+v", header)
	}
	if h := must[*btcjson.GetBlockHeaderVerboseResult](t)(c.GetBlockHeaderVerbose(hashes[0])); h.Confirmations != 5 || h.NextHash != hashes[1].String() {
		t.Errorf("header %+v", h)
	}
	if info := must[*btcjson.GetBlockChainInfoResult](t)(c.GetBlockChainInfo()); info.Chain != "dev" || info.Blocks != 5 || info.BestBlockHash != best.String() {
		t.Errorf("chain %+v", info)
	}
	must[float64](t)(c.GetDifficulty())
	if tips := must[[]*btcjson.GetChainTipsResult](t)(c.GetChainTips()); len(tips) != 1 || tips[0].Status != "active" {
		t.Errorf("tips %+v", tips)
	}
	if set := must[*btcjson.GetTxOutSetInfoResult](t)(c.GetTxOutSetInfo()); set.Height != 5 || set.TotalAmount != 1_000_050*1e8 {
		t.Errorf("coins %+v", set)
	}
	filter := must[*btcjson.GetBlockFilterResult](t)(c.GetBlockFilter(*best, nil))
	if raw, err := hex.DecodeString(filter.Filter); err != nil || len(raw) < 2 {
		t.Errorf("filter %+v", filter)
	}
	hash, height, err := c.GetBestBlock()
	if err != nil || *hash != *best || height != 5 {
		t.Errorf("best block %s, %d, %v", hash, height, err)
	}
	if headers := must[[]wire.BlockHeader](t)(c.GetHeaders([]chainhash.Hash{*hashes[2]}, &chainhash.Hash{})); len(headers) != 2 || headers[1] != block.Header {
		t.Errorf("headers %+v", headers)
	}
	stats := []string{"txs", "height"}
	if s := must[*btcjson.GetBlockStatsResult](t)(c.GetBlockStats(*best, &stats)); s.Txs != 1 || s.Height != 5 {
		t.Errorf("statistics %+v", s)
	}
	must[*btcjson.GetMiningInfoResult](t)(c.GetMiningInfo())
}

// transactions sends a payment and follows it into a block.
func transactions(t *testing.T, c *rpcclient.Client) {
	t.Helper()
	block := must[*wire.MsgBlock](t)(c.GetBlock(must[*chainhash.Hash](t)(c.GetBlockHash(1))))
	tx := spend(block, 1000)
	results := must[[]*btcjson.TestMempoolAcceptResult](t)(c.TestMempoolAccept([]*wire.MsgTx{tx}, 0))
	if len(results) != 1 || !results[0].Allowed || results[0].Fees.Base != 0.00001 {
		t.Errorf("test %+v", results[0])
	}
	txid := must[*chainhash.Hash](t)(c.SendRawTransaction(tx, false))
	if *txid != tx.TxHash() {
		t.Errorf("sent %s", txid)
	}
	if pool := must[[]*chainhash.Hash](t)(c.GetRawMempool()); len(pool) != 1 || *pool[0] != *txid {
		t.Errorf("pool %v", pool)
	}
	if e := must[*btcjson.GetMempoolEntryResult](t)(c.GetMempoolEntry(txid.String())); e.Fees.Base != 0.00001 || e.DescendantCount != 1 {
		t.Errorf("entry %+v", e)
	}
	spending := must[[]*btcjson.GetTxSpendingPrevOutResult](t)(c.GetTxSpendingPrevOut([]wire.OutPoint{tx.TxIn[0].PreviousOutPoint}))
	if len(spending) != 1 || spending[0].SpendingTxid != txid.String() {
		t.Errorf("spent by %+v", spending)
	}
	mined := must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil))
	raw := must[*btcjson.TxRawResult](t)(c.GetRawTransactionVerbose(txid))
	if raw.BlockHash != mined[0].String() || raw.Confirmations != 1 || len(raw.Vout) != 2 {
		t.Errorf("transaction %+v", raw)
	}
	if got := must[*btcutil.Tx](t)(c.GetRawTransaction(txid)); *got.Hash() != *txid {
		t.Errorf("transaction %s", got.Hash())
	}
	out := must[*btcjson.GetTxOutResult](t)(c.GetTxOut(txid, 0, true))
	if out == nil || out.Value != 5 || out.Confirmations != 1 {
		t.Errorf("output %+v", out)
	}
	if out, err := c.GetTxOut(&tx.TxIn[0].PreviousOutPoint.Hash, 0, true); err != nil || out != nil {
		t.Errorf("a spent output: %+v, %v", out, err)
	}
	var encoded bytes.Buffer
	if err := tx.Serialize(&encoded); err != nil {
		t.Fatal(err)
	}
	if got := must[*btcjson.TxRawResult](t)(c.DecodeRawTransaction(encoded.Bytes())); got.Txid != txid.String() {
		t.Errorf("decoded %+v", got)
	}
	if got := must[*btcjson.DecodeScriptResult](t)(c.DecodeScript(anchor)); got.Type != "anchor" {
		t.Errorf("script %+v", got)
	}
	if fee := must[*btcjson.EstimateSmartFeeResult](t)(c.EstimateSmartFee(6, nil)); fee.FeeRate == nil || *fee.FeeRate <= 0 {
		t.Errorf("feerate %+v", fee)
	}
}

func network(t *testing.T, c *rpcclient.Client, s node.Started) {
	t.Helper()
	info := must[*btcjson.GetNetworkInfoResult](t)(c.GetNetworkInfo())
	if !strings.Contains(info.SubVersion, "/karat:") {
		t.Errorf("network %+v", info)
	}
	if n := must[int64](t)(c.GetConnectionCount()); n != 0 {
		t.Errorf("%d connections", n)
	}
	if peers := must[[]btcjson.GetPeerInfoResult](t)(c.GetPeerInfo()); len(peers) != 0 {
		t.Errorf("peers %+v", peers)
	}
	must[*btcjson.GetNetTotalsResult](t)(c.GetNetTotals())
	if err := c.AddNode(s.Listen, rpcclient.ANAdd); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.AddNode(s.Listen, rpcclient.ANRemove), c.Ping()); err != nil {
		t.Error(err)
	}
	if version := must[rpcclient.BackendVersion](t)(c.BackendVersion()); !version.SupportTestMempoolAccept() || !version.SupportGetTxSpendingPrevOut() {
		t.Errorf("the client takes the node for %v", version)
	}
}

// refusals checks the codes by which clients tell errors apart.
func refusals(t *testing.T, c *rpcclient.Client) {
	t.Helper()
	code := func(err error) btcjson.RPCErrorCode {
		var refused *btcjson.RPCError
		if !errors.As(err, &refused) {
			t.Errorf("no error of the node: %v", err)
			return 0
		}
		return refused.Code
	}
	_, err := c.GetBlockHash(1_000_000)
	if code(err) != btcjson.ErrRPCInvalidParameter {
		t.Errorf("a height beyond the tip: %v", err)
	}
	_, err = c.GetBlock(&chainhash.Hash{1})
	if code(err) != btcjson.ErrRPCInvalidAddressOrKey {
		t.Errorf("an unknown block: %v", err)
	}
	_, err = c.GetRawTransactionVerbose(&chainhash.Hash{1})
	if code(err) != btcjson.ErrRPCInvalidAddressOrKey {
		t.Errorf("an unknown transaction: %v", err)
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{1}}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(1000, anchor))
	tx.AddTxOut(wire.NewTxOut(1000, anchor))
	_, err = c.SendRawTransaction(tx, true)
	if !errors.Is(err, rpcclient.ErrMissingInputsOrSpent) && code(err) != -25 {
		t.Errorf("missing inputs: %v", err)
	}
	_, err = c.RawRequest("getinfo", nil)
	if code(err) != btcjson.ErrRPCMethodNotFound.Code {
		t.Errorf("getinfo: %v", err)
	}
	// Programs like bitcoin-cli send texts for methods that they do not know; of Core's
	// methods they know what is a number.
	_, err = c.RawRequest("getblockhash", []json.RawMessage{json.RawMessage(`"0"`)})
	if code(err) != btcjson.ErrRPCType {
		t.Errorf("a number as a text: %v", err)
	}
	if _, err = c.RawRequest("getcfilter", []json.RawMessage{json.RawMessage(fmt.Sprintf("%q", must[*chainhash.Hash](t)(c.GetBestBlockHash()))), json.RawMessage(`"0"`)}); err != nil {
		t.Errorf("a number as a text, of a method that Core does not have: %v", err)
	}
}

func batch(t *testing.T, s node.Started) {
	t.Helper()
	c := must[*rpcclient.Client](t)(rpcclient.NewBatch(config(s)))
	defer c.Shutdown()
	count, first := c.GetBlockCountAsync(), c.GetBlockHashAsync(0)
	if err := c.Send(); err != nil {
		t.Fatal(err)
	}
	if height := must[int64](t)(count.Receive()); height != 6 {
		t.Errorf("height %d", height)
	}
	must[*chainhash.Hash](t)(first.Receive())
}

func TestWrongPassword(t *testing.T) {
	s := startNode(t)
	o := config(s)
	o.CookiePath, o.User, o.Pass = "", "alice", "guess"
	c := must[*rpcclient.Client](t)(rpcclient.New(o, nil))
	defer c.Shutdown()
	if _, err := c.GetBlockCount(); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("HTTP: %v", err)
	}
	o.HTTPPostMode, o.Endpoint, o.DisableAutoReconnect = false, "ws", true
	if _, err := rpcclient.New(o, nil); !errors.Is(err, rpcclient.ErrInvalidAuth) {
		t.Errorf("WebSocket: %v", err)
	}
	if info, err := os.Stat(s.CookieFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the cookie: %v, %v", info.Mode(), err)
	}
}
