package wallet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

func testRNG(seed uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.New(rand.NewChaCha8(key))
}

// script returns a taproot output script that is told from others by its number.
func script(n int) []byte {
	h := types.DoubleSHA256([]byte{byte(n), byte(n >> 8)})
	return taproot.OutputScript(h)
}

const changeNumber = 9999

// coinsWith returns confirmed coins of the values.
func coinsWith(values ...types.Amount) []Coin {
	coins := make([]Coin, len(values))
	for i, value := range values {
		coins[i] = Coin{
			OutPoint: types.OutPoint{TxID: types.DoubleSHA256([]byte{byte(i), byte(i >> 8), 1}), Index: uint32(i)},
			Value:    value, ScriptPubKey: script(i), Key: KeyID{Index: uint32(i)}, Height: 100,
		}
	}
	return coins
}

func pay(values ...types.Amount) []types.TxOut {
	outputs := make([]types.TxOut, len(values))
	for i, value := range values {
		outputs[i] = types.TxOut{Value: value, ScriptPubKey: script(1000 + i)}
	}
	return outputs
}

// The sizes and limits are typed here again, so that a changed one is seen.
const (
	oneInOneOut = 111  // virtual bytes of a transaction with one input and one output
	oneMoreOut  = 43   // virtual bytes
	taprootDust = 330  // grains
	oneIn       = 57.5 // virtual bytes
)

func TestBuildPays(t *testing.T) {
	const coin = types.GrainsPerCoin
	for name, tc := range map[string]struct {
		coins   []Coin
		outputs []types.TxOut
		rate    types.FeeRate
		fee     types.Amount
		change  types.Amount // 0: none
		inputs  int
	}{
		"with change":           {coinsWith(2 * coin), pay(coin), 1000, 154, coin - 154, 1},
		"half a grain a byte":   {coinsWith(2 * coin), pay(coin), 500, 77, coin - 77, 1},
		"nothing":               {coinsWith(2 * coin), pay(coin), 0, 0, coin, 1},
		"to the grain":          {coinsWith(7*coin, coin+111), pay(coin), 1000, 111, 0, 1},
		"with an excess":        {coinsWith(coin + 111 + 80), pay(coin), 1000, 111 + 80, 0, 1},
		"most excess":           {coinsWith(coin + 154 + 329), pay(coin), 1000, 154 + 329, 0, 1},
		"least change":          {coinsWith(coin + 154 + 330), pay(coin), 1000, 154, 330, 1},
		"two for one":           {coinsWith(coin/2, coin/2+169), pay(coin), 1000, 169, 0, 2},
		"fit over large":        {coinsWith(9*coin, coin, 3*coin/2, coin/2+169), pay(3 * coin / 2), 1000, 169, 0, 2},
		"all together, tight":   {coinsWith(coin, coin, coin, coin), pay(4*coin - 284), 1000, 284, 0, 4},
		"dear and with dust":    {coinsWith(coin, 5000, 5750), pay(coin / 2), 100_000, 15400, coin/2 - 15400, 1},
		"to two":                {coinsWith(coin), pay(coin/4, coin/4), 1000, 154 + 43, coin/2 - 197, 1},
		"a coin worth its fee":  {coinsWith(coin, 5000, 6000), pay(coin - 10900), 100_000, 16900, 0, 2},
		"the least to be sent":  {coinsWith(coin), pay(330), 1000, 154, coin - 484, 1},
		"nothing but a message": {coinsWith(coin), []types.TxOut{{ScriptPubKey: []byte{0x6a, 2, 'h', 'i'}}}, 1000, 124, coin - 124, 1},
	} {
		r := &Request{Outputs: tc.outputs, FeeRate: tc.rate, ChangeScript: script(changeNumber), Coins: tc.coins, LockTime: 77}
		for seed := range uint64(10) {
			d, err := build(r, testRNG(seed))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			checkBuilt(t, r, d)
			change := types.Amount(0)
			if d.ChangeIndex >= 0 {
				change = d.Tx.Outputs[d.ChangeIndex].Value
			}
			if d.Fee != tc.fee || change != tc.change || len(d.Inputs) != tc.inputs {
				t.Errorf("%s: fee %d, change %d, %d inputs, want %d, %d, %d", name, d.Fee, change, len(d.Inputs), tc.fee, tc.change, tc.inputs)
			}
		}
	}
}

func TestBuildSubtractsTheFee(t *testing.T) {
	const coin = types.GrainsPerCoin
	message := types.TxOut{Value: 5, ScriptPubKey: []byte{0x6a}}
	for name, tc := range map[string]struct {
		coins   []Coin
		outputs []types.TxOut
		fee     types.Amount
		want    []types.Amount // what the payments hold
		change  types.Amount
	}{
		"everything":      {coinsWith(coin), pay(coin), 111, []types.Amount{coin - 111}, 0},
		"with change":     {coinsWith(coin), pay(coin / 2), 154, []types.Amount{coin/2 - 154}, coin / 2},
		"excess is fee":   {coinsWith(coin), pay(coin - 58), 111, []types.Amount{coin - 111}, 0},
		"much excess":     {coinsWith(coin), pay(coin - 329), 329, []types.Amount{coin - 329}, 0},
		"in equal parts":  {coinsWith(coin), pay(coin/4, coin/2, coin/4), 111 + 86, []types.Amount{coin/4 - 67, coin/2 - 65, coin/4 - 65}, 0},
		"not the message": {coinsWith(coin), append(pay(coin-5), message), 111 + 10, []types.Amount{coin - 5 - 121, 5}, 0},
	} {
		r := &Request{Outputs: tc.outputs, SubtractFee: true, FeeRate: 1000, ChangeScript: script(changeNumber), Coins: tc.coins}
		d, err := Build(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkBuilt(t, r, d)
		for i, want := range tc.want {
			if got := valueOf(d.Tx, tc.outputs[i].ScriptPubKey); got != want {
				t.Errorf("%s: output %d holds %d, want %d", name, i, got, want)
			}
		}
		if got := valueOf(d.Tx, script(changeNumber)); d.Fee != tc.fee || got != tc.change {
			t.Errorf("%s: fee %d, change %d, want %d, %d", name, d.Fee, got, tc.fee, tc.change)
		}
	}
}

func TestBuildSendsAll(t *testing.T) {
	const coin = types.GrainsPerCoin
	coins := coinsWith(coin, 2*coin, 57, 58, 59)
	coins[1].Height = 0
	r := &Request{Outputs: pay(0), SendAll: true, FeeRate: 1000, Coins: coins}
	d, err := Build(r)
	must(t, err)
	checkBuilt(t, r, d)
	// Three inputs: the coin of 59 grains is worth the 58 that it costs.
	if want := types.Amount(3*coin + 59 - 226); len(d.Inputs) != 3 || d.Tx.Outputs[0].Value != want || d.Fee != 226 {
		t.Errorf("%d inputs, %d for all, fee %d", len(d.Inputs), d.Tx.Outputs[0].Value, d.Fee)
	}

	r.Outputs = pay(0, coin)
	d, err = Build(r)
	must(t, err)
	checkBuilt(t, r, d)
	if got := valueOf(d.Tx, r.Outputs[0].ScriptPubKey); got != 2*coin+59-269 {
		t.Errorf("the rest is %d", got)
	}

	r.Outputs = pay(0, 3*coin)
	var funds *ErrFunds
	if _, err := Build(r); !errors.As(err, &funds) || funds.Need != 3*coin+269+330 || funds.Have != 3*coin+59 {
		t.Errorf("no rest: %v", err)
	}
	r.Coins = nil
	if _, err := Build(r); !errors.As(err, &funds) || funds.Need != 3*coin+154+330 || funds.Have != 0 {
		t.Errorf("no coins: %v", err)
	}
}

func valueOf(tx *types.Tx, script []byte) (sum types.Amount) {
	for i := range tx.Outputs {
		if bytes.Equal(tx.Outputs[i].ScriptPubKey, script) {
			sum += tx.Outputs[i].Value
		}
	}
	return sum
}

func TestBuildRefuses(t *testing.T) {
	const coin = types.GrainsPerCoin
	good := func() *Request {
		return &Request{Outputs: pay(coin), FeeRate: 1000, ChangeScript: script(changeNumber), Coins: coinsWith(2 * coin)}
	}
	for name, tc := range map[string]struct {
		change func(*Request)
		want   error
	}{
		"no outputs":          {func(r *Request) { r.Outputs = nil }, ErrRequest},
		"negative output":     {func(r *Request) { r.Outputs[0].Value = -1 }, ErrRequest},
		"dust":                {func(r *Request) { r.Outputs[0].Value = 329 }, ErrDust},
		"dust after the fee":  {func(r *Request) { r.Outputs[0].Value = 330 + 153; r.SubtractFee = true }, ErrDust},
		"fee from a message":  {func(r *Request) { r.Outputs[0].ScriptPubKey = []byte{0x6a}; r.SubtractFee = true }, ErrRequest},
		"legacy script":       {func(r *Request) { r.Outputs[0].ScriptPubKey = []byte{0x51} }, ErrRequest},
		"segwit version 0":    {func(r *Request) { r.Outputs[0].ScriptPubKey = append([]byte{0, 20}, make([]byte, 20)...) }, ErrRequest},
		"no script":           {func(r *Request) { r.Outputs[0].ScriptPubKey = nil }, ErrRequest},
		"all with an amount":  {func(r *Request) { r.SendAll = true }, ErrRequest},
		"all to a message":    {func(r *Request) { r.SendAll = true; r.Outputs = []types.TxOut{{ScriptPubKey: []byte{0x6a}}} }, ErrRequest},
		"no change script":    {func(r *Request) { r.ChangeScript = nil }, ErrRequest},
		"anyone's change":     {func(r *Request) { r.ChangeScript = []byte{0x51, 2, 0x4e, 0x73} }, ErrRequest},
		"negative feerate":    {func(r *Request) { r.FeeRate = -1 }, ErrRequest},
		"absurd feerate":      {func(r *Request) { r.FeeRate = 100_000_001 }, ErrRequest},
		"a coin twice":        {func(r *Request) { r.Coins = append(r.Coins, r.Coins[0]) }, ErrRequest},
		"a coin of others":    {func(r *Request) { r.Coins[0].ScriptPubKey = []byte{0x52, 2, 1, 2} }, ErrRequest},
		"a negative coin":     {func(r *Request) { r.Coins[0].Value = -1 }, ErrRequest},
		"coins that overflow": {func(r *Request) { r.Coins = coinsWith(1<<62, 1<<62, 1<<62) }, ErrRequest},
		"sums that overflow":  {func(r *Request) { r.Outputs = pay(1<<61, 1<<61, 1<<61, 1<<61) }, ErrRequest},
		"a long message":      {func(r *Request) { r.Outputs[0].ScriptPubKey = longMessage(100_000) }, ErrTooLarge},
		"a tiny transaction": {func(r *Request) {
			r.Outputs = []types.TxOut{{ScriptPubKey: []byte{0x6a}}}
			r.Coins = coinsWith(400)
		}, ErrRequest},
	} {
		r := good()
		tc.change(r)
		if d, err := Build(r); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v (%+v)", name, err, tc.want, d)
		}
	}
	_, err := Build(good())
	must(t, err)
}

func longMessage(n int) []byte {
	script := []byte{0x6a, 0x4e}
	return append(binary.LittleEndian.AppendUint32(script, uint32(n)), make([]byte, n)...)
}

func TestBuildWithoutFunds(t *testing.T) {
	const coin = types.GrainsPerCoin
	for name, tc := range map[string]struct {
		coins      []Coin
		subtract   bool
		need, have types.Amount
	}{
		"no coins":          {nil, false, coin + 111, 0},
		"one grain short":   {coinsWith(coin + 110), false, coin + 111, coin + 110},
		"only the fee":      {coinsWith(coin/2, coin/2), false, coin + 169, coin},
		"dust does nothing": {coinsWith(coin, 50, 50, 50), false, coin + 111, coin},
		"subtracted":        {coinsWith(coin - 1), true, coin, coin - 1},
	} {
		r := &Request{Outputs: pay(coin), SubtractFee: tc.subtract, FeeRate: 1000, ChangeScript: script(changeNumber), Coins: tc.coins}
		var funds *ErrFunds
		if _, err := Build(r); !errors.As(err, &funds) || funds.Need != tc.need || funds.Have != tc.have {
			t.Errorf("%s: %v, want %s, %s", name, err, tc.need, tc.have)
		} else if text := funds.Error(); !strings.Contains(text, tc.need.String()) || !strings.Contains(text, tc.have.String()) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestBuildOfManyCoins has a miner's wallet: thousands of equal coins.
func TestBuildOfManyCoins(t *testing.T) {
	const coin = types.GrainsPerCoin
	values := make([]types.Amount, 5000)
	for i := range values {
		values[i] = 10 * coin
	}
	r := &Request{Outputs: pay(10_000 * coin), FeeRate: 1000, ChangeScript: script(changeNumber), Coins: coinsWith(values...)}
	d, err := Build(r)
	must(t, err)
	checkBuilt(t, r, d)
	if len(d.Inputs) != 1001 {
		t.Errorf("%d inputs", len(d.Inputs))
	}
	r.Outputs = pay(20_000 * coin)
	if _, err := Build(r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("two thousand inputs: %v", err)
	}
	r.Outputs, r.SendAll = pay(0), true
	if _, err := Build(r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("all: %v", err)
	}
	// The largest transaction that Build makes is one that nodes take.
	r.Coins = r.Coins[:1736]
	d, err = Build(r)
	must(t, err)
	checkBuilt(t, r, d)
	if weight := withWitness(d.Tx, d.Inputs).Weight(); weight < 399_000 || weight > 400_000 {
		t.Errorf("weight %d", weight)
	}
}

// TestBuildHidesTheChange counts the places that change takes.
func TestBuildHidesTheChange(t *testing.T) {
	r := &Request{Outputs: pay(1000, 1000), FeeRate: 1000, ChangeScript: script(changeNumber), Coins: coinsWith(100_000, 1000, 800)}
	places, first := [3]int{}, map[types.OutPoint]int{}
	for seed := range uint64(300) {
		d, err := build(r, testRNG(seed))
		must(t, err)
		places[d.ChangeIndex]++
		first[d.Inputs[0].OutPoint]++
	}
	if slices.Min(places[:]) < 50 {
		t.Errorf("change was at each place %v times", places)
	}
	// Where all depends on chance, so does what Build reads it from.
	a, err := Build(r)
	must(t, err)
	for range 100 {
		b, err := Build(r)
		must(t, err)
		if a.ChangeIndex != b.ChangeIndex {
			return
		}
	}
	t.Error("Build puts the change at one place always")
}

// withWitness returns the transaction as it will be signed: by a signature, or by as much as its
// coin says.
func withWitness(tx *types.Tx, coins []Coin) *types.Tx {
	signed := *tx
	signed.Inputs = slices.Clone(tx.Inputs)
	for i := range signed.Inputs {
		element := 64
		if i < len(coins) && coins[i].SpendWeight > 0 {
			element = coins[i].SpendWeight - 2
		}
		signed.Inputs[i].Witness = [][]byte{make([]byte, element)}
	}
	return &signed
}

// checkBuilt checks what every draft keeps, whatever was asked for.
func checkBuilt(t testing.TB, r *Request, d *Draft) {
	t.Helper()
	if d.Tx.Version != 2 || d.Tx.LockTime != r.LockTime || len(d.Tx.Inputs) != len(d.Inputs) {
		t.Fatalf("transaction %+v", d.Tx)
	}
	in, out := types.Amount(0), types.Amount(0)
	spent := map[types.OutPoint]bool{}
	for i := range d.Inputs {
		c := &d.Inputs[i]
		at := slices.IndexFunc(r.Coins, func(o Coin) bool { return o.OutPoint == c.OutPoint })
		if at < 0 || spent[c.OutPoint] || !reflect.DeepEqual(r.Coins[at], *c) || d.Tx.Inputs[i].PreviousOutPoint != c.OutPoint || d.Tx.Inputs[i].Sequence != 0xfffffffd {
			t.Fatalf("input %d: %+v", i, c)
		}
		spent[c.OutPoint] = true
		in += c.Value
	}
	for i := range d.Tx.Outputs {
		o := &d.Tx.Outputs[i]
		out += o.Value
		if o.ScriptPubKey[0] == 0x51 && len(o.ScriptPubKey) == 34 && o.Value < taprootDust || o.Value < 0 {
			t.Fatalf("output %d is dust: %d", i, o.Value)
		}
	}
	if in != out+d.Fee || d.Fee < 0 {
		t.Fatalf("in %d, out %d, fee %d", in, out, d.Fee)
	}
	size := withWitness(d.Tx, d.Inputs).VirtualSize()
	asked := r.FeeRate.Fee(size)
	if size != d.VirtualSize || d.Fee < asked {
		t.Fatalf("fee %d of %d virtual bytes (%d said), asked for %d", d.Fee, size, d.VirtualSize, asked)
	}
	checkChange(t, r, d, asked)
}

// checkChange checks that change is worth having and that nothing is given away
// that is worth a change output, and that the payments are what was asked for.
func checkChange(t testing.TB, r *Request, d *Draft, asked types.Amount) {
	t.Helper()
	outputs := slices.Clone(d.Tx.Outputs)
	if d.ChangeIndex >= 0 {
		if c := &outputs[d.ChangeIndex]; !bytes.Equal(c.ScriptPubKey, r.ChangeScript) || d.Fee != asked || r.SendAll {
			t.Fatalf("change %+v, fee %d, asked for %d", c, d.Fee, asked)
		}
		outputs = slices.Delete(outputs, d.ChangeIndex, d.ChangeIndex+1)
	} else if given := d.Fee - asked; given > r.FeeRate.Fee(oneMoreOut+2)+taprootDust || r.SendAll && given != 0 {
		t.Fatalf("%d given away at %s", given, r.FeeRate)
	}
	if len(outputs) != len(r.Outputs) {
		t.Fatalf("%d payments, asked for %d", len(outputs), len(r.Outputs))
	}
	least, most := types.Amount(1<<62), types.Amount(-1)
	for i := range r.Outputs {
		asked := &r.Outputs[i]
		if !bytes.Equal(d.Tx.Outputs[d.Payments[i]].ScriptPubKey, asked.ScriptPubKey) {
			t.Fatalf("payment %d is not output %d", i, d.Payments[i])
		}
		at := slices.IndexFunc(outputs, func(o types.TxOut) bool { return bytes.Equal(o.ScriptPubKey, asked.ScriptPubKey) })
		if at < 0 {
			t.Fatalf("no payment to %x", asked.ScriptPubKey)
		}
		taken := asked.Value - outputs[at].Value
		message := asked.ScriptPubKey[0] == 0x6a
		if r.SubtractFee && !r.SendAll && !message {
			least, most = min(least, taken), max(most, taken)
		} else if taken != 0 && !(r.SendAll && i == 0) {
			t.Fatalf("payment %d is %d short", i, taken)
		}
	}
	if most >= 0 && (least < 0 || most > d.Fee || most-least >= types.Amount(len(r.Outputs))) {
		t.Fatalf("outputs pay between %d and %d of a fee of %d", least, most, d.Fee)
	}
}
