package wallet

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// testSigner returns both halves of a wallet, by way of its file.
func testSigner(t testing.TB) (*Account, *Signer) {
	t.Helper()
	p := networkFile(t, "dev.json")
	path := filepath.Join(t.TempDir(), "wallet.json")
	_, err := createFile(path, p, contentsOf(abandon), "secret", lightKDF())
	must(t, err)
	f, err := OpenFile(path, p)
	must(t, err)
	signer, err := f.Unlock("secret")
	must(t, err)
	return f.Accounts()[0], signer
}

// ownCoins returns coins of an account, in turn of each branch.
func ownCoins(t testing.TB, a *Account, values ...types.Amount) []Coin {
	t.Helper()
	coins := coinsWith(values...)
	for i := range coins {
		c := &coins[i]
		c.Key.Branch, c.Key.Index = Branch(i%2), uint32(i*i)
		var err error
		c.ScriptPubKey, err = a.Script(c.Key.Branch, c.Key.Index)
		must(t, err)
	}
	return coins
}

func testDraft(t testing.TB, a *Account) *Draft {
	t.Helper()
	change, err := a.Script(Change, 1000)
	must(t, err)
	r := &Request{
		Outputs: pay(6*types.GrainsPerCoin, 330), FeeRate: 1500, ChangeScript: change, LockTime: 99,
		Coins: ownCoins(t, a, 2e8, 1e8, 3e8, 1e8, 1e8),
	}
	d, err := Build(r)
	must(t, err)
	checkBuilt(t, r, d)
	return d
}

// verifyAsNode verifies the bytes of a transaction with what the chain knows of
// the coins, and in a batch.
func verifyAsNode(t testing.TB, raw []byte, coins []Coin) error {
	t.Helper()
	tx, err := types.DecodeTx(raw)
	must(t, err)
	var prevouts []types.TxOut
	for i := range tx.Inputs {
		at := slices.IndexFunc(coins, func(c Coin) bool { return c.OutPoint == tx.Inputs[i].PreviousOutPoint })
		prevouts = append(prevouts, types.TxOut{Value: coins[at].Value, ScriptPubKey: coins[at].ScriptPubKey})
	}
	ctx, batch := taproot.NewContext(tx, prevouts), &secp.Batch{}
	for i := range tx.Inputs {
		if err := ctx.VerifyInput(i, taproot.Standard, nil); err != nil {
			return err
		}
		must(t, ctx.VerifyInput(i, taproot.Consensus, batch))
	}
	if !batch.Verify() {
		t.Error("the batch fails where each input passes")
	}
	return nil
}

func TestSign(t *testing.T) {
	account, signer := testSigner(t)
	for range 5 {
		d := testDraft(t, account)
		must(t, signer.Sign(d))
		raw := d.Tx.AppendTo(nil)
		must(t, verifyAsNode(t, raw, d.Inputs))
		if got := d.Tx.VirtualSize(); got != d.VirtualSize {
			t.Errorf("%d virtual bytes, %d were said", got, d.VirtualSize)
		}
		if rate := types.NewFeeRate(d.Fee, d.Tx.VirtualSize()); rate < 1500 || rate > 1510 {
			t.Errorf("feerate %s", rate)
		}
		// Signing again gives other signatures, as their nonces are random too.
		before := slices.Clone(d.Tx.Inputs[0].Witness[0])
		must(t, signer.Sign(d))
		if bytes.Equal(before, d.Tx.Inputs[0].Witness[0]) {
			t.Error("the same nonce twice")
		}
	}
}

// TestSignedIsBinding changes what a signature has to cover, one thing at a time.
func TestSignedIsBinding(t *testing.T) {
	account, signer := testSigner(t)
	for name, change := range map[string]func(*types.Tx, []Coin){
		"amount of an output":     func(tx *types.Tx, _ []Coin) { tx.Outputs[0].Value-- },
		"script of an output":     func(tx *types.Tx, _ []Coin) { tx.Outputs[2].ScriptPubKey = script(5) },
		"one output less":         func(tx *types.Tx, _ []Coin) { tx.Outputs = tx.Outputs[:2] },
		"lock time":               func(tx *types.Tx, _ []Coin) { tx.LockTime++ },
		"version":                 func(tx *types.Tx, _ []Coin) { tx.Version++ },
		"sequence":                func(tx *types.Tx, _ []Coin) { tx.Inputs[1].Sequence++ },
		"value of a coin":         func(_ *types.Tx, coins []Coin) { coins[1].Value++ },
		"script of another input": func(tx *types.Tx, coins []Coin) { coins[1].ScriptPubKey = script(1) },
		"signatures in turn": func(tx *types.Tx, _ []Coin) {
			tx.Inputs[0].Witness, tx.Inputs[1].Witness = tx.Inputs[1].Witness, tx.Inputs[0].Witness
		},
	} {
		d := testDraft(t, account)
		must(t, signer.Sign(d))
		change(d.Tx, d.Inputs)
		if verifyAsNode(t, d.Tx.AppendTo(nil), d.Inputs) == nil {
			t.Errorf("%s: the signatures still hold", name)
		}
	}
}

// TestSignRefuses has drafts that Build did not make, or coins of others. None
// keeps a signature.
func TestSignRefuses(t *testing.T) {
	account, signer := testSigner(t)
	for name, tc := range map[string]struct {
		change func(*Draft)
		want   error
	}{
		"other key":         {func(d *Draft) { d.Inputs[1].Key.Index++ }, ErrNotOurs},
		"other branch":      {func(d *Draft) { d.Inputs[1].Key.Branch ^= 1 }, ErrNotOurs},
		"no branch":         {func(d *Draft) { d.Inputs[1].Key.Branch = 2 }, ErrNotOurs},
		"other script":      {func(d *Draft) { d.Inputs[1].ScriptPubKey = script(1) }, ErrNotOurs},
		"no script":         {func(d *Draft) { d.Inputs[1].ScriptPubKey = nil }, ErrNotOurs},
		"higher fee":        {func(d *Draft) { d.Tx.Outputs[0].Value -= 10 }, ErrDraft},
		"other fee":         {func(d *Draft) { d.Fee++ }, ErrDraft},
		"more out than in":  {func(d *Draft) { d.Tx.Outputs[0].Value += 1e8; d.Fee -= 1e8 }, ErrDraft},
		"other coin":        {func(d *Draft) { d.Tx.Inputs[1].PreviousOutPoint.Index++ }, ErrDraft},
		"one coin less":     {func(d *Draft) { d.Inputs = d.Inputs[1:] }, ErrDraft},
		"no inputs":         {func(d *Draft) { d.Inputs, d.Tx.Inputs = nil, nil }, ErrDraft},
		"negative output":   {func(d *Draft) { d.Tx.Outputs[0].Value = -1 }, ErrRequest},
		"coins overflowing": {func(d *Draft) { d.Inputs[0].Value, d.Inputs[1].Value = math.MaxInt64, math.MaxInt64 }, ErrRequest},
	} {
		d := testDraft(t, account)
		tc.change(d)
		if err := signer.Sign(d); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if d.Tx.HasWitness() {
			t.Errorf("%s: a signature is left", name)
		}
	}
	d := testDraft(t, account)
	signer.Wipe()
	if err := signer.Sign(d); err == nil || d.Tx.HasWitness() {
		t.Errorf("signed after the wipe: %v", err)
	}
}

// TestSignEveryKey signs for keys whose points have odd and even y coordinates.
func TestSignEveryKey(t *testing.T) {
	account, signer := testSigner(t)
	for index := range uint32(24) {
		coin := coinsWith(1e8)[0]
		coin.Key.Branch, coin.Key.Index = Branch(index%2), index*89_478_485 // up to 2^31
		var err error
		coin.ScriptPubKey, err = account.Script(coin.Key.Branch, coin.Key.Index)
		must(t, err)
		d, err := Build(&Request{Outputs: pay(0), SendAll: true, FeeRate: 100, Coins: []Coin{coin}})
		must(t, err)
		must(t, signer.Sign(d))
		must(t, verifyAsNode(t, d.Tx.AppendTo(nil), d.Inputs))
	}
}

func TestWipe(t *testing.T) {
	_, signer := testSigner(t)
	key := signer.master
	if _, err := key.ECPrivKey(); err != nil {
		t.Fatal(err)
	}
	signer.Wipe()
	if _, err := key.ECPrivKey(); err == nil || signer.master != nil {
		t.Error("the key is still there")
	}
}

func BenchmarkSign(b *testing.B) {
	account, signer := testSigner(b)
	d := testDraft(b, account)
	for b.Loop() {
		must(b, signer.Sign(d))
	}
	b.ReportMetric(float64(len(d.Inputs)), "inputs/op")
}

func BenchmarkScript(b *testing.B) {
	account := testAccount(b, abandon, testCoinType)
	for b.Loop() {
		_, err := account.Script(Receive, 5)
		must(b, err)
	}
}
