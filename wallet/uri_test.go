package wallet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestURIs: what is written is read again, and what others write in their ways is read too.
func TestURIs(t *testing.T) {
	const regtest = "bcrt1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqjeprhg"
	for _, c := range []struct {
		hrp  string
		uri  wallet.PaymentURI
		text string
	}{
		{"krtd", wallet.PaymentURI{Address: someAddress}, "karat:" + someAddress},
		{"krtd", wallet.PaymentURI{Address: someAddress, Amount: 20_30000000}, "karat:" + someAddress + "?amount=20.3"},
		{"krtd", wallet.PaymentURI{Address: someAddress, Amount: 50_00000000, Label: "Luke-Jr", Message: "Donation for project xyz"}, "karat:" + someAddress + "?amount=50&label=Luke-Jr&message=Donation%20for%20project%20xyz"},
		{"krtd", wallet.PaymentURI{Address: someAddress, Amount: 1, Label: "a&b=c?d#e%f+g h/é"}, "karat:" + someAddress + "?amount=0.00000001&label=a%26b%3Dc%3Fd%23e%25f%2Bg%20h%2F%C3%A9"},
		{"bcrt", wallet.PaymentURI{Address: regtest, Amount: 100_00000000}, "bitcoin:" + regtest + "?amount=100"},
	} {
		if got := c.uri.String(); got != c.text {
			t.Errorf("%+v is written as %s, want %s", c.uri, got, c.text)
		}
		if got, err := wallet.ParseURI(c.hrp, c.text); err != nil || got != c.uri {
			t.Errorf("%s is read as %+v, %v", c.text, got, err)
		}
	}
	want := wallet.PaymentURI{Address: someAddress, Amount: 1_50000000, Label: "a+b c"}
	for _, text := range []string{
		"karat:" + someAddress + "?amount=1.5&label=a+b%20c", "KARAT:" + strings.ToUpper(someAddress) + "?AMOUNT=1.50&Label=a+b%20c",
		someAddress + "?amount=01.5&label=a+b%20c", "karat:?krtd=" + someAddress + "&amount=1.5&label=a+b%20c", "karat:" + someAddress + "?amount=1.5&label=a+b%20c&lightning=x&lightning=y&&x#fragment",
		"karat:" + someAddress + "?krtd=" + someAddress + "&amount=1.5&label=%61+b%20c&pop=x",
	} {
		if got, err := wallet.ParseURI("krtd", text); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", text, got, err)
		}
	}
	for text, amount := range map[string]types.Amount{".5": 50000000, "2.": 2_00000000} {
		if got, err := wallet.ParseURI("krtd", someAddress+"?amount="+text); err != nil || got.Amount != amount {
			t.Errorf("amount %s is read as %s, %v", text, got.Amount, err)
		}
	}
}

// TestWrongURIs: what cannot be paid as the URI asks is refused, in words that can be shown.
func TestWrongURIs(t *testing.T) {
	for text, wrong := range map[string]string{
		"":                       "address",
		"karat:":                 "address",
		"bitcoin:" + someAddress: `not with "karat:"`,
		"karat:krt1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk": "krt",
		"karat:" + someAddress + "?amount=":                                     "empty",
		"karat:" + someAddress + "?amount=.":                                    "empty",
		"karat:" + someAddress + "?amount=0":                                    "amount",
		"karat:" + someAddress + "?amount=1,5":                                  "amount",
		"karat:" + someAddress + "?amount=-1":                                   "amount",
		"karat:" + someAddress + "?amount=1e3":                                  "amount",
		"karat:" + someAddress + "?amount=0.000000001":                          "amount",
		"karat:" + someAddress + "?amount=99999999999999":                       "amount",
		"karat:" + someAddress + "?amount=1&AMOUNT=2":                           "twice",
		"karat:" + someAddress + "?label=a&label=b":                             "twice",
		"karat:" + someAddress + "?req-pop=x":                                   "req-pop",
		"karat:" + someAddress + "?REQ-somethingnew=50":                         "req-somethingnew",
		"karat:" + someAddress + "?label=%1b%5b2J":                              "U+001B",
		"karat:" + someAddress + "?message=%e2%80%ae":                           "cannot be shown",
		"karat:" + someAddress + "?label=%zz":                                   "%zz",
		"karat:" + someAddress + "?label=%ff":                                   "UTF-8",
		"karat:" + someAddress + "?message=" + strings.Repeat("m", 1001):        "1000",
		"karat:" + someAddress + "?x=" + strings.Repeat("m", 5000):              "4000 bytes",
	} {
		if got, err := wallet.ParseURI("krtd", text); !errors.Is(err, wallet.ErrURI) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%.100q is read as %+v, %v, want %q", text, got, err, wrong)
		}
	}
}
