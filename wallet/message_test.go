package wallet

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/message"
	"github.com/karatcoin/karat/chain/taproot"
)

// TestSignMessage: the signatures of each form are those of the address's key, and a coin
// of others is not signed for.
func TestSignMessage(t *testing.T) {
	p := networkFile(t, "dev.json")
	dir := t.TempDir()
	f, err := createFile(filepath.Join(dir, FileName), p, contentsOf(abandon), "", defaultKDF(""))
	must(t, err)
	w, err := Open(dir, f, p, nil)
	must(t, err)
	defer w.Close()
	signer, err := f.Unlock("")
	must(t, err)
	address, err := w.NextAddress(0)
	must(t, err)
	script, err := taproot.DecodeAddress(p.HRP, address)
	must(t, err)
	coins := ownCoins(t, f.Accounts()[0], 5, 7)
	text := []byte("grüße\n")
	for _, c := range []struct {
		form  string
		full  bool
		coins []Coin
	}{{"smp", false, nil}, {"ful", true, nil}, {"pof", false, coins}} {
		m, err := w.NewMessage(address, text, c.coins)
		must(t, err)
		m.Full = c.full
		signature, err := signer.SignMessage(m)
		must(t, err)
		_, proven, err := message.VerifyFunds(script, text, signature)
		if err != nil || len(proven) != len(c.coins) || !strings.HasPrefix(signature, c.form) {
			t.Errorf("%s: %s: %v, %v", c.form, signature, proven, err)
		}
		for i := range proven {
			if proven[i].OutPoint != coins[i].OutPoint || proven[i].Value != coins[i].Value {
				t.Errorf("coin %d is %+v", i, proven[i])
			}
		}
		if _, _, err := message.VerifyFunds(script, text[:3], signature); !errors.Is(err, message.ErrInvalid) {
			t.Errorf("%s, of another message: %v", c.form, err)
		}
	}

	foreign := ownCoins(t, f.Accounts()[0], 5)
	foreign[0].ScriptPubKey = taproot.OutputScript([32]byte{3})
	m, err := w.NewMessage(address, text, foreign)
	must(t, err)
	if signature, err := signer.SignMessage(m); !errors.Is(err, ErrNotOurs) || signature != "" {
		t.Errorf("of a coin of others: %q, %v", signature, err)
	}
	other, err := taproot.EncodeAddress(p.HRP, taproot.OutputScript([32]byte{3}))
	must(t, err)
	if _, err := w.NewMessage(other, text, nil); !errors.Is(err, ErrNotOwnAddress) {
		t.Errorf("of another's address: %v", err)
	}
	if _, err := w.NewMessage("krtd1", text, nil); err == nil {
		t.Error("of no address")
	}
	signer.Wipe()
	if _, err := signer.SignMessage(m); !errors.Is(err, errWiped) {
		t.Errorf("wiped: %v", err)
	}
}
