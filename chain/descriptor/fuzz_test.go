package descriptor

import (
	"bytes"
	"testing"
)

// FuzzParse: what is read and written is read again as the same, with its private keys
// and without, and so is each alternative of a multipath. No text makes it panic.
func FuzzParse(f *testing.F) {
	for _, text := range samples {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text, bitcoin)
		if err != nil {
			return
		}
		whole := reread(t, d, d.PrivateString())
		if whole.PrivateString() != d.PrivateString() {
			t.Fatalf("%s became %s", d.PrivateString(), whole.PrivateString())
		}
		public := reread(t, d, d.String())
		if public.HasPrivateKeys() {
			t.Fatalf("%s still has private keys", public)
		}
		scripts, err := d.Scripts(1)
		again, err2 := whole.Scripts(1)
		if (err == nil) != (err2 == nil) || len(scripts) != len(again) {
			t.Fatalf("%s: %v, then %v", d, err, err2)
		}
		for i, one := range d.Expand() {
			reread(t, one, one.String())
			if err == nil && !bytes.Equal(scripts[i], again[i]) {
				t.Fatalf("%s: scripts %x, then %x", d, scripts[i], again[i])
			}
		}
	})
}

func reread(t *testing.T, d *Descriptor, text string) *Descriptor {
	t.Helper()
	again, err := ParseSummed(text, bitcoin)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if again.String() != d.String() || again.Ranged() != d.Ranged() || again.KeyCount() != d.KeyCount() || len(again.Expand()) != len(d.Expand()) {
		t.Fatalf("%s became %s", d, again)
	}
	return again
}

const (
	xpub = "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL"
	xprv = "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJFjaPdGZ2y9WACViL4L"
	wif  = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"
	keyA = "a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
	keyB = "669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0"
	keyC = "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"
)

// samples are texts of all kinds.
var samples = []string{
	"raw(51024e73)", "addr(bc1pfeessrawgf)", "rawtr(" + keyA + ")", "tr(" + wif + ")",
	"tr([d34db33f/86h/0'/0h]" + xprv + "/<0;1h;2>/*')",
	"tr(" + xpub + "/0/*,{pk(" + xpub + "/1/*),{multi_a(2," + keyA + ",03" + keyB + "),sortedmulti_a(1," + keyB + "," + keyA + ")}})",
	"tr(" + keyA + ",and_v(v:pk(" + keyB + "),older(144)))",
	"tr(" + keyA + ",and_v(v:multi_a(2," + keyB + "," + keyC + "),after(500000001)))",
	"tr(" + keyA + ",or_d(pk(" + keyB + "),and_v(v:pkh(" + keyC + "),older(4194305))))",
	"tr(" + keyA + ",andor(pk(" + keyB + "),sha256(" + keyA + "),pk(" + keyC + ")))",
	"tr(" + keyA + ",thresh(2,pk(" + keyB + "),s:pk(" + keyC + "),sln:after(9)))",
	"tr(" + keyA + ",t:or_c(pk(" + keyB + "),and_v(v:pk(" + keyC + "),or_c(pk(" + keyA + "),v:hash160(" + keyA[:40] + ")))))",
	"tr(" + keyA + ",and_n(pk(" + keyB + "),or_i(pk(" + keyC + "),pk(" + xpub + "))))",
	"tr(musig(" + xpub + "," + xprv + ")/<3;4>/*)",
	"rawtr(musig(02" + keyA + ",03" + keyB + "))",
	"pkh(" + xpub + "/<0;1>/*)", "sh(wsh(multi(1,02" + keyA + ",02" + keyB + ")))", "combo(02" + keyA + ")", "sh(wpkh(02" + keyC + "))",
}

// TestSamples: they are good texts, so that the fuzzer begins with some.
func TestSamples(t *testing.T) {
	for _, text := range samples {
		d, err := Parse(text, bitcoin)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := d.PrivateString(); got[:len(text)] != text && text != samples[4] { // there the marks become alike
			t.Errorf("%s is written as %s", text, got)
		}
	}
}
