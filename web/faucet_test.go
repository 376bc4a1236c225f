package web_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// askFaucet fills in the form as a browser would, with a proof of work if one is wanted.
func (s *site) askFaucet(address string, work bool) answer {
	s.t.Helper()
	challenge := regexp.MustCompile(`data-challenge="([0-9a-f]+)"`).FindStringSubmatch(s.page("/faucet", 200))[1]
	nonce := "1"
	for n := 0; work; n++ {
		if nonce = strconv.Itoa(n); faucetinfo.Proves(challenge, address, nonce) {
			break
		}
	}
	r, err := client.PostForm(s.url+"/faucet", url.Values{"address": {address}, "challenge": {challenge}, "nonce": {nonce}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{r, string(body)}
	s.checkPage("/faucet", a)
	return a
}

// TestFaucet: who works is paid, once, and who cheats gets nothing.
func TestFaucet(t *testing.T) {
	s := newSite(t, func(c *node.Config) {
		nodetest.Matures(c)
		c.Faucet, c.FaucetAmount, c.FaucetPerHour = true, 2*types.GrainsPerCoin, 5*types.GrainsPerCoin
	})
	want(t, s.page("/", 200), "/faucet")
	person := func(n byte) string {
		address, err := taproot.EncodeAddress("krtd", taproot.OutputScript([32]byte{n, 1}))
		if err != nil {
			t.Fatal(err)
		}
		return address
	}
	if a := s.askFaucet(person(1), true); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, "the faucet is empty") {
		t.Errorf("an empty faucet: %s", a.Status)
	}
	var blocks []string
	s.rpc(&blocks, "generatetodescriptor", 5, "raw("+hex.EncodeToString(s.Faucet)+")")
	deadline := time.Now().Add(5 * time.Minute)
	for !strings.Contains(s.page("/faucet", 200), `value="40.00000000"`) { // four mature coinbases
		if time.Now().After(deadline) {
			t.Fatal("the faucet does not see its coins")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if a := s.askFaucet(person(1), false); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "proof of work") {
		t.Errorf("without work: %s", a.Status)
	}
	r, err := http.NewRequest(http.MethodPost, s.url+"/faucet", strings.NewReader("address="+person(1)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if a, err := client.Do(r); err != nil || a.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %v %v", a, err)
	}
	if a := s.askFaucet("krtd1nobody", true); a.StatusCode != http.StatusBadRequest {
		t.Errorf("no address: %s", a.Status)
	}
	for n := range byte(2) {
		if a := s.askFaucet(person(n+1), true); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "On its way") {
			t.Errorf("person %d: %s\n%s", n, a.Status, a.body)
		}
	}
	if a := s.askFaucet(person(1), true); a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.body, "this address has had its share") {
		t.Errorf("once more: %s", a.Status)
	}
	if a := s.askFaucet(person(3), true); a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.body, "everybody together") {
		t.Errorf("more than there is for an hour: %s", a.Status)
	}
	// Two transactions, if the time of a payment was between the two who asked.
	paid := map[string][]float64{}
	for len(paid[person(1)]) == 0 || len(paid[person(2)]) == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("not both are paid: %v", paid)
		}
		time.Sleep(50 * time.Millisecond)
		clear(paid)
		var waiting []string
		s.rpc(&waiting, "getrawmempool")
		for _, txid := range waiting {
			var tx struct {
				Vout []struct {
					Value        float64
					ScriptPubKey struct{ Address string }
				}
			}
			s.rpc(&tx, "getrawtransaction", txid, true)
			for _, out := range tx.Vout {
				paid[out.ScriptPubKey.Address] = append(paid[out.ScriptPubKey.Address], out.Value)
			}
		}
	}
	if !slices.Equal(paid[person(1)], []float64{2}) || !slices.Equal(paid[person(2)], []float64{2}) || len(paid[person(3)]) > 0 {
		t.Errorf("paid are %v", paid)
	}
}
