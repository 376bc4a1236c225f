package filter

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dchest/siphash"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// BIP158's parameters of basic filters, written down once more.
const (
	bip158P = 19
	bip158M = 784931
)

func parseHash(t testing.TB, s string) types.Hash {
	t.Helper()
	hash, err := types.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// naiveValues are the values of a block's filter as BIP158 words them: 64 bits
// of SipHash times the range, shifted right by 64, sorted.
func naiveValues(block types.Hash, n int, scripts [][]byte) []uint64 {
	k0, k1 := binary.LittleEndian.Uint64(block[:8]), binary.LittleEndian.Uint64(block[8:16])
	var values []uint64
	for _, script := range scripts {
		v := new(big.Int).SetUint64(siphash.Hash(k0, k1, script))
		v.Mul(v, new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(bip158M)))
		values = append(values, v.Rsh(v, 64).Uint64())
	}
	slices.Sort(values)
	return values
}

// naiveBits is a text of zeros and ones, one a bit.
func naiveBits(b []byte) (text []byte) {
	for _, x := range b {
		for i := 7; i >= 0; i-- {
			text = append(text, '0'+x>>i&1)
		}
	}
	return text
}

// naiveEncode builds the filter of distinct scripts in text.
func naiveEncode(block types.Hash, scripts [][]byte) []byte {
	var text []byte
	last := uint64(0)
	for _, value := range naiveValues(block, len(scripts), scripts) {
		text = append(text, bytes.Repeat([]byte{'1'}, int((value-last)>>bip158P))...)
		text = append(text, '0')
		for i := bip158P - 1; i >= 0; i-- {
			text = append(text, '0'+byte((value-last)>>i&1))
		}
		last = value
	}
	for len(text)%8 != 0 {
		text = append(text, '0')
	}
	out := types.AppendCompactSize(nil, uint64(len(scripts)))
	for ; len(text) > 0; text = text[8:] {
		x := byte(0)
		for _, bit := range text[:8] {
			x = x<<1 | (bit - '0')
		}
		out = append(out, x)
	}
	return out
}

func setOf(scripts [][]byte) map[string]struct{} {
	set := map[string]struct{}{}
	for _, script := range scripts {
		set[string(script)] = struct{}{}
	}
	return set
}

// filtered is what BIP158 puts into the filter of a block: scripts of outputs
// that are not empty and do not begin with OP_RETURN, scripts that are spent.
func filtered(block *types.Block, spent [][]byte) [][]byte {
	set := map[string]struct{}{}
	for i := range block.Txs {
		for _, out := range block.Txs[i].Outputs {
			if script := out.ScriptPubKey; len(script) > 0 && script[0] != 0x6a {
				set[string(script)] = struct{}{}
			}
		}
	}
	for _, script := range spent {
		if len(script) > 0 {
			set[string(script)] = struct{}{}
		}
	}
	var scripts [][]byte
	for script := range set {
		scripts = append(scripts, []byte(script))
	}
	return scripts
}

func mustMatch(t *testing.T, filter []byte, block types.Hash, want bool, scripts ...[]byte) {
	t.Helper()
	all := true // as Match says it of each
	for _, script := range scripts {
		if one, _ := Match(filter, block, [][]byte{script}); len(script) > 0 {
			all = all && one
		}
	}
	if got, err := MatchAll(filter, block, scripts); err != nil || got != all {
		t.Fatalf("all match: %v, %v, want %v", got, err, all)
	}
	if got, err := Match(filter, block, scripts); err != nil || got != want {
		t.Fatalf("Match of %d scripts gave %t, %v; want %t", len(scripts), got, err, want)
	}
}

// TestVectorsBIP158 runs the vectors of the BIP. Their blocks are Bitcoin's: what they
// spend has no place in a Coin, so the set is encoded by itself, and the whole
// of Build is left to TestCoreChain, except where nothing is spent.
func TestVectorsBIP158(t *testing.T) {
	var rows [][]any
	vectors.ReadJSON(t, "bip158/testnet-19.json", &rows)
	n := 0
	for _, row := range rows {
		if len(row) < 8 {
			continue // the titles
		}
		hash, raw := parseHash(t, row[1].(string)), vectors.Hex(t, row[2].(string))
		previous, header := parseHash(t, row[4].(string)), parseHash(t, row[6].(string))
		want, note := vectors.Hex(t, row[5].(string)), row[7].(string)
		var spent [][]byte
		for _, script := range row[3].([]any) {
			spent = append(spent, vectors.Hex(t, script.(string)))
		}
		block, err := consensus.DecodeBlock(raw)
		if err != nil {
			t.Fatalf("%s: %v", note, err)
		}
		scripts := filtered(block.Block, spent)
		got := encode(hash, setOf(scripts))
		if len(spent) == 0 {
			update := consensus.BlockUpdate{Block: block, Update: &consensus.Update{Block: types.Index{Hash: hash}}}
			if got, err = Build(&update); err != nil {
				t.Fatalf("%s: %v", note, err)
			}
		}
		if block.Hash != hash || !bytes.Equal(got, want) {
			t.Errorf("%s: filter %x, want %x", note, got, want)
		}
		if got := Header(want, previous); got != header {
			t.Errorf("%s: header %s, want %s", note, got, header)
		}
		for _, script := range scripts {
			mustMatch(t, want, hash, true, script)
		}
		mustMatch(t, want, hash, false, []byte("a script that the block does not have"))
		n++
	}
	if n < 3 {
		t.Fatalf("%d cases", n)
	}
	vectors.Ran(t, n, "filters and headers")
}

type coreBlock struct {
	Height   uint32
	Block    string
	Prevouts [][]string
	Filter   string `json:"basic_filter"`
	Header   string `json:"basic_filter_header"`
}

// updateOf decodes a block of the vectors and the coins that it spends.
func (c *coreBlock) updateOf(t testing.TB) (u consensus.BlockUpdate, spent [][]byte) {
	t.Helper()
	block, err := consensus.DecodeBlock(vectors.Hex(t, c.Block))
	if err != nil {
		t.Fatal(err)
	}
	update := &consensus.Update{Block: types.Index{Height: c.Height, Hash: block.Hash}}
	coins := map[types.OutPoint]consensus.CoinEntry{}
	for i, list := range c.Prevouts {
		for j, prevout := range list {
			raw := vectors.Hex(t, prevout) // 8 bytes of value, one of length
			spent = append(spent, raw[9:])
			out := types.TxOut{Value: types.Amount(binary.LittleEndian.Uint64(raw)), ScriptPubKey: raw[9:]}
			coin, ok := types.NewCoin(&out, 1, false)
			if !ok {
				t.Fatalf("block %d spends a coin of a kind that there is not", c.Height)
			}
			outPoint := block.Block.Txs[i+1].Inputs[j].PreviousOutPoint
			coins[outPoint] = consensus.CoinEntry{OutPoint: outPoint, Coin: coin}
		}
	}
	for _, outPoint := range block.External {
		update.Spent = append(update.Spent, coins[outPoint])
	}
	return consensus.BlockUpdate{Block: block, Update: update}, spent
}

// TestCoreChain builds the filters of a chain that Bitcoin Core made.
func TestCoreChain(t *testing.T) {
	var chain struct {
		GenesisHeader types.Hash `json:"genesis_filter_header"`
		Blocks        []coreBlock
	}
	vectors.ReadJSON(t, "chain/core-regtest-taproot-only.json", &chain)
	header, spends := chain.GenesisHeader, 0
	for i := range chain.Blocks {
		b := &chain.Blocks[i]
		u, spent := b.updateOf(t)
		got, err := Build(&u)
		if err != nil || hex.EncodeToString(got) != b.Filter {
			t.Fatalf("block %d: filter %x (%v), want %s", b.Height, got, err, b.Filter)
		}
		if header = Header(got, header); header.String() != b.Header {
			t.Fatalf("block %d: filter header %s, want %s", b.Height, header, b.Header)
		}
		for _, script := range filtered(u.Block.Block, spent) {
			mustMatch(t, got, u.Block.Hash, true, script)
		}
		spends += len(spent)
	}
	if len(chain.Blocks) < 100 || spends < 100 {
		t.Fatalf("%d blocks, %d spends", len(chain.Blocks), spends)
	}
	vectors.Ran(t, len(chain.Blocks), "filters and headers")
}

// randomScripts are n distinct witness programs.
func randomScripts(r *rand.Rand, n int) [][]byte {
	scripts := make([][]byte, n)
	for i := range scripts {
		program := 2 + r.IntN(39)
		script := []byte{0x51 + byte(r.IntN(16)), byte(program)}
		for range program {
			script = append(script, byte(r.Uint32()))
		}
		scripts[i] = append(script, byte(i), byte(i>>8), byte(i>>16))
	}
	return scripts
}

func randomHash(r *rand.Rand) (hash types.Hash) {
	for i := range hash {
		hash[i] = byte(r.Uint32())
	}
	return hash
}

// TestRoundTrip encodes sets of every size up to one whose number takes three
// bytes, compares with the naive twin, and finds each script again, alone and
// among strangers.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 7, 8, 9, 50, 252, 253, 1000} {
		block, scripts := randomHash(r), randomScripts(r, n)
		got := encode(block, setOf(scripts))
		if want := naiveEncode(block, scripts); !bytes.Equal(got, want) {
			t.Fatalf("filter of %d scripts is %x, want %x", n, got, want)
		}
		values := decode(t, got)
		if !slices.Equal(values, naiveValues(block, n, scripts)) {
			t.Fatalf("%d scripts come back as %d values", n, len(values))
		}
		strangers := randomScripts(r, 40)
		for _, script := range scripts {
			mustMatch(t, got, block, true, script)
			mustMatch(t, got, block, true, append(slices.Clone(strangers), script)...)
			mustMatch(t, got, block, true, append([][]byte{nil, script}, strangers...)...)
		}
	}
}

// decode reads all values of a filter.
func decode(t *testing.T, filter []byte) (values []uint64) {
	t.Helper()
	d := types.NewDecoder(filter)
	n := d.CompactSize()
	r := bitReader{in: d.Bytes(d.Remaining())}
	last := uint64(0)
	for range n {
		difference, ok := r.golomb()
		if !ok {
			t.Fatal("the filter ends early")
		}
		last += difference
		values = append(values, last)
	}
	if r.load(); len(r.in) > 0 || r.count >= 8 || r.loaded != 0 {
		t.Fatalf("%d bytes and %d bits are left over", len(r.in), r.count)
	}
	return values
}

// TestFalsePositives counts strangers that match. 784,931 to one is too rare to
// see; more than a few among 200,000 is a fault.
func TestFalsePositives(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	r := rand.New(rand.NewPCG(3, 4))
	block := randomHash(r)
	filter := encode(block, setOf(randomScripts(r, 500)))
	wrong := 0
	for range 200_000 / 100 {
		if hit, err := Match(filter, block, randomScripts(r, 100)); err != nil {
			t.Fatal(err)
		} else if hit {
			wrong++
		}
	}
	if wrong > 5 {
		t.Fatalf("%d false positives, 0.25 are to be expected", wrong)
	}
}

// TestKeyedByBlock: a filter tells nothing under another block's hash.
func TestKeyedByBlock(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	block, scripts := randomHash(r), randomScripts(r, 20)
	filter := encode(block, setOf(scripts))
	for _, at := range []int{0, 8, 15} { // bytes of both keys
		other := block
		other[at] ^= 1
		mustMatch(t, filter, other, false, scripts...)
	}
	other := block
	other[16] ^= 1 // beyond the keys
	mustMatch(t, filter, other, true, scripts[0])
}

func TestNothingToFind(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	block, scripts := randomHash(r), randomScripts(r, 3)
	filter := encode(block, setOf(scripts))
	mustMatch(t, filter, block, false)
	mustMatch(t, filter, block, false, nil, []byte{}) // an empty script is in no filter
	mustMatch(t, encode(block, setOf([][]byte{{}})), block, false, nil)
	mustMatch(t, []byte{0}, block, false, scripts...)
	if got := encode(block, nil); !bytes.Equal(got, []byte{0}) {
		t.Fatalf("the empty filter is %x", got)
	}
}

// TestHostileBytes gives Match what an enemy would send.
func TestHostileBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	block := randomHash(r)
	whole := encode(block, setOf(randomScripts(r, 300)))
	last := [][]byte{naiveLast(block)} // which makes Match read to the end
	zeros := func(n int) []byte { return make([]byte, n) }
	ones := func(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }
	for name, filter := range map[string][]byte{
		"nothing":                           {},
		"half a number of elements":         {0xfd, 0x01},
		"a number that is not canonical":    append([]byte{0xfd, 0x01, 0x00}, zeros(30)...),
		"one element and no bits":           {1},
		"one element of two bytes":          {1, 0, 0},
		"elements that do not fit":          append([]byte{9}, zeros(22)...),
		"2^32-1 elements":                   append([]byte{0xfe, 0xff, 0xff, 0xff, 0xff}, zeros(64)...),
		"2^63 elements":                     append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0x80}, zeros(64)...),
		"a product that overflows":          append([]byte{0xff, 0xce, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0x0c}, zeros(64)...),
		"more elements than there can be":   append([]byte{0xfe, 0x01, 0x00, 0x10, 0x00}, zeros(3<<20)...),
		"a unary number without end":        append([]byte{1}, ones(1<<16)...),
		"a unary number up to the last bit": append(append([]byte{1}, ones(100)...), 0xfe),
		"the last element cut":              whole[:len(whole)-2],
	} {
		if hit, err := Match(filter, block, last); hit || !errors.Is(err, ErrFilter) {
			t.Errorf("%s: %t, %v", name, hit, err)
		}
	}
	for name, filter := range map[string][]byte{
		"bytes left over":                           append(slices.Clone(whole), 1, 2, 3),
		"all values are zero":                       append([]byte{8}, zeros(20)...),
		"a value of 2^34 in unary, larger than all": append(append(append([]byte{1}, ones(1<<12)...), 0), zeros(10)...),
	} {
		if _, err := Match(filter, block, last); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// naiveLast is a script with a value in the last thousandth of the range,
// whatever the range.
func naiveLast(block types.Hash) []byte {
	for i := uint32(0); ; i++ {
		script := binary.LittleEndian.AppendUint32([]byte{0x51, 4}, i)
		if siphash.Hash(binary.LittleEndian.Uint64(block[:8]), binary.LittleEndian.Uint64(block[8:16]), script) > ^uint64(0)/1000*999 {
			return script
		}
	}
}

// TestBoundedMemory: what a filter claims costs nothing.
func TestBoundedMemory(t *testing.T) {
	hostile := append([]byte{0xfe, 0xff, 0xff, 0x0f, 0x00}, make([]byte, 3<<20)...)
	scripts := [][]byte{naiveLast(types.Hash{})}
	allocated := testing.AllocsPerRun(10, func() {
		if _, err := Match(hostile, types.Hash{}, scripts); err != nil {
			t.Fatal(err)
		}
	})
	if allocated > 3 {
		t.Fatalf("%v allocations", allocated)
	}
}

// TestUpdateOfAnotherBlock: what does not belong together makes no filter.
func TestUpdateOfAnotherBlock(t *testing.T) {
	tx := types.Tx{Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{Index: 1}}}, Outputs: []types.TxOut{{}}}
	block := consensus.HashBlock(&types.Block{Txs: []types.Tx{{Inputs: make([]types.TxIn, 1)}, tx}})
	if _, err := Build(&consensus.BlockUpdate{Block: block, Update: &consensus.Update{}}); !errors.Is(err, ErrUpdate) {
		t.Fatalf("%v", err)
	}
}

// TestSpentInside: a coin that the block makes and spends is in its filter once,
// and OP_RETURN and empty scripts are not.
func TestSpentInside(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	scripts := randomScripts(r, 2)
	parent := types.Tx{
		Inputs:  make([]types.TxIn, 1),
		Outputs: []types.TxOut{{ScriptPubKey: scripts[0][:5]}, {ScriptPubKey: []byte{0x6a, 1, 1}}, {}, {ScriptPubKey: []byte{0x51}}},
	}
	child := types.Tx{
		Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: parent.TxID()}}},
		Outputs: []types.TxOut{{ScriptPubKey: scripts[1][:5]}, {ScriptPubKey: scripts[0][:5]}},
	}
	block := consensus.HashBlock(&types.Block{Txs: []types.Tx{parent, child}})
	filter, err := Build(&consensus.BlockUpdate{Block: block, Update: &consensus.Update{}})
	if err != nil {
		t.Fatal(err)
	}
	if want := naiveEncode(block.Hash, [][]byte{scripts[0][:5], scripts[1][:5], {0x51}}); !bytes.Equal(filter, want) {
		t.Fatalf("filter %x, want %x", filter, want)
	}
	mustMatch(t, filter, block.Hash, false, []byte{0x6a, 1, 1}, []byte{})
}
