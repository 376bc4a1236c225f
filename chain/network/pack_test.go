package network

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// TestPack: what was packed is read again, however its lines were broken on the way, and a bare
// file is read as it is.
func TestPack(t *testing.T) {
	p := regtest(t)
	p.Bootstrap.Nodes = []string{"ab@[::1]:1", "cd@<b>&\\u2028:2"}
	data := Pack(p)
	for name, text := range map[string][]byte{
		"as it is": data, "lines of Windows": bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")),
		"a mark of byte order": append([]byte("\ufeff"), data...), "bare": Marshal(p),
	} {
		again, err := Unpack(text)
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%s: %v", name, err)
		}
		if want := name != "bare"; IsPacked(text) != want {
			t.Errorf("%s: packed is %v", name, !want)
		}
	}
}

// TestUnpackTheLargest: the largest network's file is within the limit.
func TestUnpackTheLargest(t *testing.T) {
	p := regtest(t)
	p.MaxBlockWeight = types.MaxBlockWeight
	p.Genesis.Outputs = nil
	for range maxOutputs {
		p.Genesis.Outputs = append(p.Genesis.Outputs, types.TxOut{ScriptPubKey: make([]byte, 380)})
	}
	for i := range maxBootstrap {
		long := strings.Repeat("x", maxPeerLength-10)
		p.Bootstrap.Nodes = append(p.Bootstrap.Nodes, fmt.Sprint(long, i))
		p.Bootstrap.DNS = append(p.Bootstrap.DNS, fmt.Sprint(long, i))
	}
	if err := Check(p); err != nil {
		t.Fatal(err)
	}
	if n := len(Pack(p)); n > MaxFile || n < MaxFile/2 {
		t.Errorf("it has %d bytes of %d", n, MaxFile)
	}
}

// Each file has one fault, which its error names in a line.
func TestUnpackIsStrict(t *testing.T) {
	good := string(Pack(regtest(t)))
	damaged := strings.Replace(good, `"target_spacing": 600`, `"target_spacing": 601`, 1)
	if damaged == good {
		t.Fatal("nothing was damaged")
	}
	sum := good[strings.Index(good, `"sha256": "`)+11:][:64]
	for _, test := range []struct{ name, text, want string }{
		{"damaged", damaged, "sha256: the checksum is"},
		{"another checksum", strings.Replace(good, sum, strings.ToUpper(sum), 1), "sha256: "},
		{"no checksum", strings.Replace(good, `"sha256"`, `"sha"`, 1), "sha256: "},
		{"a newer version", strings.Replace(good, `"karat_network": 1`, `"karat_network": 2`, 1), "karat_network: version 2"},
		{"a version with commands", strings.Replace(good, `"karat_network": 1`, `"karat_network": "1\u001b"`, 1), "karat_network"},
		{"cut", good[:len(good)/2], "network."},
		{"cut at the beginning", good[:30], "the file: unexpected EOF"},
		{"something behind", good + "{}", "something stands after the end"},
		{"a field more", strings.Replace(good, `"sha256"`, `"color": 1, "sha256"`, 1), `"color": unknown field`},
		{"a field twice", strings.Replace(good, `"sha256"`, `"karat_network": 1, "sha256"`, 1), "karat_network: stands there twice"},
		{"another case", strings.Replace(good, `"karat_network"`, `"Karat_Network"`, 1), `"Karat_Network": unknown field`},
		{"no network", `{"karat_network": 1, "sha256": ""}`, "network: "},
		{"a network of nothing", `{"karat_network": 1, "sha256": "` + checksum([]byte("null")) + `", "network": null}`, "network: want an object"},
		{"a bad network", `{"karat_network": 1, "sha256": "` + checksum([]byte(`{"name":1}`)) + `", "network": {"name": 1}}`, "network.hrp: missing"},
		{"too long", good + strings.Repeat(" ", MaxFile), "more than"},
		{"deep", strings.Repeat("[", 100_000), "the file: want an object"},
		{"a page", "<!DOCTYPE html>", "the file: invalid character '<'"},
		{"nothing", "", "the file: unexpected EOF"},
	} {
		_, err := Unpack([]byte(test.text))
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		} else if text := err.Error(); strings.ContainsAny(text, "\r\n\x1b") || len(text) > 300 {
			t.Errorf("%s: the error is not one short line: %q", test.name, text)
		}
	}
}

func TestAddPeers(t *testing.T) {
	list := []string{"a@x:1", "y:2"}
	for _, test := range []struct {
		name       string
		more, want []string
	}{
		{"nothing", nil, list},
		{"the same", []string{"a@x:1", "y:2"}, list},
		{"another", []string{"b@z:3", "b@z:3"}, []string{"a@x:1", "y:2", "b@z:3"}},
		{"a new key", []string{"b@X:1"}, []string{"b@X:1", "y:2"}},
		{"an id that was not known", []string{"c@y:2"}, []string{"a@x:1", "c@y:2"}},
		{"without the id that is known", []string{"x:1"}, list},
	} {
		if got := AddPeers(list, test.more); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if list[0] != "a@x:1" {
		t.Error("the list itself has changed")
	}
}

// FuzzUnpack: a file is refused in one line of ErrFile, or is packed and read again as the same.
func FuzzUnpack(f *testing.F) {
	f.Add(Pack(regtest(f)))
	f.Add([]byte(`{"karat_network": 1, "sha256": "", "network": null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Unpack(data)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Errorf("%v", err)
			}
			return
		}
		if again, err := Unpack(Pack(p)); err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("packed and read again it differs: %v", err)
		}
	})
}
