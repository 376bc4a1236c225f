package descriptor

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/vectors"
)

// bitcoin is how Bitcoin's main network writes keys.
var bitcoin = Keys{HRP: "bc"}

// TestBIPVectors has the vectors of BIP385 to 390: the scripts of good texts at the
// indexes from 0 on, or the texts for which one with multipath stands.
func TestBIPVectors(t *testing.T) {
	var all []struct {
		BIP     int
		Text    string
		Gives   []string
		Invalid bool
	}
	vectors.ReadJSON(t, "descriptor/bips.json", &all)
	for _, v := range all {
		d, err := Parse(v.Text, bitcoin)
		switch {
		case strings.Contains(v.Text, "addr(3"):
			continue // an address that karat's networks do not have
		case (err != nil) != v.Invalid:
			t.Errorf("BIP%d: %s: error %v", v.BIP, v.Text, err)
		case err != nil:
		case v.BIP == 389:
			for i, one := range d.Expand() {
				if got, _, _ := strings.Cut(one.PrivateString(), "#"); got != v.Gives[i] {
					t.Errorf("BIP389: expanded to %s, want %s", got, v.Gives[i])
				}
			}
		default:
			for i, want := range v.Gives {
				checkScripts(t, d, i, []string{want})
			}
		}
	}
	vectors.Ran(t, len(all), "descriptors of BIPs")
}

func checkScripts(t *testing.T, d *Descriptor, index int, want []string) {
	t.Helper()
	scripts, err := d.Scripts(uint32(index))
	if err != nil {
		t.Errorf("%s at %d: %v", d, index, err)
		return
	}
	got := make([]string, len(scripts))
	for i := range scripts {
		got[i] = hex.EncodeToString(scripts[i])
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s at %d: scripts %v, want %v", d, index, got, want)
	}
}

// TestCoreVectors has the cases of Core's own test: texts with and without private
// keys, what they stand for, and the words in which wrong ones are refused.
func TestCoreVectors(t *testing.T) {
	var all []struct {
		Private, Public, Error      string
		Flags                       []string
		Scripts                     []string
		ExpandPrivate, ExpandPublic []string
	}
	vectors.ReadJSON(t, "descriptor/core.json", &all)
	checked := 0
	for _, v := range all {
		if differs(v.Public) {
			continue
		}
		checked++
		if v.Scripts == nil && v.ExpandPublic == nil {
			checkRefused(t, v.Public, v.Error)
			continue
		}
		private, err := Parse(v.Private, bitcoin)
		if err != nil {
			t.Errorf("%s: %v", v.Private, err)
			continue
		}
		public, err := Parse(v.Public, bitcoin)
		if err != nil {
			t.Errorf("%s: %v", v.Public, err)
			continue
		}
		if private.String() != public.String() {
			t.Errorf("%s without private keys: %s, want %s", v.Private, private, public)
		}
		checkExpanded(t, private.Expand(), v.ExpandPrivate, (*Descriptor).PrivateString)
		checkExpanded(t, public.Expand(), v.ExpandPublic, (*Descriptor).String)
		for i, script := range v.Scripts {
			checkScripts(t, private, i, []string{script})
		}
	}
	vectors.Ran(t, checked, "descriptors of Core")
}

// differs tells of what Core reads and karat does not.
func differs(text string) bool {
	return strings.Contains(text, "wsh(") && !strings.Contains(text, "multi") || // miniscript of version 0 outputs
		strings.HasPrefix(text, "sh(and_v") || strings.HasPrefix(text, "unused(") || strings.Contains(text, "(unused(") ||
		strings.Contains(text, "addr(3") || strings.Contains(text, "addr(1")
}

func checkRefused(t *testing.T, text, words string) {
	t.Helper()
	if _, err := Parse(text, bitcoin); err == nil {
		t.Errorf("%s: not refused", text)
	} else if words != "" && shown(err.Error()) != shown(words) { // long texts are not repeated whole
		t.Errorf("%s: %q, want %q", text, err, words)
	}
}

func checkExpanded(t *testing.T, got []*Descriptor, want []string, text func(*Descriptor) string) {
	t.Helper()
	if want == nil {
		return
	}
	if len(got) != len(want) {
		t.Errorf("%d descriptors, want %d", len(got), len(want))
		return
	}
	for i := range got {
		if one, _, _ := strings.Cut(text(got[i]), "#"); one != want[i] {
			t.Errorf("expanded to %s, want %s", one, want[i])
		}
	}
}

// TestCoreAnswers has what Core's getdescriptorinfo and deriveaddresses say of random
// descriptors, some of them spoiled.
func TestCoreAnswers(t *testing.T) {
	regtest := Keys{HRP: "bcrt", Test: true}
	var all []struct {
		Text, Error, Refused string
		Info                 struct {
			Descriptor                          string
			Multipath                           []string `json:"multipath_expansion"`
			IsRange, IsSolvable, HasPrivateKeys bool
		}
		Addresses json.RawMessage
	}
	vectors.ReadJSON(t, "descriptor/core-answers.json", &all)
	for _, v := range all {
		d, err := Parse(v.Text, regtest)
		if err != nil || v.Error != "" {
			if err == nil || shown(err.Error()) != shown(v.Error) {
				t.Errorf("%s: %v, want %s", v.Text, err, v.Error)
			}
			continue
		}
		expanded, texts := d.Expand(), []string(nil)
		for _, one := range expanded {
			texts = append(texts, one.String())
		}
		if texts[0] != v.Info.Descriptor || len(v.Info.Multipath) > 0 && !slices.Equal(texts, v.Info.Multipath) ||
			d.Ranged() != v.Info.IsRange || d.Solvable() != v.Info.IsSolvable || d.HasPrivateKeys() != v.Info.HasPrivateKeys {
			t.Errorf("%s: %v, want %+v", v.Text, texts, v.Info)
		}
		if v.Refused != "" {
			if _, err := d.Scripts(0); err == nil || err.Error() != v.Refused {
				t.Errorf("%s: %v, want %s", v.Text, err, v.Refused)
			}
		}
		if v.Addresses != nil {
			if got := addressesJSON(t, expanded); got != compact(t, v.Addresses) {
				t.Errorf("%s: addresses %s, want %s", v.Text, got, v.Addresses)
			}
		}
	}
	vectors.Ran(t, len(all), "answers about descriptors")
}

// addressesJSON returns addresses as deriveaddresses does: of the first two indexes of
// what is ranged, and an array for each alternative of a multipath.
func addressesJSON(t *testing.T, expanded []*Descriptor) string {
	t.Helper()
	all := make([][]string, len(expanded))
	for i, d := range expanded {
		for index := uint32(0); index < 2 && (index == 0 || d.Ranged()); index++ {
			scripts, err := d.Scripts(index)
			if err != nil {
				return err.Error()
			}
			address, err := taproot.EncodeAddress("bcrt", scripts[0])
			if err != nil {
				t.Fatal(err)
			}
			all[i] = append(all[i], address)
		}
	}
	var answer any = all
	if len(all) == 1 {
		answer = all[0]
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
