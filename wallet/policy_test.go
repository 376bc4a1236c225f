package wallet

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/psbt"
)

// TestHiddenWay: a key whose origin bears the fingerprint of BIP341's point, or of an
// aggregate, is a way to spend as any other, and its owner a signer. Whoever sends a descriptor
// writes the origins.
func TestHiddenWay(t *testing.T) {
	a, b, thief := newCosigner(t, 1), newCosigner(t, 2), newCosigner(t, 3)
	keys := sharedKeys([]*cosigner{a, b, thief})
	_, bare, _ := strings.Cut(keys[2], "]")
	claimed := func(point []byte) string {
		id := psbt.KeyID(point)
		return fmt.Sprintf("[%x/0]%s/<0;1>/*", id[:4], bare)
	}
	point, err := hex.DecodeString(unspendableKey)
	must(t, err)
	honest, err := MuSigDescriptor(a.params, keys[:2])
	must(t, err)
	b.join(honest)
	out, err := b.Accounts()[1].Expand(Receive, 0)
	must(t, err)
	aggregate, _, _ := strings.Cut(honest, ")/<0;1>/*)")
	for i, text := range []string{
		fmt.Sprintf("tr(%s,sortedmulti_a(2,%s/<0;1>/*,%s/<0;1>/*))", claimed(point), keys[0], keys[1]),
		aggregate + ")/<0;1>/*,pk(" + claimed(out.Aggregates[0].Public[:]) + "))",
	} {
		c := newCosigner(t, 1)
		c.join(text)
		ways := c.Ways(c.Accounts()[1])
		if len(ways) != 2 || ways[0].Words == ways[1].Words {
			t.Errorf("%d: the ways are %+v", i, ways)
		}
		d, p := c.drafted(1, Request{})
		if r, err := c.ReviewPSBT(p); err != nil || len(r.Signers) != 3 || len(d.Inputs) != 1 {
			t.Errorf("%d: %+v, %v", i, r, err)
		}
	}
	for _, threshold := range []int{1, 2} { // nobody has the key that is there by right
		text, err := MultisigDescriptor(a.params, threshold, keys[:2])
		must(t, err)
		c := newCosigner(t, 1)
		c.join(text)
		if ways := c.Ways(c.Accounts()[1]); len(ways) != 1 {
			t.Errorf("the ways are %+v", ways)
		}
	}
}
