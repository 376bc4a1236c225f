package web_test

import (
	"encoding/hex"
	"html"
	"regexp"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/chaintest"
)

// TestAddressPages: the history of an address is read whole, page by page, as its pages lead.
func TestAddressPages(t *testing.T) {
	s := newAPISite(t)
	person := taproot.OutputScript([32]byte(slices.Repeat([]byte{8}, 32)))
	address, _ := taproot.EncodeAddress("krtd", person)
	const payments = 60
	from, value := s.coinbaseOf(s.mineAnchors(3)[0])
	want := map[string]bool{}
	for i := range payments {
		tx := s.pay(from, value, chaintest.Anchor)
		tx.Outputs[0].Value = 1000
		tx.Outputs[0].ScriptPubKey = person
		tx.Outputs[1].Value = value - apiFee - 1000
		if code, text := s.post(hex.EncodeToString(tx.AppendTo(nil))); code != 200 {
			t.Fatal(text)
		}
		want[tx.TxID().String()] = true
		from, value = chaintest.Output(tx, 1), tx.Outputs[1].Value
		if i%7 == 0 {
			s.mineAnchors(1)
		}
	}
	s.mineAnchors(1)
	rows, next := regexp.MustCompile(`href="/tx/([0-9a-f]{64})"`), regexp.MustCompile(`href="(/address/[^"]*after=[^"]*)"`)
	seen := map[string]bool{}
	pages := 0
	for path := "/address/" + address; path != ""; pages++ {
		page := s.page(path, 200)
		for _, row := range rows.FindAllStringSubmatch(page, -1) {
			if want[row[1]] {
				seen[row[1]] = true
			}
		}
		path = ""
		if link := next.FindStringSubmatch(page); link != nil {
			path = html.UnescapeString(link[1])
		}
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != payments || pages != 3 {
		t.Errorf("%d of %d payments are on %d pages", len(seen), payments, pages)
	}
}
