package wallet

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
)

// TestFarChange: change at a place where no restore looks is not shown as change. Whoever made
// the packet knows the place, and its owner would not.
func TestFarChange(t *testing.T) {
	c := newCosigner(t, 1)
	a := c.Accounts()[0]
	for index, far := range map[uint32]bool{5: false, MaxGapLimit - 1: false, MaxGapLimit: true, indexEnd - 1: true} {
		script, err := a.Script(Change, index)
		must(t, err)
		p := psbt.New(&types.Tx{Version: 2, Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: script}}}, 2)
		out, err := a.Expand(Change, index)
		must(t, err)
		p.Outputs[0].Learn(psbt.SpendingOf(&out))
		r, err := c.ReviewPSBT(p)
		must(t, err)
		if o := r.Outputs[0]; o.Change == far || (o.Account == "") != far || (o.Far != "") != far {
			t.Errorf("%d: %+v", index, o)
		}
	}
}

// TestChangedDatabase: a script that somebody has put into the database is not shown as change.
func TestChangedDatabase(t *testing.T) {
	c, thief := newCosigner(t, 1), newCosigner(t, 2)
	script, err := thief.Accounts()[0].Script(Receive, 0)
	must(t, err)
	c.keys[string(script)] = KeyID{0, Change, 3}
	r, err := c.ReviewPSBT(psbt.New(&types.Tx{Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: script}}}, 2))
	must(t, err)
	if r.Outputs[0].Account != "" {
		t.Errorf("%+v", r.Outputs[0])
	}
	// Nor is it what a replacement pays back to.
	own, err := c.Accounts()[0].Script(Change, 4)
	must(t, err)
	if at := c.changeOf(&types.Tx{Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: script}, {Value: 10, ScriptPubKey: own}}}); at != 1 {
		t.Errorf("output %d is taken for change", at)
	}
	c.accounts[0].scripts[Change][3] = script
	if scripts, err := c.changeScripts(0, 10); err == nil {
		t.Errorf("coins are joined at %x", scripts[3])
	}
}

// TestChangeOfOneBranch: an account whose descriptor has one branch, or one address, has change
// too.
func TestChangeOfOneBranch(t *testing.T) {
	for _, path := range []string{"0/*", "0/7"} {
		c := newCosigner(t, 1)
		c.join("tr(" + c.sharedKey() + "/" + path + ")")
		scripts, err := c.changeScripts(1, 10)
		must(t, err)
		for i := range scripts {
			if id, ok := c.keys[string(scripts[i])]; !ok || id.Account != 1 || id.Branch != Receive || path == "0/*" && id.Index != uint32(i) {
				t.Errorf("%s: %d is %+v", path, i, id)
			}
		}
	}
}

// TestManyPlaces: a packet that names more places than any payment has is looked through within
// bounds, and what comes before is found.
func TestManyPlaces(t *testing.T) {
	people := newCosigners(t, 2, func(p *consensus.Params, keys []string) (string, error) { return MultisigDescriptor(p, 2, keys) })
	c := people[0]
	out, err := c.Accounts()[1].Expand(Change, 77)
	must(t, err)
	at := c.places()
	at.left = 100
	for i := range uint32(60) {
		derivations := psbt.SpendingOf(&out).Derivations
		for j := range derivations {
			path := slices.Clone(derivations[j].Origin.Path)
			path[len(path)-1] = 1000*i + uint32(j)
			derivations[j].Origin.Path = path
		}
		if id, ok := at.of(append([]byte{byte(i)}, out.ScriptPubKey...), derivations); ok {
			t.Errorf("it is %+v", id)
		}
	}
	if at.left >= 0 {
		t.Errorf("%d are left", at.left)
	}
	id, ok := c.places().of(out.ScriptPubKey, psbt.SpendingOf(&out).Derivations)
	if !ok || id != (KeyID{1, Change, 77}) {
		t.Errorf("%+v, %v", id, ok)
	}
	if _, ok := at.of(out.ScriptPubKey, psbt.SpendingOf(&out).Derivations); ok {
		t.Error("it is looked for without end")
	}
}
