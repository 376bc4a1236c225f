package rpc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/vectors"
	"github.com/karatcoin/karat/node"
)

// gbtMiner mines by getblocktemplate. It is written from BIP22, BIP23 and BIP145, and
// uses nothing of karat: what it makes of an answer is what any miner would.
type gbtMiner struct {
	s      *server
	script []byte // that it pays to by itself; nil: it takes coinbasetxn
	nonce  uint64 // the extra nonce of its own coinbases
	last   struct {
		coinbase, block []byte
	}
}

// gbtTemplate is what it reads of an answer.
type gbtTemplate struct {
	Version           uint32
	PreviousBlockHash string
	Transactions      []struct {
		Data, TxID, Hash string
		Depends          []int
		Fee              int64
		Weight           int
	}
	CoinbaseTxn *struct {
		Data, TxID string
		Fee        int64
		Required   bool
	}
	CoinbaseValue            uint64
	LongPollID               string
	Target, Bits             string
	MinTime, CurTime         uint32
	Mutable                  []string
	NonceRange               string
	Height                   uint32
	WeightLimit              int
	DefaultWitnessCommitment string `json:"default_witness_commitment"`
}

func (m *gbtMiner) template(longPollID string) (t gbtTemplate) {
	m.s.t.Helper()
	request := map[string]any{"rules": []string{"segwit"}, "capabilities": []string{"coinbasevalue", "longpoll", "proposal"}}
	if m.script == nil {
		request["capabilities"] = []string{"coinbasetxn", "coinbasevalue", "longpoll", "workid"}
	}
	if longPollID != "" {
		request["longpollid"] = longPollID
	}
	return call[gbtTemplate](m.s, "getblocktemplate", request)
}

func doubleHash(b []byte) []byte {
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return second[:]
}

// unhex decodes, and turns hashes around, which are shown in reverse.
func unhex(t testing.TB, s string, reverse bool) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	if reverse {
		slices.Reverse(b)
	}
	return b
}

// coinbase returns the coinbase without its witness: the node's, or one of its own.
func (m *gbtMiner) coinbase(t gbtTemplate) []byte {
	if m.script == nil {
		if t.CoinbaseTxn == nil {
			m.s.t.Fatal("there is no coinbasetxn")
		}
		return unhex(m.s.t, t.CoinbaseTxn.Data, false)
	}
	if t.CoinbaseTxn != nil {
		m.s.t.Fatal("coinbasetxn comes unasked")
	}
	m.nonce++
	var script []byte
	if t.Height <= 16 {
		script = []byte{0x50 + byte(t.Height)}
	} else {
		number := binary.LittleEndian.AppendUint32(nil, t.Height)
		for len(number) > 1 && number[len(number)-1] == 0 && number[len(number)-2] < 0x80 {
			number = number[:len(number)-1]
		}
		script = append([]byte{byte(len(number))}, number...)
	}
	script = binary.BigEndian.AppendUint64(append(script, 8), m.nonce)
	tx := []byte{1, 0, 0, 0, 1}
	tx = append(append(tx, make([]byte, 32)...), 0xff, 0xff, 0xff, 0xff)
	tx = append(append(tx, byte(len(script))), script...)
	tx = append(tx, 0xff, 0xff, 0xff, 0xff, 2)
	tx = append(binary.LittleEndian.AppendUint64(tx, t.CoinbaseValue), byte(len(m.script)))
	tx = append(append(tx, m.script...), make([]byte, 8)...)
	commitment := unhex(m.s.t, t.DefaultWitnessCommitment, false)
	return append(append(append(tx, byte(len(commitment))), commitment...), 0, 0, 0, 0)
}

// block returns the block of a template: one with a nonce and without the coinbase's
// witness, to be submitted, or the other way round, to be proposed.
func (m *gbtMiner) block(t gbtTemplate, work bool) []byte {
	m.last.coinbase = m.coinbase(t)
	level := [][]byte{doubleHash(m.last.coinbase)}
	whole := m.last.coinbase
	if !work { // nobody adds the witness of a proposal
		whole = slices.Concat(whole[:4], []byte{0, 1}, whole[4:len(whole)-4], []byte{1, 32}, make([]byte, 32), whole[len(whole)-4:])
	}
	body := append([]byte{byte(1 + len(t.Transactions))}, whole...)
	for _, tx := range t.Transactions {
		level = append(level, unhex(m.s.t, tx.TxID, true))
		body = append(body, unhex(m.s.t, tx.Data, false)...)
	}
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		var next [][]byte
		for i := 0; i < len(level); i += 2 {
			next = append(next, doubleHash(append(slices.Clone(level[i]), level[i+1]...)))
		}
		level = next
	}
	header := binary.LittleEndian.AppendUint32(nil, t.Version)
	header = append(header, unhex(m.s.t, t.PreviousBlockHash, true)...)
	header = append(header, level[0]...)
	header = binary.LittleEndian.AppendUint32(header, t.CurTime)
	header = append(header, unhex(m.s.t, t.Bits, true)...)
	header = binary.LittleEndian.AppendUint32(header, 0)
	target := unhex(m.s.t, t.Target, false)
	for nonce := uint32(0); ; nonce++ {
		binary.LittleEndian.PutUint32(header[76:], nonce)
		hash := doubleHash(header)
		slices.Reverse(hash)
		if met := bytes.Compare(hash, target) <= 0; met == work {
			return append(header, body...)
		}
	}
}

// submit submits a block, and returns what the node says: nothing if it is good.
func (m *gbtMiner) submit(block []byte) string {
	m.s.t.Helper()
	return call[string](m.s, "submitblock", hex.EncodeToString(block))
}

func (m *gbtMiner) propose(block []byte) string {
	m.s.t.Helper()
	return call[string](m.s, "getblocktemplate", map[string]any{"mode": "proposal", "rules": []string{"segwit"}, "data": hex.EncodeToString(block)})
}

// mined is a block as the node tells of it.
type mined struct {
	Height int
	Tx     []struct {
		TxID string
		Vin  []struct{ TxInWitness []string }
		Vout []struct {
			Value        json.Number
			ScriptPubKey struct{ Hex, Type string }
		}
	}
}

// TestMinersByTemplate: a miner who takes the node's coinbase and one who makes his own
// take turns, with transactions that wait.
func TestMinersByTemplate(t *testing.T) {
	pays := append([]byte{0x51, 0x20}, bytes.Repeat([]byte{0xab}, 32)...)
	own := append([]byte{0x51, 0x20}, bytes.Repeat([]byte{0xcd}, 32)...)
	s := start(t, func(c *node.Config) { c.MineTo = pays })
	call[[]string](s, "generatetoaddress", 8, s.anchor)
	miners := []*gbtMiner{{s: s}, {s: s, script: own}}
	coinbases := map[string]bool{}
	for round := range 6 {
		m := miners[round%2]
		var waiting []string
		if round < 4 {
			waiting = append(waiting, s.spend(1+round))
		}
		tpl := m.template("")
		if len(tpl.Transactions) != len(waiting) || tpl.WeightLimit != 4_000_000 || tpl.NonceRange != "00000000ffffffff" || tpl.CurTime < tpl.MinTime {
			t.Fatalf("round %d: %+v", round, tpl)
		}
		if got := m.propose(m.block(tpl, false)); got != "" {
			t.Fatalf("round %d: the proposal is %s", round, got)
		}
		block := m.block(tpl, true)
		if got := m.submit(append(slices.Clone(block), 0xff)); got != "" {
			t.Fatalf("round %d: %s", round, got)
		}
		if got := m.submit(block); got != "duplicate" {
			t.Fatalf("round %d, once more: %s", round, got)
		}
		if coinbases[string(m.last.coinbase)] {
			t.Fatalf("round %d: two coinbases are the same", round)
		}
		coinbases[string(m.last.coinbase)] = true
		tip := call[mined](s, "getblock", call[string](s, "getbestblockhash"), 2)
		if tip.Height != 9+round || len(tip.Tx) != 1+len(waiting) || len(waiting) > 0 && tip.Tx[1].TxID != waiting[0] {
			t.Fatalf("round %d: %+v", round, tip)
		}
		want := hex.EncodeToString(pays)
		if m.script != nil {
			want = hex.EncodeToString(m.script)
		}
		if got := tip.Tx[0].Vout[0].ScriptPubKey; got.Hex != want || got.Type != "witness_v1_taproot" {
			t.Fatalf("round %d pays to %+v", round, got)
		}
		if w := tip.Tx[0].Vin[0].TxInWitness; len(w) != 1 || w[0] != strings.Repeat("00", 32) {
			t.Fatalf("round %d: the coinbase's witness is %v", round, w)
		}
	}
}

// TestGBTRefusals: what a miner is told who does something wrong.
func TestGBTRefusals(t *testing.T) {
	s := start(t, func(c *node.Config) { c.MineTo = append([]byte{0x51, 0x20}, make([]byte, 32)...) })
	m := &gbtMiner{s: s, script: append([]byte{0x51, 0x20}, make([]byte, 32)...)}
	tpl := m.template("")
	for name, test := range map[string]struct {
		change func(*gbtTemplate, *gbtMiner)
		want   string
	}{
		"too much":             {func(t *gbtTemplate, _ *gbtMiner) { t.CoinbaseValue++ }, "bad-cb-amount"},
		"an old kind of payee": {func(_ *gbtTemplate, m *gbtMiner) { m.script = append([]byte{0, 20}, make([]byte, 20)...) }, "bad-txns-vout-script"},
		"another height":       {func(t *gbtTemplate, _ *gbtMiner) { t.Height++ }, "bad-cb-height"},
		"an old version":       {func(t *gbtTemplate, _ *gbtMiner) { t.Version = 1 }, "bad-version(0x00000001)"},
		"an old time":          {func(t *gbtTemplate, _ *gbtMiner) { t.CurTime = t.MinTime - 1 }, "time-too-old"},
		"another commitment":   {func(t *gbtTemplate, _ *gbtMiner) { t.DefaultWitnessCommitment = t.DefaultWitnessCommitment[:74] + "ff" }, "bad-witness-merkle-match"},
	} {
		bad, other := tpl, *m
		test.change(&bad, &other)
		if got := other.propose(other.block(bad, false)); got != test.want {
			t.Errorf("%s: the proposal is %s, want %s", name, got, test.want)
		}
		if got := other.submit(other.block(bad, true)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	lazy := m.block(tpl, false)
	if got := m.submit(lazy); got != "high-hash" {
		t.Errorf("without work: %s", got)
	}
	far := tpl
	far.PreviousBlockHash = strings.Repeat("ab", 32)
	if got := m.propose(m.block(far, false)); got != "inconclusive-not-best-prevblk" {
		t.Errorf("on another tip: the proposal is %s", got)
	}
	if got := m.submit(m.block(far, true)); got != "prev-blk-not-found" {
		t.Errorf("on another tip: %s", got)
	}
	if n := call[int](s, "getblockcount"); n != 0 {
		t.Errorf("there are %d blocks", n)
	}
}

// TestLongPollOfMiner: a miner who waits has new work when a block comes.
func TestLongPollOfMiner(t *testing.T) {
	s := start(t, func(c *node.Config) { c.MineTo = append([]byte{0x51, 0x20}, make([]byte, 32)...) })
	m := &gbtMiner{s: s}
	first := m.template("")
	answer := make(chan gbtTemplate)
	go func() { answer <- m.template(first.LongPollID) }()
	other := &gbtMiner{s: s}
	if got := other.submit(other.block(other.template(""), true)); got != "" {
		t.Fatal(got)
	}
	second := <-answer
	if tip := call[string](s, "getbestblockhash"); second.Height != 2 || second.PreviousBlockHash != tip || second.LongPollID == first.LongPollID {
		t.Errorf("%+v on %s", second, tip)
	}
}

// TestMinerd: cpuminer as it is mines to a taproot address.
func TestMinerd(t *testing.T) {
	minerd := os.Getenv("KARAT_MINERD")
	if minerd == "" {
		vectors.NotRun(t, "mining by getblocktemplate with cpuminer, because KARAT_MINERD does not name its minerd")
	}
	pays := append([]byte{0x51, 0x20}, bytes.Repeat([]byte{0xab}, 32)...)
	s := start(t, func(c *node.Config) { c.MineTo = pays })
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, minerd, "-a", "sha256d", "-t", "1", "-o", s.url, "-O", s.cookie)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const blocks = 5
	deadline := time.Now().Add(time.Minute)
	for call[int](s, "getblockcount") < blocks && time.Now().Before(deadline) {
		call[any](s, "waitforblockheight", blocks, 1000)
	}
	stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if n := call[int](s, "getblockcount"); n < blocks {
		t.Fatalf("%d blocks\n%s", n, log.String())
	}
	for height := 1; height <= blocks; height++ {
		b := call[mined](s, "getblock", call[string](s, "getblockhash", height), 2)
		if got := b.Tx[0].Vout[0].ScriptPubKey.Hex; got != hex.EncodeToString(pays) {
			t.Errorf("block %d pays to %s", height, got)
		}
	}
	t.Logf("cpuminer mined %d blocks", call[int](s, "getblockcount"))
}
