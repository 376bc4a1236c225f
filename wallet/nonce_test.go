package wallet

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/psbt"
)

// signerFolders names the folders of two wallets for the process that TestNonceKill kills.
const signerFolders = "KARAT_TEST_SIGNERS"

// TestSignsUntilKilled is no test of its own: it signs with two wallets, one session after the
// other, and prints what leaves the first one, until it is killed.
func TestSignsUntilKilled(t *testing.T) {
	dirs := strings.Split(os.Getenv(signerFolders), string(os.PathListSeparator))
	if len(dirs) != 2 {
		t.Skip("it runs within another test")
	}
	_, p, _ := testFile(t, "")
	a, b := &cosigner{t: t, params: p, dir: dirs[0]}, &cosigner{t: t, params: p, dir: dirs[1]}
	a.open()
	b.open()
	_, whole := a.drafted(1, Request{})
	for i := range 10_000 {
		p := passed(t, whole)
		lockTime := uint32(i)
		p.FallbackLockTime = &lockTime
		a.sign(p, SignOptions{})
		nonce := p.Inputs[0].MuSigNonces[0]
		fmt.Printf("\nnonce %x\n", nonce.Nonce)
		b.sign(p, SignOptions{})
		a.sign(p, SignOptions{})
		for _, part := range p.Inputs[0].MuSigPartialSigs {
			if part.Participant == nonce.Participant {
				fmt.Printf("\npart %x\n", nonce.Nonce)
			}
		}
	}
}

// TestNonceKill: whenever a process that signs is killed, a nonce whose signature has left is
// not there any more, and one that is there can still be used, once.
func TestNonceKill(t *testing.T) {
	people := newCosigners(t, 2, muSig)
	a, b := people[0], people[1]
	for round := range 4 {
		must(t, a.Wallet.Close())
		must(t, b.Wallet.Close())
		child := exec.Command(os.Args[0], "-test.run=^TestSignsUntilKilled$")
		// What a killed process leaves behind goes with this test.
		child.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), signerFolders+"="+a.dir+string(os.PathListSeparator)+b.dir)
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		var drawn, used []string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			what, nonce, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "nonce":
				drawn = append(drawn, nonce)
			case "part":
				used = append(used, nonce)
			}
			if len(drawn)+len(used) == 11+round { // after a nonce or after a signature; what comes meanwhile is read too
				must(t, child.Process.Kill())
			}
		}
		if child.Wait() == nil || len(used) < 5 {
			t.Fatalf("it ended by itself after %d signatures", len(used))
		}
		a.open()
		b.open()
		for _, nonce := range used {
			if a.hasNonce(nonce) {
				t.Fatalf("the nonce %s has signed, and is there", nonce)
			}
		}
		if left := drawn[len(used):]; len(left) > 1 {
			t.Fatalf("%d nonces were drawn and not used", len(left))
		}
	}
	// Two that sign at once, by the same nonce: one of them does.
	_, p := a.drafted(1, Request{})
	a.sign(p, SignOptions{})
	b.sign(p, SignOptions{})
	results := make(chan error)
	for range 2 {
		p := passed(t, p)
		signer, err := a.file.Unlock("")
		must(t, err)
		go func() {
			_, err := a.SignPSBT(signer, p, SignOptions{})
			results <- err
		}()
	}
	one, two := <-results, <-results
	if (one == nil) == (two == nil) || !errors.Is(errors.Join(one, two), ErrNonce) {
		t.Errorf("of two that sign with one nonce: %v, %v", one, two)
	}
	// Another process does not get at the database at all.
	if _, err := Open(a.dir, a.file, a.params, nil); err == nil {
		t.Error("the wallet was opened twice")
	}
}

// hasNonce reports whether the secret half of a nonce is in the database.
func (c *cosigner) hasNonce(public string) bool {
	c.t.Helper()
	raw, err := hex.DecodeString(public)
	must(c.t, err)
	_, err = c.db.db.Get(nonceKey((*[66]byte)(raw)), nil)
	if err != nil && !errors.Is(err, leveldb.ErrNotFound) {
		c.t.Fatal(err)
	}
	return err == nil
}

// TestSignRefusesPackets: what would not be what it seems is not signed.
func TestSignRefusesPackets(t *testing.T) {
	people := newCosigners(t, 2, func(p *consensus.Params, keys []string) (string, error) { return MultisigDescriptor(p, 2, keys) })
	a := people[0]
	d, whole := a.drafted(1, Request{})
	none, odd := uint32(0), uint32(0x83)
	for _, c := range []struct {
		name  string
		spoil func(p *psbt.Packet)
		o     SignOptions
		want  error
	}{
		{"as it is", func(*psbt.Packet) {}, SignOptions{}, nil},
		{"the usual hash type", func(p *psbt.Packet) { p.Inputs[0].SighashType = &none }, SignOptions{}, nil},
		{"an open hash type", func(p *psbt.Packet) { p.Inputs[0].SighashType = &odd }, SignOptions{}, ErrRefused},
		{"an open hash type that was asked for", func(p *psbt.Packet) { p.Inputs[0].SighashType = &odd }, SignOptions{AnyHashType: true}, nil},
		{"another amount", func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO.Value /= 4 }, SignOptions{}, ErrRefused},
		{"no amount", func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO = nil }, SignOptions{}, psbt.ErrContradiction},
		{"another script", func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO.ScriptPubKey[9] ^= 1 }, SignOptions{}, psbt.ErrContradiction},
		{"another place", func(p *psbt.Packet) {
			for i := range p.Inputs[0].TapDerivations {
				path := p.Inputs[0].TapDerivations[i].Origin.Path
				path[len(path)-1]++
			}
		}, SignOptions{Foreign: true}, ErrRefused},
	} {
		p := passed(t, whole)
		c.spoil(p)
		before, _ := p.AppendTo(nil)
		done, err := a.SignPSBT(a.signer, p, c.o)
		if !errors.Is(err, c.want) || (err == nil) != done.Any() {
			t.Errorf("%s: %+v, %v", c.name, done, err)
		}
		if after, _ := p.AppendTo(nil); err != nil && string(after) != string(before) {
			t.Errorf("%s: the packet has changed", c.name)
		}
	}
	// Somebody who has no such account signs only if he is asked to.
	stranger := newCosigner(t, 1) // the words of the first, without the account
	p := passed(t, whole)
	if _, err := stranger.SignPSBT(stranger.signer, p, SignOptions{}); !errors.Is(err, ErrRefused) {
		t.Errorf("for no account: %v", err)
	}
	if done := stranger.sign(p, SignOptions{Foreign: true}); done.Signatures != 1 {
		t.Errorf("%+v", done)
	}
	people[1].sign(p, SignOptions{})
	extracted(t, p, d)

	// Change that says to be ours, and is not.
	faked := passed(t, whole)
	for i := range faked.Outputs {
		if len(faked.Outputs[i].TapDerivations) > 0 {
			faked.Outputs[i].ScriptPubKey[5] ^= 1
		}
	}
	r, err := a.ReviewPSBT(faked)
	must(t, err)
	for _, out := range r.Outputs {
		if out.Change {
			t.Errorf("%+v is taken for change", out)
		}
	}
}

// TestVault: a script with a lock is spent by the one after it, and by the other at any time.
func TestVault(t *testing.T) {
	describe := func(_ *consensus.Params, keys []string) (string, error) {
		return summed(fmt.Sprintf("tr(%s/<0;1>/*,and_v(v:pk(%s/<0;1>/*),older(144)))", keys[0], keys[1])), nil
	}
	people := newCosigners(t, 2, describe)
	if got, want := people[0].accounts[1].account.SpendWeight(), 1+65+1+38+1+33; got != want {
		t.Errorf("a witness of %d, want %d", got, want)
	}
	_, p := people[0].drafted(1, Request{})
	if people[1].sign(p, SignOptions{}); p.Finalize() {
		t.Error("final before the lock is over")
	}
	if people[0].sign(p, SignOptions{}); !p.Finalize() || len(p.Inputs[0].FinalWitness) != 1 {
		t.Errorf("%x", p.Inputs[0].FinalWitness)
	}
	d, p := people[1].drafted(1, Request{Sequence: 144})
	people[1].sign(p, SignOptions{})
	extracted(t, p, d)
}
