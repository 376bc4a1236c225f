package network

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// coin is one coin in grains.
const coin = types.Amount(100_000_000)

const (
	mainFile    = "../../genesis.json"
	devFile     = "../../dev.json"
	regtestFile = "../../testdata/bitcoin-regtest.json"
)

func readFile(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t testing.TB, data string) *consensus.Params {
	t.Helper()
	p, err := Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// regtest returns the parameters of Bitcoin's regtest network.
func regtest(t testing.TB) *consensus.Params { return parse(t, readFile(t, regtestFile)) }

// The identity covers every parameter that decides which blocks are valid. The
// tests of package consensus have the same two, with the parameters typed again.
func TestIdentityOfFiles(t *testing.T) {
	for name, want := range map[string]string{
		mainFile:    "639568fb916e73f7f0924ee55184d11921b9665f57a29ff68cee8f762cd122a0",
		regtestFile: "4bea5151ea2cc11b89fd3556cbee0ba370c41376e216fac5eb9ed91988a102a5",
	} {
		if got := parse(t, readFile(t, name)).Identity().String(); got != want {
			t.Errorf("the identity of %s is %s, want %s", name, got, want)
		}
	}
}

func TestMarshalIsTheFile(t *testing.T) {
	for _, name := range []string{mainFile, devFile, regtestFile} {
		data := readFile(t, name)
		p := parse(t, data)
		if got := string(Marshal(p)); got != data {
			t.Errorf("%s is written as\n%s", name, got)
		}
	}
	// Outputs to addresses are written as such, all others as scripts; an escaped
	// message is the same message.
	p := parse(t, readFile(t, devFile))
	p.Genesis.Outputs = append(p.Genesis.Outputs[:2], types.TxOut{Value: 1, ScriptPubKey: []byte{0x51}})
	p.Genesis.Message = "<\"é\u2028\\\x01>"
	p.Bootstrap = consensus.Bootstrap{Nodes: []string{"00ff@seed.example:9555"}, DNS: []string{"dns.example"}}
	p.AssumeValid, p.MinimumChainWork = types.Hash{1, 2}, consensus.Uint256{1, 2, 3, 4}
	if err := MineGenesis(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(Marshal(p)))
	if !reflect.DeepEqual(p, again) {
		t.Errorf("written and read again:\n%+v\n%+v", p, again)
	}
	if d := Diff(p, again); d != nil {
		t.Errorf("differences from itself: %v", d)
	}
}

const bitcoinAddress = "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6"

// badFiles are files with one fault each: Bitcoin's regtest file with from
// replaced by to, or to alone.
var badFiles = []struct{ name, from, to, field string }{
	{"empty", "", "", "the file"},
	{"not JSON", "{\n", "{,", "the file"},
	{"a list", "", "[]", "the file: want an object"},
	{"ends early", "\n}\n", "\n", "the file"},
	{"ends in a list", "", `{"bootstrap": {"nodes": ["x"`, "bootstrap.nodes"},
	{"goes on", "\n}\n", "\n}{}", "something stands after the end"},
	{"not UTF-8", `"name": "`, "\"name\": \"\xff", "not UTF-8"},
	{"unknown field", `"name"`, `"color": 1, "name"`, `"color": unknown field`},
	{"unknown inner field", `"p2p"`, `"tor": 1, "p2p"`, `"ports.tor": unknown field`},
	{"another case", `"name"`, `"Name"`, `"Name": unknown field`},
	{"twice", `"name"`, `"name": "x", "name"`, "name: stands there twice"},
	{"twice, escaped", `"name"`, `"n\u0061me": "x", "name"`, "name: stands there twice"},
	{"missing", `  "hrp": "bcrt",`, "", "hrp: missing"},
	{"missing inside", `"p2p": 18444,`, "", "ports.p2p: missing"},
	{"missing in a list", `,
        "amount": "50.00000000"`, "", "genesis.outputs[0].amount: missing"},
	{"null", `"bcrt"`, "null", "hrp"},
	{"null number", `"coinbase_maturity": 100`, `"coinbase_maturity": null`, "coinbase_maturity: want a uint32"},
	{"null list", `"nodes": []`, `"nodes": null`, "bootstrap.nodes: want a list"},
	{"null object", `"difficulty": {
    "algorithm": "fixed"
  }`, `"difficulty": null`, "difficulty: want an object"},
	{"text for a number", "600", `"600"`, "target_spacing"},
	{"number for a text", `"bcrt"`, "7", "hrp"},
	{"fraction", "600", "600.5", "target_spacing"},
	{"negative", "600", "-1", "target_spacing"},
	{"too large a number", "18444", "65536", "ports.p2p"},
	{"list for a text", `"bcrt"`, `["bcrt"]`, "hrp"},

	{"empty name", `"regtest"`, `""`, "name"},
	{"capitals in the name", `"regtest"`, `"Bitcoin"`, "name"},
	{"a flag for a name", `"regtest"`, `"-h"`, "name"},
	{"dots in the name", `"regtest"`, `"a/../b"`, "name"},
	{"long name", `"regtest"`, `"` + strings.Repeat("a", 33) + `"`, "name"},
	{"line in the name", `"regtest"`, `"a\nb"`, "name"},
	{"empty hrp", `"bcrt"`, `""`, "hrp"},
	{"capitals in the hrp", `"bcrt"`, `"BCRT"`, "hrp"},
	{"long hrp", `"bcrt"`, `"` + strings.Repeat("b", 31) + `"`, "hrp"},
	{"short magic", `"fabfb5da"`, `"fabfb5"`, "magic"},
	{"capitals in the magic", `"fabfb5da"`, `"FABFB5DA"`, "magic"},
	{"no magic", `"fabfb5da"`, `"00000000"`, "magic"},
	{"port 0", "18444", "0", "ports.p2p"},
	{"rpc port 0", "18443", "0", "ports.rpc"},
	{"equal ports", "18443", "18444", "ports.rpc"},

	{"no hexadecimal bits", `"207fffff"`, `"207ffffg"`, "genesis.bits"},
	{"zero bits", `"207fffff"`, `"00000000"`, "genesis.bits"},
	{"negative bits", `"207fffff"`, `"2080ffff"`, "genesis.bits"},
	{"overflowing bits", `"207fffff"`, `"237fffff"`, "genesis.bits"},
	{"long form of bits", `"207fffff"`, `"1e000001"`, "genesis.bits"},
	{"bits easier than the limit", `"7fff`, `"0fff`, "genesis.bits"},
	{"wrong nonce", `"nonce": 2`, `"nonce": 7`, "genesis.nonce"},
	{"version too large", `"version": 1`, `"version": 2147483648`, "genesis.version"},
	{"empty message", `"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"`, `""`, "genesis.message"},
	{"long message", `"The Times`, `"` + strings.Repeat("x", 30) + "The Times", "genesis.message"},
	{"neither address nor script", `"script"`, `"address": "", "script": "", "amount": "0"}, {"script"`, "genesis.outputs[0]"},
	{"address and script", `"script"`, `"address": "` + bitcoinAddress + `", "script"`, "genesis.outputs[0]: want either"},
	{"address of another network", `"script"`, `"address": "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "amount": "1"}, {"script"`, "genesis.outputs[0].address"},
	{"no hexadecimal script", `"4104`, `"410x`, "genesis.outputs[0].script"},
	{"capitals in a script", `5fac"`, `5fAC"`, "genesis.outputs[0].script"},
	{"long script", `"4104`, `"` + strings.Repeat("00", 10_000) + "4104", "genesis.outputs[0].script"},
	{"negative amount", `"50.00000000"`, `"-1"`, "genesis.outputs[0].amount"},
	{"nine decimals", `"50.00000000"`, `"1.000000000"`, "genesis.outputs[0].amount"},
	{"amount above all money", `"50.00000000"`, `"21000000.00000001"`, "genesis.outputs[0].amount"},
	{"no outputs", `[
      {
        "script": "4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac",
        "amount": "50.00000000"
      }
    ]`, "[]", "genesis.outputs"},
	{"too many outputs", `"script"`, strings.Repeat(`"script": "6a", "amount": "0"}, {`, 10_000) + `"script"`, "genesis.outputs"},
	{"genesis block too heavy", `"max_block_weight": 4000000`, `"max_block_weight": 40000`, "genesis.outputs"},

	{"no spacing", `"target_spacing": 600`, `"target_spacing": 0`, "target_spacing"},
	{"spacing over a week", `"target_spacing": 600`, `"target_spacing": 604801`, "target_spacing"},
	{"unknown algorithm", `"fixed"`, `"lwma"`, "difficulty.algorithm"},
	{"half-life of fixed", `"fixed"`, `"fixed", "half_life": 1`, "difficulty.half_life"},
	{"asert without half-life", `"fixed"`, `"asert"`, "difficulty.half_life"},
	{"zero limit", `"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"`, `"` + strings.Repeat("0", 64) + `"`, "pow_limit"},
	{"short limit", `"7fff`, `"7ff`, "pow_limit"},
	{"capitals in the limit", `"7fff`, `"7fFf`, "pow_limit"},
	{"no subsidy text", `"initial_subsidy": "50.00000000"`, `"initial_subsidy": ""`, "initial_subsidy"},
	{"no interval", `"halving_interval": 150`, `"halving_interval": 0`, "halving_interval"},
	{"no money", `"21000000.00000000"`, `"0"`, "genesis.outputs[0].amount"},
	{"less money than there will be", `"21000000.00000000"`, `"15000"`, "max_money"},
	{"more money than arithmetic allows", `"21000000.00000000"`, `"23058430092.13693953"`, "max_money"},
	{"weight below the least", `"max_block_weight": 4000000`, `"max_block_weight": 39999`, "max_block_weight"},
	{"weight above the most", `"max_block_weight": 4000000`, `"max_block_weight": 16000001`, "max_block_weight"},
	{"empty bootstrap node", `"nodes": []`, `"nodes": ["a@b:1", ""]`, "bootstrap.nodes[1]"},
	{"space in a name", `"dns": []`, `"dns": ["a b"]`, "bootstrap.dns[0]"},
	{"line in a name", `"dns": []`, `"dns": ["a\nb"]`, "bootstrap.dns[0]"},
	{"long name of a peer", `"dns": []`, `"dns": ["` + strings.Repeat("a", 513) + `"]`, "bootstrap.dns[0]"},
	{"too many peers", `"dns": []`, `"dns": ["a"` + strings.Repeat(`, "a"`, 1000) + `]`, "bootstrap.dns"},
	{"short work", `"minimum_chain_work": "0`, `"minimum_chain_work": "`, "minimum_chain_work"},
	{"short hash", `"assume_valid": "0`, `"assume_valid": "`, "assume_valid"},
	{"capitals in a hash", `"assume_valid": "00`, `"assume_valid": "AA`, "assume_valid"},
}

// Each case is a file with one fault; the error is one line that names the
// field.
func TestParamsAreStrict(t *testing.T) {
	good := readFile(t, regtestFile)
	for _, test := range badFiles {
		t.Run(test.name, func(t *testing.T) {
			data := test.to
			if test.from != "" {
				if data = strings.Replace(good, test.from, test.to, 1); data == good {
					t.Fatalf("the file has no %q", test.from)
				}
			}
			if test.name == "genesis block too heavy" {
				data = strings.Replace(data, `"script"`, strings.Repeat(`"script": "6a", "amount": "0"}, {`, 1000)+`"script"`, 1)
			}
			_, err := Parse([]byte(data))
			if !errors.Is(err, ErrFile) {
				t.Fatalf("got %v", err)
			}
			if want := "bad network file: " + test.field; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %q, want %q", err, want)
			}
			if text := err.Error(); strings.ContainsAny(text, "\r\n") || len(text) > 300 {
				t.Errorf("the error is not one short line: %q", text)
			}
		})
	}
}

// The limits themselves are allowed.
func TestParamsAtTheirLimits(t *testing.T) {
	good := readFile(t, regtestFile)
	for _, change := range [][2]string{
		{`"regtest"`, `"` + strings.Repeat("a", 32) + `"`},
		{`"bcrt"`, `"` + strings.Repeat("b", 30) + `"`},
		{`"target_spacing": 600`, `"target_spacing": 604800`},
		{`"target_spacing": 600`, `"target_spacing": 1`},
		{`"fixed"`, `"asert", "half_life": 4294967295`},
		{`"halving_interval": 150`, `"halving_interval": 209999`},
		{`"21000000.00000000"`, `"23058430092.13693952"`},
		{`"initial_subsidy": "50.00000000"`, `"initial_subsidy": "0"`},
		{`"coinbase_maturity": 100`, `"coinbase_maturity": 0`},
		{`"coinbase_maturity": 100`, `"coinbase_maturity": 4294967295`},
		{`"max_block_weight": 4000000`, `"max_block_weight": 40000`},
		{`"max_block_weight": 4000000`, `"max_block_weight": 16000000`},
		{`"7fff`, `"ffff`},
		{`"dns": []`, `"dns": ["` + strings.Repeat("a", 512) + `"]`},
	} {
		data := strings.Replace(good, change[0], change[1], 1)
		p, err := Parse([]byte(data))
		if data == good || err != nil {
			t.Errorf("%s: %v", change[1], err)
			continue
		}
		if again := parse(t, string(Marshal(p))); !reflect.DeepEqual(p, again) {
			t.Errorf("%s: written and read again it differs", change[1])
		}
	}
	p := regtest(t)
	for _, length := range []int{1, 75, 76, 91} {
		p.Genesis.Message = strings.Repeat("m", length)
		if err := Check(p); err != nil {
			t.Errorf("a message of %d bytes: %v", length, err)
		}
	}
}

// Allocations and subsidies together are held against max_money exactly.
func TestSupplyLimit(t *testing.T) {
	p := regtest(t)
	p.InitialSubsidy, p.HalvingInterval = 7, 10
	p.Genesis.Outputs = []types.TxOut{{Value: 1000, ScriptPubKey: []byte{0x52, 2, 0, 1}}, {Value: 23, ScriptPubKey: []byte{0x52, 2, 0, 2}}}
	p.MaxMoney = 1000 + 23 + 10*(7+3+1)
	if err := Check(p); err != nil {
		t.Error(err)
	}
	p.MaxMoney--
	if err := Check(p); err == nil || !strings.Contains(err.Error(), "max_money") {
		t.Errorf("one grain less: %v", err)
	}
	// Subsidies that would overflow are refused, not wrapped round.
	p.MaxMoney, p.InitialSubsidy, p.HalvingInterval = maxMoneyLimit, 1<<60, 1<<31
	if err := Check(p); err == nil {
		t.Error("2^91 grains pass")
	}
}

func TestAllocate(t *testing.T) {
	p := parse(t, readFile(t, devFile))
	address := "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j"
	if err := Allocate(p, []string{address + "=1.5", address + "=2"}); err != nil {
		t.Fatal(err)
	}
	all := types.Amount(0)
	for subsidy := p.InitialSubsidy; subsidy > 0; subsidy >>= 1 {
		all += subsidy * types.Amount(p.HalvingInterval)
	}
	if len(p.Genesis.Outputs) != 2 || p.Genesis.Outputs[0].Value != 3*coin/2 || p.MaxMoney != all+7*coin/2 || Check(p) != nil {
		t.Errorf("outputs %v, max money %s, check %v", p.Genesis.Outputs, p.MaxMoney, Check(p))
	}
	if err := Allocate(p, nil); err != nil || len(p.GenesisCoins()) != 0 || p.MaxMoney != all || Check(p) != nil {
		t.Errorf("nothing allocated: %v, max money %s", err, p.MaxMoney)
	}
	for _, bad := range []string{address, "krt1=1", address + "=x", address + "=23058430093"} {
		if err := Allocate(p, []string{bad}); err == nil {
			t.Errorf("%q is allocated", bad)
		}
	}
	p.HalvingInterval = 0
	if err := Allocate(p, nil); err == nil {
		t.Error("a network without an interval gets a supply")
	}
}

func TestDiff(t *testing.T) {
	a, b := regtest(t), regtest(t)
	if d := Diff(a, b); d != nil {
		t.Errorf("no differences are %v", d)
	}
	b.Genesis.Nonce, b.Ports.RPC, b.Bootstrap.Nodes = 7, 1, []string{"x"}
	b.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 600}
	want := []Difference{
		{"bootstrap.nodes[0]", "", "x"}, {"difficulty.algorithm", "fixed", "asert"}, {"difficulty.half_life", "", "600"},
		{"genesis.nonce", "2", "7"}, {"ports.rpc", "18443", "1"},
	}
	if d := Diff(a, b); !slices.Equal(d, want) {
		t.Errorf("differences are %v", d)
	}
}

func TestMineGenesis(t *testing.T) {
	p := regtest(t)
	p.Genesis.Bits = 0x1f00ffff // 2^16 hashes
	p.Genesis.Message = "a test"
	if err := MineGenesis(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	parse(t, string(Marshal(p)))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	p.Genesis.Bits = 0x03000001
	if err := MineGenesis(cancelled, p, nil); err == nil {
		t.Error("bits that are no target are mined")
	}
	p.Genesis.Bits = 0x01010000 // a target of one
	if err := MineGenesis(cancelled, p, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("without a context: %v", err)
	}
	p.Genesis.Bits = 0x21000100
	p.PowLimit = consensus.Uint256{1}
	if err := MineGenesis(t.Context(), p, nil); !errors.Is(err, ErrFile) {
		t.Errorf("bits that no block can have: %v", err)
	}
}

// A file is refused in one line of ErrFile, or is a network that is written
// and read again as the same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{mainFile, devFile, regtestFile} {
		f.Add([]byte(readFile(f, name)))
	}
	f.Add([]byte(`{"bootstrap": {"nodes": ["x"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrFile) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("the error is %q", err)
			}
			return
		}
		again, err := Parse(Marshal(p))
		if err != nil || !reflect.DeepEqual(p, again) || p.Identity() != again.Identity() || Diff(p, again) != nil {
			t.Fatalf("written and read again (%v):\n%+v\n%+v", err, p, again)
		}
		consensus.NextBits(p, &consensus.State{Index: types.Index{Height: 7}, Header: types.Header{Timestamp: 7}})
	})
}

// Each field of the file is in the table of docs/consensus.md.
func TestDocsListEveryField(t *testing.T) {
	text, err := os.ReadFile("../../docs/consensus.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		for i := range of.NumField() {
			field := of.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name = strings.TrimPrefix(path+"."+name, "."); field.Type.Kind() == reflect.Struct {
				walk(name, field.Type)
			} else if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("%s is not in docs/consensus.md", name)
			}
		}
	}
	walk("", reflect.TypeFor[file]())
}
