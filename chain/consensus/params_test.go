package consensus

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// Bitcoin's regtest genesis block, as every node of Bitcoin has it.
func TestGenesisOfBitcoin(t *testing.T) {
	const want = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a" +
		"dae5494dffff7f20020000000101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054" +
		"696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff" +
		"0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d57" +
		"8a4c702b6bf11d5fac00000000"
	genesis := regtest(t).GenesisBlock()
	if got := hex.EncodeToString(genesis.Raw); got != want {
		t.Errorf("the genesis block is %s", got)
	}
	if got := genesis.Hash.String(); got != "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206" {
		t.Errorf("its hash is %s", got)
	}
	// Bitcoin's main network differs in time, bits and nonce.
	main := regtest(t)
	main.Genesis.Timestamp, main.Genesis.Bits, main.Genesis.Nonce = 1231006505, 0x1d00ffff, 2083236893
	if got := main.GenesisBlock().Hash.String(); got != "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f" {
		t.Errorf("Bitcoin's genesis hash is %s", got)
	}
}

// The longest message makes the longest script that a coinbase may have.
func TestGenesisScript(t *testing.T) {
	p := regtest(t)
	for length, want := range map[int]int{1: 9, 75: 83, 76: 85, 91: 100} {
		p.Genesis.Message = strings.Repeat("m", length)
		if got := len(p.Genesis.coinbaseScript()); got != want {
			t.Errorf("a message of %d bytes makes a script of %d, want %d", length, got, want)
		}
	}
}

// The identity depends on all that decides which blocks are valid, and on
// nothing else.
func TestIdentity(t *testing.T) {
	base := regtest(t).Identity()
	if got := base.String(); got != "4bea5151ea2cc11b89fd3556cbee0ba370c41376e216fac5eb9ed91988a102a5" {
		t.Errorf("the identity of Bitcoin's regtest is %s", got)
	}
	if got := mainNetwork().Identity().String(); got != "639568fb916e73f7f0924ee55184d11921b9665f57a29ff68cee8f762cd122a0" {
		t.Errorf("the identity of the main network is %s", got)
	}
	for name, change := range map[string]func(*Params){
		"timestamp": func(p *Params) { p.Genesis.Timestamp++ },
		"bits":      func(p *Params) { p.Genesis.Bits-- },
		"nonce":     func(p *Params) { p.Genesis.Nonce++ },
		"version":   func(p *Params) { p.Genesis.Version++ },
		"message":   func(p *Params) { p.Genesis.Message += "!" },
		"value":     func(p *Params) { p.Genesis.Outputs[0].Value++ },
		"script":    func(p *Params) { p.Genesis.Outputs[0].ScriptPubKey = []byte{0x6a} },
		"spacing":   func(p *Params) { p.TargetSpacing++ },
		"algorithm": func(p *Params) { p.Difficulty.Algorithm = DifficultyASERT },
		"half-life": func(p *Params) { p.Difficulty.HalfLife++ },
		"limit":     func(p *Params) { p.PowLimit[0]-- },
		"limit 3":   func(p *Params) { p.PowLimit[3]-- },
		"subsidy":   func(p *Params) { p.InitialSubsidy++ },
		"interval":  func(p *Params) { p.HalvingInterval++ },
		"money":     func(p *Params) { p.MaxMoney++ },
		"maturity":  func(p *Params) { p.CoinbaseMaturity++ },
		"weight":    func(p *Params) { p.MaxBlockWeight++ },
	} {
		p := regtest(t)
		change(p)
		if p.Identity() == base {
			t.Errorf("another %s is the same network", name)
		}
	}
	p := regtest(t)
	p.Name, p.HRP, p.Magic, p.Ports = "other", "xyz", [4]byte{1}, Ports{1, 2}
	p.Bootstrap.DNS, p.MinimumChainWork, p.AssumeValid = []string{"x"}, Uint256{1}, types.Hash{1}
	if p.Identity() != base {
		t.Error("names and peers make another network")
	}
}

// Allocations are coins that do not have to mature; other outputs are none.
func TestGenesisCoins(t *testing.T) {
	p := regtest(t)
	p.Genesis.Outputs = []types.TxOut{
		{Value: 1, ScriptPubKey: chaintest.Anyone(1)},
		{Value: 2, ScriptPubKey: append([]byte{0x00, 0x14}, make([]byte, 20)...)},
		{Value: 3, ScriptPubKey: []byte{0x6a}},
		{Value: 4, ScriptPubKey: []byte{0x51}},
		{Value: 5, ScriptPubKey: chaintest.KeyScript()},
	}
	coins := p.GenesisCoins()
	txid := p.GenesisBlock().TxIDs[0]
	if len(coins) != 2 {
		t.Fatalf("coins are %v", coins)
	}
	for i, want := range []struct {
		index uint32
		value types.Amount
	}{{0, 1}, {4, 5}} {
		entry := coins[i]
		if entry.OutPoint != (types.OutPoint{TxID: txid, Index: want.index}) || entry.Coin.Value != want.value ||
			entry.Coin.Height != 0 || entry.Coin.IsCoinbase || !bytes.Equal(entry.Coin.ScriptPubKey(), p.Genesis.Outputs[want.index].ScriptPubKey) {
			t.Errorf("coin %d is %+v", i, entry)
		}
	}
}

// The whole supply, era by era, and the border between two eras.
func TestSubsidy(t *testing.T) {
	bitcoin := regtest(t)
	bitcoin.HalvingInterval = 210_000
	for _, test := range []struct {
		params *Params
		first  types.Amount
		total  string // with a subsidy at height 0
	}{
		{bitcoin, 50 * coin, "20999999.97690000"},
		{mainNetwork(), 10 * coin, "41999999.72700000"},
	} {
		p := test.params
		interval := p.HalvingInterval
		if Subsidy(p, 0) != 0 || Subsidy(p, 1) != test.first || Subsidy(p, interval-1) != test.first || Subsidy(p, interval) != test.first/2 {
			t.Errorf("%s: the first subsidies are wrong", p.Name)
		}
		total := Subsidy(p, 1)
		for era := uint32(0); era < 70; era++ {
			from, to := max(era*interval, 1), era*interval+interval-1
			if Subsidy(p, from) != Subsidy(p, to) {
				t.Errorf("%s: era %d begins with %s and ends with %s", p.Name, era, Subsidy(p, from), Subsidy(p, to))
			}
			total += Subsidy(p, from) * types.Amount(to-from+1)
		}
		if total.String() != test.total {
			t.Errorf("%s: all subsidies are %s, want %s", p.Name, total, test.total)
		}
	}
	p := &Params{InitialSubsidy: 1 << 61, HalvingInterval: 1}
	for height, want := range map[uint32]types.Amount{1: 1 << 60, 61: 1, 62: 0, 63: 0, 64: 0, 65: 0, 128: 0, 0xffffffff: 0} {
		if got := Subsidy(p, height); got != want {
			t.Errorf("height "+strconv.Itoa(int(height))+": %d, want %d", got, want)
		}
	}
}
