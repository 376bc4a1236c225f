package descriptor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
)

// TestOutputs: each control block leads from its leaf to the output key, each key is told
// with its leaves and its origin, and private keys belong to their public ones.
func TestOutputs(t *testing.T) {
	text := "tr([d34db33f/86h]" + xpub + "/<0;1>/*,{pk(" + xprv + "/7/*),{{multi_a(1," + keyB + "," + wif + "),pk(" + keyB + ")},and_v(v:pk(" + keyC + "),older(9))}})"
	d, err := Parse(text, bitcoin)
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := d.Outputs(5)
	if err != nil || len(outputs) != 2 || bytes.Equal(outputs[0].ScriptPubKey, outputs[1].ScriptPubKey) {
		t.Fatalf("%d outputs, %v", len(outputs), err)
	}
	for _, o := range outputs {
		key, parity, err := taproot.OutputKey(o.Internal, o.MerkleRoot)
		if err != nil || !bytes.Equal(o.ScriptPubKey, taproot.OutputScript(key)) {
			t.Errorf("script %x, %v", o.ScriptPubKey, err)
		}
		for i, depth := range []int{1, 3, 3, 2} {
			leaf := o.Leaves[i]
			control := leaf.ControlBlock
			if leaf.Depth != depth || len(control) != 33+32*depth || control[0] != 0xc0|parity || !bytes.Equal(control[1:33], o.Internal[:]) {
				t.Fatalf("leaf %d: depth %d, control block %x", i, leaf.Depth, control)
			}
			node := leaf.Hash
			for rest := control[33:]; len(rest) > 0; rest = rest[32:] {
				node = taproot.BranchHash(node, [32]byte(rest))
			}
			if !bytes.Equal(node[:], o.MerkleRoot) {
				t.Errorf("leaf %d does not lead to the root", i)
			}
		}
	}
	keys := outputs[1].Keys
	if len(keys) != 5 {
		t.Fatalf("%d keys, want the internal one and four others", len(keys))
	}
	if got := fmt.Sprintf("%x %v %v", keys[0].Fingerprint, keys[0].Path, len(keys[0].Leaves)); got != fmt.Sprintf("d34db33f [%d 1 5] 0", 86+hardenedBit) {
		t.Errorf("the internal key comes from %s", got)
	}
	if got := fmt.Sprint(keys[1].Path); got != "[7 5]" || keys[1].Private == nil || !bytes.Equal(keys[1].Private.PubKey().SerializeCompressed(), keys[1].Public[:]) {
		t.Errorf("the derived key comes from %s", got)
	}
	if hex.EncodeToString(keys[2].Public[1:]) != keyB || len(keys[2].Leaves) != 2 || keys[2].Private != nil {
		t.Errorf("the key of two leaves: %+v", keys[2])
	}
	if hex.EncodeToString(keys[3].Public[1:]) != keyA || keys[3].Private == nil {
		t.Errorf("the private key: %+v", keys[3])
	}
}

// TestDerivedText: the text of an index stands for the same script, without an index.
func TestDerivedText(t *testing.T) {
	for _, text := range samples {
		d, err := Parse(text, bitcoin)
		if err != nil {
			t.Fatal(err)
		}
		for branch, one := range d.Expand() {
			want, err := one.Scripts(3)
			if errors.Is(err, ErrNoOutput) {
				continue
			}
			written, err2 := one.Derived(branch, 3)
			if err != nil || err2 != nil {
				t.Errorf("%s: %v, %v", text, err, err2)
				continue
			}
			again, err := ParseSummed(written, bitcoin)
			if err != nil {
				t.Errorf("%s: %v", written, err)
				continue
			}
			if got, err := again.Scripts(0); err != nil || again.Ranged() || again.HasPrivateKeys() || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%s at 3 is %s: %x, want %x, %v", text, written, got, want, err)
			}
		}
	}
}

// TestSharedPrivateKeys: a private key serves wherever its public one stands.
func TestSharedPrivateKeys(t *testing.T) {
	neuter, err := Parse("tr("+xprv+")", bitcoin)
	if err != nil {
		t.Fatal(err)
	}
	public := strings.TrimSuffix(strings.TrimPrefix(strings.Split(neuter.String(), "#")[0], "tr("), ")")
	if d, err := Parse("tr("+public+"/1h)", bitcoin); err != nil {
		t.Fatal(err)
	} else if _, err := d.Scripts(0); !errors.Is(err, ErrNoPrivateKey) {
		t.Errorf("a hardened step of a public key: %v", err)
	}
	shared, err := Parse("tr("+public+"/1h,pk("+xprv+"))", bitcoin)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Parse("tr("+xprv+"/1h,pk("+xprv+"))", bitcoin)
	if err != nil {
		t.Fatal(err)
	}
	got, err := shared.Scripts(0)
	want, err2 := own.Scripts(0)
	if err != nil || err2 != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%x, want %x, %v, %v", got, want, err, err2)
	}
}

// TestBounds: what a stranger can send is refused before it costs much.
func TestBounds(t *testing.T) {
	const most = 30 * time.Second // on a loaded machine; it is a third of one else
	tree := "pk(" + keyA + ")"
	for range 129 {
		tree = "{" + tree + ",pk(" + keyA + ")}"
	}
	path := strings.Repeat("/0", 200)
	for name, c := range map[string]struct{ text, want string }{
		"text":        {"raw(" + strings.Repeat("00", maxTextSize/2) + ")", "Descriptor has 262149 characters, at most 262144 are read"},
		"keys":        {"tr(" + keyA + ",multi_a(1" + strings.Repeat(","+keyA, 2000) + "))", "Descriptor has more than 2000 keys"},
		"multi_a":     {"tr(" + keyA + ",multi_a(1" + strings.Repeat(","+keyA, 1000) + "))", "Cannot have 1000 keys in multi_a; must have between 1 and 999 keys, inclusive"},
		"steps":       {"tr(" + keyA + ",multi_a(1" + strings.Repeat(","+xpub+path, 60) + "))", "Descriptor has more than 10000 steps from keys to others"},
		"tree":        {"tr(" + keyA + "," + tree + ")", "tr() supports at most 128 nesting levels"},
		"wrappers":    {"tr(" + keyA + "," + strings.Repeat("n", 10_000) + ":pk(" + keyB + "))", "' is not a valid descriptor function"},
		"nesting":     {"tr(" + keyA + "," + strings.Repeat("or_i(0,", 5_000) + "1" + strings.Repeat(")", 5_000) + ")", "' is not a valid descriptor function"},
		"expressions": {"tr(" + keyA + ",thresh(1" + strings.Repeat(",0", 50_000) + "))", "Descriptor has more than 4000 expressions"},
		"multipath":   {"tr(" + xpub + "/<0" + strings.Repeat(";1", 300) + ">)", "Multipath key path specifiers have at most 256 items"},
		"base58":      {"tr(" + strings.Repeat("x", 200_000) + ")", "' is not valid"},
		"brackets":    {strings.Repeat("sh(", 50_000), "' is not a valid descriptor function"},
		"musig":       {"tr(musig(" + strings.Repeat(keyA+",", 2_000) + keyA + "))", "musig(): Pubkey '" + keyA + "' is invalid"},
	} {
		began := time.Now()
		_, err := Parse(c.text, bitcoin)
		if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(c.want, "' ")) || len(err.Error()) > 2*maxShown {
			t.Errorf("%s: %.200v, want %s", name, err, c.want)
		}
		if took := time.Since(began); took > most {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// TestDerivedAsCore has the texts that Core's scantxoutset has shown for two outputs.
func TestDerivedAsCore(t *testing.T) {
	const x, y = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
	for text, want := range map[string]string{
		"tr(" + keyC + ",{sortedmulti_a(1," + y + "," + x + "),{pk(" + x + "),and_v(v:pk(" + y + "),older(5))}})": "tr([7dd65592]" + keyC + ",{{pk([751e76e8]" + x + "),and_v(v:pk([06afd46b]" + y + "),older(5))},multi_a(1,[751e76e8]" + x + ",[06afd46b]" + y + ")})#wcz5553s",
		"tr(" + x + ",or_d(pk(" + y + "),and_v(v:pkh(" + keyC + "),older(9))))":                                   "tr([751e76e8]" + x + ",or_d(pk([06afd46b]" + y + "),and_v(v:pkh([7dd65592]02" + keyC + "),older(9))))#4sy4dxrk",
	} {
		d, err := Parse(text, bitcoin)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Derived(0, 0); got != want || err != nil {
			t.Errorf("%s is %s, want %s, %v", text, got, want, err)
		}
	}
}
