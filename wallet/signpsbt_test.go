package wallet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet/bip39"
)

// cosigner is somebody with a wallet of his own, who never sees a node.
type cosigner struct {
	*Wallet
	t      *testing.T
	params *consensus.Params
	dir    string
	signer *Signer
}

// newCosigner makes a wallet from a number.
func newCosigner(t *testing.T, seed byte) *cosigner {
	t.Helper()
	words, err := bip39.New(append(make([]byte, 15), seed), bip39.English)
	must(t, err)
	_, p, _ := testFile(t, "")
	c := &cosigner{t: t, params: p, dir: t.TempDir()}
	_, err = createFile(c.path(), p, contentsOf(words.String()), "", defaultKDF(""))
	must(t, err)
	c.open()
	t.Cleanup(func() { c.Wallet.Close() })
	return c
}

func (c *cosigner) path() string { return filepath.Join(c.dir, FileName) }

func (c *cosigner) open() {
	c.t.Helper()
	f, err := OpenFile(c.path(), c.params)
	must(c.t, err)
	c.Wallet, err = Open(c.dir, f, c.params, nil)
	must(c.t, err)
	c.signer, err = f.Unlock("")
	must(c.t, err)
}

// again closes the wallet and opens it, as the next command does.
func (c *cosigner) again() {
	c.t.Helper()
	must(c.t, c.Wallet.Close())
	c.open()
}

func (c *cosigner) sharedKey() string {
	c.t.Helper()
	text, err := c.signer.SharedKey(c.params, 0)
	must(c.t, err)
	return text
}

// join adds an account of a descriptor.
func (c *cosigner) join(descriptor string) {
	c.t.Helper()
	must(c.t, c.Wallet.Close())
	_, err := AddAccount(c.path(), c.params, "", NamedDescriptor{"shared", descriptor})
	must(c.t, err)
	c.open()
}

func sharedKeys(people []*cosigner) (keys []string) {
	for _, c := range people {
		keys = append(keys, c.sharedKey())
	}
	return keys
}

// newCosigners makes people who share an account of a descriptor.
func newCosigners(t *testing.T, n int, describe func(p *consensus.Params, keys []string) (string, error)) []*cosigner {
	t.Helper()
	var people []*cosigner
	for i := range n {
		people = append(people, newCosigner(t, byte(i+1)))
	}
	text, err := describe(people[0].params, sharedKeys(people))
	must(t, err)
	for _, c := range people {
		c.join(text)
	}
	return people
}

// drafted is a payment from the shared account, of coins that nobody has.
func (c *cosigner) drafted(coins int, request Request) (*Draft, *psbt.Packet) {
	c.t.Helper()
	a := c.accounts[1].account
	r := &request
	r.FeeRate, r.WitnessWeight = 2000, a.SpendWeight()
	pays, err := c.accounts[0].account.Script(Receive, 9)
	must(c.t, err)
	r.Outputs = []types.TxOut{{Value: types.GrainsPerCoin * types.Amount(coins) / 2, ScriptPubKey: pays}}
	r.ChangeScript, err = a.Script(Change, 7)
	must(c.t, err)
	for i := range coins {
		script, err := a.Script(Receive, uint32(100+i)) // far above what is watched
		must(c.t, err)
		r.Required = append(r.Required, Coin{OutPoint: types.OutPoint{TxID: types.Hash{byte(i + 1)}}, Value: types.GrainsPerCoin, ScriptPubKey: script, Key: KeyID{1, Receive, uint32(100 + i)}, Height: 5})
	}
	d, err := Build(r)
	must(c.t, err)
	for i := range d.Inputs { // which the wallet does not watch, as if it had been restored
		c.keys[string(d.Inputs[i].ScriptPubKey)] = d.Inputs[i].Key
	}
	p, err := c.Packet(d)
	must(c.t, err)
	for i := range d.Inputs {
		delete(c.keys, string(d.Inputs[i].ScriptPubKey))
	}
	return d, p
}

// passed is a packet as the next one gets it.
func passed(t *testing.T, p *psbt.Packet) *psbt.Packet {
	t.Helper()
	text, err := p.Base64()
	must(t, err)
	again, err := psbt.DecodeBase64(text)
	must(t, err)
	return again
}

func (c *cosigner) sign(p *psbt.Packet, o SignOptions) Signed {
	c.t.Helper()
	done, err := c.SignPSBT(c.signer, p, o)
	if err != nil {
		c.t.Fatal(err)
	}
	return done
}

// extracted returns the whole transaction of a packet, which is verified, and compares its size with
// what the draft foretold.
func extracted(t *testing.T, p *psbt.Packet, d *Draft) *types.Tx {
	t.Helper()
	if !p.Finalize() {
		t.Fatal("not complete")
	}
	tx, err := p.Extract()
	must(t, err)
	if size := tx.VirtualSize(); size > d.VirtualSize || size < d.VirtualSize-len(tx.Inputs) {
		t.Errorf("%d virtual bytes, and %d were foretold", size, d.VirtualSize)
	}
	return tx
}

// TestSignMultisig: two of three sign what one of them drafted, in any version and in any
// order, and each sees what it is.
func TestSignMultisig(t *testing.T) {
	people := newCosigners(t, 3, func(p *consensus.Params, keys []string) (string, error) { return MultisigDescriptor(p, 2, keys) })
	d, p := people[0].drafted(2, Request{})
	for _, version := range []uint32{0, 2} {
		p := passed(t, p)
		p.Version = version
		p = passed(t, p)
		for i, c := range []*cosigner{people[2], people[0]} {
			r, err := c.ReviewPSBT(p)
			must(t, err)
			if r.Fee == nil || *r.Fee != d.Fee || r.VSize != d.VirtualSize || r.Complete || r.Problem != "" || len(r.Signers) != 3 || r.Inputs[1].Account != "shared" {
				t.Fatalf("%+v", r)
			}
			change := 0
			for _, out := range r.Outputs {
				if out.Change && out.Account == "shared" {
					change++
				} else if out.Account != "" && c != people[0] {
					t.Errorf("%+v is no output of this wallet", out)
				}
			}
			signed := 0
			for _, s := range r.Signers {
				if signed += s.Signed; s.Wanted != 2 || s.Ours != (s.Fingerprint == fmt.Sprintf("%x", c.signer.fingerprint)) {
					t.Errorf("%+v", s)
				}
			}
			if change != 1 || signed != 2*i {
				t.Errorf("%d outputs are change, %d signed", change, signed)
			}
			if done := c.sign(p, SignOptions{}); done.Signatures != 2 {
				t.Errorf("%+v", done)
			}
			if again := c.sign(p, SignOptions{}); again.Any() {
				t.Errorf("signed again: %+v", again)
			}
			p = passed(t, p)
		}
		if r, err := people[1].ReviewPSBT(p); err != nil || !r.Complete {
			t.Errorf("not complete: %v", err)
		}
		extracted(t, p, d)
	}
}

func muSig(p *consensus.Params, keys []string) (string, error) { return MuSigDescriptor(p, keys) }

// TestSignMuSig: three make one signature together; the last needs one round. Who is asked
// again without a need does nothing.
func TestSignMuSig(t *testing.T) {
	people := newCosigners(t, 3, muSig)
	d, p := people[0].drafted(2, Request{})
	for _, c := range people[:2] {
		if done := c.sign(p, SignOptions{}); done.Nonces != 2 || done.Partial != 0 {
			t.Fatalf("first round: %+v", done)
		}
		if done := c.sign(p, SignOptions{}); done.Any() || done.Waiting != 2 {
			t.Fatalf("asked again: %+v", done)
		}
		p = passed(t, p)
		c.again()
	}
	if done := people[2].sign(p, SignOptions{}); done.Nonces != 0 || done.Partial != 2 {
		t.Fatalf("the last: %+v", done)
	}
	r, err := people[0].ReviewPSBT(p)
	must(t, err)
	nonces, signed := 0, 0
	for _, s := range r.Signers {
		nonces, signed = nonces+s.Nonces, signed+s.Signed
	}
	if len(r.Signers) != 3 || nonces != 6 || signed != 2 {
		t.Errorf("%+v", r.Signers)
	}
	for _, c := range people[:2] {
		if done := c.sign(p, SignOptions{}); done.Partial != 2 {
			t.Fatalf("second round: %+v", done)
		}
	}
	spoilt := passed(t, p)
	spoilt.Inputs[1].MuSigPartialSigs[0].Signature[9] ^= 1
	if r, err = people[0].ReviewPSBT(spoilt); err != nil || r.Complete {
		t.Errorf("%+v, %v", r, err)
	}
	wrong := 0
	for _, s := range r.Signers {
		wrong += s.Wrong
	}
	if wrong != 1 {
		t.Errorf("%d have given a wrong part: %+v", wrong, r.Signers)
	}
	tx := extracted(t, p, d)
	for i := range tx.Inputs {
		if len(tx.Inputs[i].Witness) != 1 || len(tx.Inputs[i].Witness[0]) != 64 {
			t.Errorf("the witness is %x", tx.Inputs[i].Witness)
		}
	}
}

// TestSignMuSigApart: each signs a copy of his own, and the copies are combined after each
// round.
func TestSignMuSigApart(t *testing.T) {
	people := newCosigners(t, 3, muSig)
	d, p := people[0].drafted(1, Request{})
	for round := range 2 {
		var parts []*psbt.Packet
		for _, c := range people {
			part := passed(t, p)
			if done := c.sign(part, SignOptions{}); done.Nonces+done.Partial != 1 || done.Partial != round {
				t.Fatalf("round %d: %+v", round, done)
			}
			parts = append(parts, part)
		}
		whole, err := psbt.Combine(parts)
		must(t, err)
		p = passed(t, whole)
	}
	extracted(t, p, d)
}

// TestNonceOnce: a secret nonce makes one signature, whatever anybody does with the packet, the
// database and the clock.
func TestNonceOnce(t *testing.T) {
	people := newCosigners(t, 2, muSig)
	a, b := people[0], people[1]
	_, first := a.drafted(1, Request{})
	a.sign(first, SignOptions{})
	first = passed(t, first)
	b.sign(first, SignOptions{})
	asked := func(name string, p *psbt.Packet, c *cosigner) {
		t.Helper()
		before, _ := p.AppendTo(nil)
		if done, err := c.SignPSBT(c.signer, p, SignOptions{}); !errors.Is(err, ErrNonce) || done.Any() {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
		if after, _ := p.AppendTo(nil); string(after) != string(before) {
			t.Errorf("%s: the packet has changed", name)
		}
	}

	// The folder is copied between the rounds, and the packet is changed.
	must(t, a.Wallet.Close())
	copied := *a
	copied.dir = filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(copied.dir, os.DirFS(a.dir)))
	a.open()
	copied.open()
	asked("a copy of the folder", passed(t, first), &copied)
	must(t, copied.Wallet.Close())
	before := filepath.Join(t.TempDir(), "before")
	must(t, os.CopyFS(before, os.DirFS(copied.dir)))
	changed := passed(t, first)
	changed.Outputs[0].Value--
	changed.Inputs[0].MuSigPartialSigs = nil
	asked("another amount", changed, a)
	later := passed(t, first)
	*later.FallbackLockTime++
	asked("another lock time", later, a)

	// It is used, and then it is gone: for this process and the next, and for a packet with
	// other nonces of the others.
	done := passed(t, first)
	a.sign(done, SignOptions{})
	if !done.Finalize() {
		t.Fatal("not complete")
	}
	asked("the same again", passed(t, first), a)
	a.again()
	asked("the same, later", passed(t, first), a)
	for _, whole := range []bool{false, true} { // the copy is put back, into the folder or in its place
		must(t, a.Wallet.Close())
		db := filepath.Join(a.dir, databaseName)
		files, err := os.ReadDir(db)
		must(t, err)
		for _, file := range files {
			must(t, os.Remove(filepath.Join(db, file.Name())))
		}
		if whole {
			must(t, os.Remove(db))
		}
		must(t, os.CopyFS(db, os.DirFS(filepath.Join(before, databaseName))))
		a.open()
		asked("after the copy was put back", passed(t, first), a)
	}
	other := passed(t, first)
	in := &other.Inputs[0]
	in.MuSigNonces = slices.DeleteFunc(in.MuSigNonces, func(n psbt.MuSigNonce) bool { return n.Participant == in.MuSigPartialSigs[0].Participant })
	in.MuSigPartialSigs = nil
	if done := b.sign(other, SignOptions{}); done.Partial != 1 {
		t.Fatalf("%+v", done)
	}
	asked("with another nonce of the other", other, a)

	// What came to nothing is begun anew, with other nonces.
	again := passed(t, first)
	if done := a.sign(again, SignOptions{Restart: true}); done.Nonces != 1 || again.Inputs[0].MuSigNonces[0] == first.Inputs[0].MuSigNonces[0] {
		t.Errorf("begun anew: %+v", done)
	}
	b.sign(again, SignOptions{})
	now := time.Now()
	a.now = func() time.Time { return now.Add(nonceLifetime + time.Hour) }
	asked("after a month", passed(t, again), a)
}
