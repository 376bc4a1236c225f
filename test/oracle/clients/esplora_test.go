package clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/karatcoin/karat/internal/vectors"
)

// esploraStatus, esploraTx and esploraBlock are what the Rust crate esplora-client, by which
// BDK asks Esplora, must find: it refuses an answer that lacks one of them. What may be missing
// is not among them.
const (
	esploraStatus = "confirmed:b"
	esploraMined  = "status.confirmed=true status.block_height=6 status.block_hash={tip} status.block_time:i"
	esploraTx     = "txid:s version:i locktime:i vin:a vin.0.txid:s vin.0.vout:i vin.0.prevout.value:i vin.0.prevout.scriptpubkey:s vin.0.scriptsig:s vin.0.sequence:i vin.0.is_coinbase:b vout.0.value:i vout.0.scriptpubkey:s size:i weight:i status." + esploraStatus + " fee:i"
	esploraBlock  = "id:s height:i version:i timestamp:i tx_count:i size:i weight:i merkle_root:s previousblockhash:s mediantime:i nonce:i bits:i difficulty:n"
	esploraStats  = "chain_stats.funded_txo_count:i chain_stats.funded_txo_sum:i chain_stats.spent_txo_count:i chain_stats.spent_txo_sum:i chain_stats.tx_count:i mempool_stats.funded_txo_count:i mempool_stats.funded_txo_sum:i mempool_stats.spent_txo_count:i mempool_stats.spent_txo_sum:i mempool_stats.tx_count:i"
	esploraCoin   = "0.txid:s 0.vout:i 0.value:i 0.status.confirmed:b"
)

// esploraPage calls a path of the API as esplora-client does, and returns what comes.
func (s *scene) esploraPage(path string, status int) string {
	s.t.Helper()
	answer, err := http.Get(strings.TrimSuffix(s.s.Web, "/") + "/api" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text := string(must[[]byte](s.t)(io.ReadAll(answer.Body)))
	if answer.StatusCode != status {
		s.t.Fatalf("%s: %s, want %d: %.200s", path, answer.Status, status, text)
	}
	return text
}

// each puts a prefix before every path of a list of what is read.
func each(prefix, read string) string {
	fields := strings.Fields(read)
	for i := range fields {
		fields[i] = prefix + fields[i]
	}
	return strings.Join(fields, " ")
}

// TestEsploraClient makes the calls of esplora-client 0.12, one by one, and looks for what it
// reads.
func TestEsploraClient(t *testing.T) {
	s := newScene(t)
	sum := sha256.Sum256(anchor)
	s.fixed["scripthash"] = hex.EncodeToString(sum[:])
	s.fixed["nothing"] = strings.Repeat("0", 64)
	for path, read := range map[string]string{
		"/tx/{mined}/status":                        strings.ReplaceAll(esploraMined, "status.", ""),
		"/tx/{parent}/status":                       "confirmed=false",
		"/tx/{mined}":                               esploraTx + " " + esploraMined,
		"/tx/{child}":                               esploraTx + " vin.0.txid={parent} status.confirmed=false",
		"/tx/{mined}/outspends":                     "0.spent=true 0.txid={parent} 0.vin=0 0.status.confirmed=false 99.spent=false",
		"/tx/{coinbase}/outspend/0":                 "spent=true txid={mined} vin=0 " + esploraMined,
		"/tx/{mined}/outspend/99":                   "spent=false",
		"/block/{first}/status":                     "in_best_chain=true height=1 next_best:s",
		"/block/{tip}/status":                       "in_best_chain=true height=6 next_best:missing",
		"/tx/{mined}/merkle-proof":                  "block_height=6 merkle.0:s pos=1",
		"/mempool":                                  "count=2 vsize:i total_fee:i fee_histogram.0.0:n fee_histogram.0.1:n",
		"/mempool/recent":                           "0.txid={child} 0.fee:i 0.vsize:i 0.value:i",
		"/mempool/txids":                            "~{parent} ~{child}",
		"/fee-estimates":                            "1:n 2:n 6:n 25:n 144:n 504:n 1008:n",
		"/address/{address}":                        "address={address} " + esploraStats,
		"/scripthash/{scripthash}":                  esploraStats,
		"/address/{address}/txs":                    each("0.", esploraTx) + " 0.txid={child} 1.txid={parent} 2.txid={mined}",
		"/address/{address}/txs/chain/{mined}":      "0.txid:s 0.status.confirmed=true 0.vin.0.is_coinbase=true 0.vin.0.prevout:z",
		"/address/{address}/txs/mempool":            each("0.", esploraTx) + " 0.txid={child} 1.txid={parent}",
		"/scripthash/{scripthash}/txs":              each("0.", esploraTx),
		"/scripthash/{scripthash}/txs/mempool":      each("0.", esploraTx),
		"/address/{address}/utxo":                   esploraCoin,
		"/scripthash/{scripthash}/utxo":             esploraCoin,
		"/block/{tip}":                              esploraBlock + " id={tip} height=6 tx_count=2",
		"/block/{genesis}":                          "height=0 previousblockhash:z",
		"/block/{tip}/txids":                        "1={mined}",
		"/block/{tip}/txs":                          "0.vin.0.is_coinbase=true 0.vin.0.prevout:z 1.txid={mined}",
		"/block/{tip}/txs/0":                        each("1.", esploraTx),
		"/blocks":                                   each("0.", esploraBlock) + " 0.id={tip} 6.id={genesis}",
		"/blocks/5":                                 "0.height=5 5.id={genesis}",
		"/address/{taproot}":                        "chain_stats.tx_count=0 mempool_stats.tx_count=0",
		"/address/{taproot}/txs":                    "0:missing",
		"/address/{taproot}/utxo":                   "0:missing",
		"/address/{address}/txs?after_txid={mined}": "0.vin.0.is_coinbase=true", // mempool.space's
	} {
		path = s.fill(path)
		var answer any
		s.decode(path, s.esploraPage(path, 200), &answer)
		s.look(path, read, answer)
	}
	for path, want := range map[string]string{"/blocks/tip/height": "6", "/blocks/tip/hash": "{tip}", "/block-height/1": "{first}", "/block/{tip}/txid/1": "{mined}"} {
		if got := s.esploraPage(s.fill(path), 200); got != s.fill(want) {
			t.Errorf("%s: %q, want %s", path, got, s.fill(want))
		}
	}
	// It takes these for None, and any other status for an error.
	for _, path := range []string{"/tx/{nothing}", "/tx/{nothing}/raw", "/tx/{nothing}/merkle-proof", "/tx/{parent}/merkle-proof", "/tx/{parent}/merkleblock-proof", "/block/{nothing}/raw", "/block/{tip}/txid/9", "/block-height/7"} {
		s.esploraPage(s.fill(path), 404)
	}
	s.esploraEncodings()
}

// esploraEncodings: what comes as bytes is read by btcd's code, and a transaction that is sent
// is taken.
func (s *scene) esploraEncodings() {
	s.t.Helper()
	var tx wire.MsgTx
	if err := tx.Deserialize(strings.NewReader(s.esploraPage(s.fill("/tx/{mined}/raw"), 200))); err != nil || tx.TxHash().String() != s.fixed["mined"] {
		s.t.Errorf("/raw is %s: %v", tx.TxHash(), err)
	}
	var block wire.MsgBlock
	if err := block.Deserialize(strings.NewReader(s.esploraPage(s.fill("/block/{tip}/raw"), 200))); err != nil || block.BlockHash().String() != s.fixed["tip"] {
		s.t.Errorf("/raw is block %s: %v", block.BlockHash(), err)
	}
	var head wire.BlockHeader
	if err := head.Deserialize(bytes.NewReader(s.bytes("/block/{tip}/header"))); err != nil || head.BlockHash().String() != s.fixed["tip"] {
		s.t.Errorf("/header is of %s: %v", head.BlockHash(), err)
	}
	var proof wire.MsgMerkleBlock
	if err := proof.BtcDecode(bytes.NewReader(s.bytes("/tx/{mined}/merkleblock-proof")), wire.ProtocolVersion, wire.WitnessEncoding); err != nil || proof.Header.BlockHash() != block.BlockHash() || proof.Transactions != 2 {
		s.t.Errorf("/merkleblock-proof: %+v, %v", proof, err)
	}
	fresh := s.fresh()
	for range 2 { // a wallet sends again what it is not sure of
		answer := must[*http.Response](s.t)(http.Post(strings.TrimSuffix(s.s.Web, "/")+"/api/tx", "", strings.NewReader(encode(fresh))))
		text := must[[]byte](s.t)(io.ReadAll(answer.Body))
		answer.Body.Close()
		if answer.StatusCode != 200 || string(text) != fresh.TxHash().String() {
			s.t.Errorf("POST /tx: %s %s", answer.Status, text)
		}
	}
}

func (s *scene) bytes(path string) []byte {
	s.t.Helper()
	return must[[]byte](s.t)(hex.DecodeString(s.esploraPage(s.fill(path), 200)))
}

// TestEsploraScan scans a script as bdk_esplora does: pages of its history behind the last
// transaction that was seen until one is short, and a checkpoint of the chain by heights.
func TestEsploraScan(t *testing.T) {
	s := newScene(t)
	c := must[*rpcclient.Client](t)(rpcclient.New(config(s.s), nil))
	defer c.Shutdown()
	const payments = 60
	for range payments {
		must[*chainhash.Hash](t)(c.SendRawTransaction(s.fresh(), false))
	}
	must[[]*chainhash.Hash](t)(c.GenerateToAddress(1, anchorAddress(t), nil))
	sum := sha256.Sum256(anchor)
	base := "/scripthash/" + hex.EncodeToString(sum[:]) + "/txs"
	seen, last := map[string]bool{}, ""
	for pages := 0; ; pages++ {
		path := base
		if last != "" {
			path += "/chain/" + last
		}
		var list []struct {
			TxID   string
			Status struct {
				Confirmed bool
				Height    int    `json:"block_height"`
				Hash      string `json:"block_hash"`
			}
		}
		s.decode(path, s.esploraPage(path, 200), &list)
		for _, tx := range list {
			if seen[tx.TxID] || !tx.Status.Confirmed || s.esploraPage("/block-height/"+strconv.Itoa(tx.Status.Height), 200) != tx.Status.Hash {
				t.Fatalf("page %d: %+v", pages, tx)
			}
			seen[tx.TxID], last = true, tx.TxID
		}
		if len(list) < 25 {
			break
		}
	}
	// The payments, two of the scene, the one that divides, and seven coinbases.
	if want := payments + 2 + 1 + 7; len(seen) != want {
		t.Errorf("%d transactions are found, want %d", len(seen), want)
	}
}

// TestMempoolJS runs @mempool/mempool.js of npm.
func TestMempoolJS(t *testing.T) {
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join("npm", "node_modules", "@mempool", "mempool.js")); err != nil || missing != nil {
		vectors.NotRun(t, "npm's client @mempool/mempool.js, because node or its modules are missing: `make clients` fetches them")
	}
	s := newScene(t)
	said := map[string]any{"host": strings.Trim(strings.TrimPrefix(s.s.Web, "http:"), "/"), "raw": encode(s.fresh())}
	for name, value := range s.fixed {
		said[name] = value
	}
	script(t, node, filepath.Join("npm", "mempool.js"), fmt.Sprintf("%s", must[[]byte](t)(json.Marshal(said))))
}
