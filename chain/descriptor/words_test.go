package descriptor

import (
	"encoding/hex"
	"testing"
)

// TestWords: what scripts ask for, as a person reads it.
func TestWords(t *testing.T) {
	names := map[string]string{keyA: "Ann", keyB: "Bob", keyC: "Cid"}
	for text, want := range map[string]string{
		"pk(" + keyA + ")": "Ann",
		"multi_a(2," + keyA + "," + keyB + "," + keyC + ")":                           "2 of 3: Ann, Bob, Cid",
		"and_v(v:pk(" + keyA + "),older(144))":                                        "Ann and 144 blocks after the coin came",
		"and_v(v:pk(" + keyA + "),older(4194305))":                                    "Ann and 9m0s after the coin came",
		"or_d(pk(" + keyA + "),and_v(v:pk(" + keyB + "),after(900)))":                 "Ann or (Bob and from block 900 on)",
		"and_v(v:pk(" + keyA + "),after(1800000000))":                                 "Ann and from 2027-01-15 08:00 UTC on",
		"andor(pk(" + keyA + "),pk(" + keyC + "),and_v(v:pk(" + keyB + "),older(7)))": "(Ann and Cid) or (Bob and 7 blocks after the coin came)",
		"thresh(2,pk(" + keyA + "),s:pk(" + keyB + "),sln:after(9))":                  "2 of 3: Ann, Bob, from block 9 on",
		"and_n(pk(" + keyA + "),or_i(pk(" + keyB + "),pk(" + keyC + ")))":             "Ann and (Bob or Cid)",
		"and_v(v:pk(" + keyA + "),and_v(v:pk(" + keyB + "),pk(" + keyC + ")))":        "Ann and Bob and Cid",
		"t:or_c(pk(" + keyA + "),v:pk(" + keyB + "))":                                 "Ann or Bob",
		"and_v(v:pk(" + keyA + "),hash160(" + keyB[:40] + "))":                        "Ann and what has the hash160 " + keyB[:40],
		"and_v(v:multi_a(1," + keyA + "," + keyB + "),pk(" + keyC + "))":              "(1 of 2: Ann, Bob) and Cid",
	} {
		m := leafOf(t, text)
		got := m.Words(func(key [32]byte) string { return names[hex.EncodeToString(key[:])] })
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// leafOf reads the script of an expression, as it stands in an output.
func leafOf(t *testing.T, text string) *Miniscript {
	t.Helper()
	d, err := Parse("tr("+nobody+","+text+")", bitcoin)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := d.Outputs(0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := decodeScript(out[0].Leaves[0].Script)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
