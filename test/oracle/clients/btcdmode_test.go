package clients

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// TestBtcdMode makes the calls of LND with --bitcoin.node=btcd, in its order: the wallet
// (btcwallet's chain/btcd.go), the notifier (chainntnfs/btcdnotify) and the view of the
// chain (routing/chainview). They connect by TLS with the certificate in rpc.cert, as with
// btcd.
func TestBtcdMode(t *testing.T) {
	s := nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.RPCOwnTLS = true
	}).Started
	certificate := must[[]byte](t)(os.ReadFile(filepath.Join(filepath.Dir(s.CookieFile), "rpc.cert")))
	connect := func(n told) *rpcclient.Client {
		o := config(s)
		o.HTTPPostMode, o.DisableTLS, o.Endpoint, o.Certificates = false, false, "ws", certificate
		o.DisableConnectOnNew, o.DisableAutoReconnect = true, false
		c := must[*rpcclient.Client](t)(rpcclient.New(o, n.handlers()))
		t.Cleanup(c.Shutdown)
		if err := c.Connect(20); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ofWallet, ofNotifier, ofView := make(told, 100), make(told, 100), make(told, 100)
	wallet, notifier, view := connect(ofWallet), connect(ofNotifier), connect(ofView)
	hashes := must[[]*chainhash.Hash](t)(wallet.GenerateToAddress(5, anchorAddress(t), nil))
	tip := hashes[4]

	if net := must[wire.BitcoinNet](t)(wallet.GetCurrentNet()); net != dev(t).Net {
		t.Fatalf("network %x", uint32(net))
	}
	if best, height, err := wallet.GetBestBlock(); err != nil || *best != *tip || height != 5 {
		t.Fatalf("best block %v, %d, %v", best, height, err)
	}
	must[*wire.BlockHeader](t)(wallet.GetBlockHeader(tip))
	must[*wire.MsgCFilter](t)(wallet.GetCFilter(tip, wire.GCSFilterRegular))
	must[rpcclient.BackendVersion](t)(wallet.BackendVersion())
	for _, c := range []*rpcclient.Client{wallet, notifier, view} {
		if err := c.NotifyBlocks(); err != nil {
			t.Fatal(err)
		}
	}

	// The wallet looks for its coins in all blocks, and is told when that is done.
	watched := taprootAddress(t)
	script := append([]byte{0x51, 32}, bytes.Repeat([]byte{2}, 32)...)
	if err := wallet.NotifyReceived([]address.Address{watched}); err != nil {
		t.Fatal(err)
	}
	if err := wallet.Rescan(hashes[0], []address.Address{watched}, nil); err != nil {
		t.Fatal(err)
	}
	want(t, "the wallet", ofWallet, "finished 5 "+tip.String())

	// A channel is opened: its funding is looked for from a height on, then its output.
	coinbase := must[*wire.MsgBlock](t)(wallet.GetBlock(hashes[0])).Transactions[0]
	funding := payTo(coinbase, script)
	txid, fundingID := coinbase.TxHash(), funding.TxHash()
	if err := notifier.NotifyReceived([]address.Address{watched}); err != nil {
		t.Fatal(err)
	}
	begin := must[*chainhash.Hash](t)(notifier.GetBlockHash(3))
	if err := notifier.RescanAsync(begin, []address.Address{watched}, nil).Receive(); err != nil {
		t.Fatal(err)
	}
	want(t, "the notifier", ofNotifier, "finished 5")
	must[*chainhash.Hash](t)(wallet.SendRawTransaction(funding, false))
	want(t, "the wallet", ofWallet, "recv "+fundingID.String())
	want(t, "the notifier", ofNotifier, "recv "+fundingID.String())
	mined := must[[]*chainhash.Hash](t)(wallet.GenerateToAddress(1, anchorAddress(t), nil))[0]
	want(t, "the wallet", ofWallet, "recv "+fundingID.String()+" 6 "+mined.String()+" 1", "filtered 6")
	want(t, "the notifier", ofNotifier, "recv "+fundingID.String()+" 6 "+mined.String()+" 1", "filtered 6")
	raw := must[*btcjson.TxRawResult](t)(notifier.GetRawTransactionVerbose(&fundingID))
	if raw.BlockHash != mined.String() {
		t.Errorf("the funding is in %s", raw.BlockHash)
	}
	header := must[*btcjson.GetBlockHeaderVerboseResult](t)(notifier.GetBlockHeaderVerbose(mined))
	if header.Height != 6 {
		t.Errorf("at height %d", header.Height)
	}
	output := wire.NewOutPoint(&fundingID, 0)
	if out := must[*btcjson.GetTxOutResult](t)(notifier.GetTxOut(&fundingID, 0, true)); out == nil {
		t.Error("the funding has no output")
	}
	if err := notifier.NotifySpent([]*wire.OutPoint{output}); err != nil {
		t.Fatal(err)
	}

	// The view of the chain follows the outputs of all channels, also in blocks that are
	// there already.
	if err := view.LoadTxFilter(false, nil, []wire.OutPoint{*output, *wire.NewOutPoint(&txid, 0)}); err != nil {
		t.Fatal(err)
	}
	want(t, "the view", ofView, "filtered 6")
	rescanned := must[[]btcjson.RescannedBlock](t)(view.RescanBlocks([]chainhash.Hash{*mined}))
	if len(rescanned) != 1 || len(rescanned[0].Transactions) != 1 {
		t.Errorf("looked through: %+v", rescanned)
	}

	// The channel is closed.
	closing := payTo(funding, anchor)
	closing.TxOut[0].Value, closing.TxOut[1].Value = 50_000_000, 49_000_000
	must[*chainhash.Hash](t)(wallet.SendRawTransaction(closing, true))
	closingID := closing.TxHash().String()
	want(t, "the notifier", ofNotifier, "redeeming "+closingID)
	want(t, "the view", ofView, "relevant "+closingID)
	mined = must[[]*chainhash.Hash](t)(wallet.GenerateToAddress(1, anchorAddress(t), nil))[0]
	want(t, "the notifier", ofNotifier, "redeeming "+closingID+" 7 "+mined.String()+" 1", "filtered 7")
	want(t, "the view", ofView, "filtered 7 "+closingID)
}
