package wallet_test

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestEvents: what has become of a transaction follows from how it was and how it is.
func TestEvents(t *testing.T) {
	pending := wallet.Entry{Status: wallet.StatusPending}
	confirmed := wallet.Entry{Status: wallet.StatusConfirmed, Height: 5, Confirmations: 1}
	deeper := wallet.Entry{Status: wallet.StatusConfirmed, Height: 5, Confirmations: 2}
	elsewhere := wallet.Entry{Status: wallet.StatusConfirmed, Height: 6, Confirmations: 1}
	immature := wallet.Entry{Status: wallet.StatusImmature, Height: 5, Confirmations: 1}
	gone := wallet.Entry{Status: wallet.StatusConflicted}
	for i, c := range []struct {
		before *wallet.Entry
		after  wallet.Entry
		want   string
	}{
		{nil, pending, "pending"}, {nil, confirmed, "confirmed"}, {nil, immature, "confirmed"}, {nil, gone, ""},
		{&pending, pending, ""}, {&pending, confirmed, "confirmed"}, {&pending, gone, "gone"},
		{&confirmed, deeper, ""}, {&confirmed, elsewhere, "confirmed"}, {&confirmed, pending, "undone"}, {&confirmed, gone, "gone"},
		{&immature, deeper, "mature"}, {&immature, gone, "gone"}, {&immature, immature, ""},
		{&gone, pending, "pending"}, {&gone, confirmed, "confirmed"}, {&gone, gone, ""},
	} {
		txid := types.Hash{byte(i)}
		var before []wallet.Entry
		if c.before != nil {
			was := *c.before
			was.TxID = txid
			before = append(before, was)
		}
		c.after.TxID = txid
		got := ""
		for _, e := range wallet.Events(before, []wallet.Entry{c.after}) {
			got += e.What
		}
		if got != c.want {
			t.Errorf("%+v after %+v: %q, want %q", c.after, c.before, got, c.want)
		}
	}
}
