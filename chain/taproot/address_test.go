package taproot

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2/bech32"

	"github.com/karatcoin/karat/internal/vectors"
)

func TestVectorsAddresses(t *testing.T) {
	accepted, refused := 0, 0
	for _, file := range vectors.Files(t, "wallet/bech32m.json") {
		var groups map[string][]struct {
			Address, String string
			StringHex       string `json:"string_hex"`
			ScriptPubKey    string
			WitnessVersion  *int                       `json:"witness_version"`
			Core            map[string]json.RawMessage `json:"core_validateaddress"`
		}
		vectors.ReadJSON(t, file, &groups)
		for group, cases := range groups {
			for _, tc := range cases {
				address := tc.Address + tc.String
				if tc.StringHex != "" {
					address = string(vectors.Hex(t, tc.StringHex))
				}
				hrp, _, _ := strings.Cut(strings.ToLower(address), "1")
				// Every prefix that the vectors use, right or wrong.
				networks := []string{"bc", "bcrt", "tb"}
				if tc.ScriptPubKey != "" {
					networks = append(networks, hrp)
				}
				for _, network := range networks {
					want := ""
					if network == hrp && tc.ScriptPubKey != "" && *tc.WitnessVersion > 0 {
						want = tc.ScriptPubKey
					}
					chain := map[string]string{"bc": "main", "bcrt": "regtest"}[network]
					var core string
					if json.Unmarshal(tc.Core[chain], &core) == nil && len(core) > 0 && !strings.HasPrefix(core, "00") && core != want {
						t.Errorf("%s: the vector contradicts itself: %s, %s", address, core, want)
					}
					script, err := DecodeAddress(network, address)
					switch {
					case hex.EncodeToString(script) != want:
						t.Errorf("%s %q under %s: script %x, %v; want %q", group, address, network, script, err, want)
					case want == "" && !errors.Is(err, ErrAddress):
						t.Errorf("%q under %s: error %v", address, network, err)
					case want == "":
						refused++
					default:
						accepted++
						again, err := EncodeAddress(network, script)
						if err != nil || again != strings.ToLower(address) {
							t.Errorf("%q encodes again as %q, %v", address, again, err)
						}
						if flipped, err := DecodeAddress(network, strings.ToUpper(address)); !bytes.Equal(flipped, script) {
							t.Errorf("%q in upper case: %x, %v", address, flipped, err)
						}
					}
				}
			}
		}
	}
	vectors.Ran(t, accepted, "addresses accepted")
	vectors.Ran(t, refused, "addresses refused")
}

// TestAddressErrors holds that a refusal says what is wrong.
func TestAddressErrors(t *testing.T) {
	program := bytes.Repeat([]byte{7}, 32)
	encode := func(m bool, hrp string, version byte, program []byte) string {
		data, err := bech32.ConvertBits(program, 8, 5, true)
		if err != nil {
			t.Fatal(err)
		}
		data = append([]byte{version}, data...)
		f := bech32.Encode
		if m {
			f = bech32.EncodeM
		}
		s, err := f(hrp, data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	valid := encode(true, "krt", 1, program)
	if script, err := DecodeAddress("krt", valid); err != nil || !bytes.Equal(script, append([]byte{0x51, 32}, program...)) {
		t.Fatalf("%s: %x, %v", valid, script, err)
	}
	typo := []byte(valid)
	typo[20] = map[bool]byte{true: 'q', false: 'p'}[typo[20] == 'p']
	emptyData, _ := bech32.EncodeM("krt", nil)
	badPadding, _ := bech32.EncodeM("krt", append([]byte{1}, 31, 31, 31, 31, 31))
	for _, tc := range []struct{ address, says string }{
		{encode(true, "bc", 1, program), `prefix "bc", addresses of this network have "krt"`},
		{encode(false, "krt", 1, program), "needs bech32m"},
		{encode(false, "krt", 0, program), "version 0 witness"},
		{encode(true, "krt", 0, program), "version 0 witness"},
		{encode(true, "krt", 17, program), "witness version 17"},
		{encode(true, "krt", 31, program), "witness version 31"},
		{encode(true, "krt", 1, program[:1]), "program of 1 bytes"},
		{encode(true, "krt", 1, append(program, program...)[:41]), "program of 41 bytes"},
		{string(typo), "the checksum does not match"},
		{strings.ToUpper(valid[:10]) + valid[10:], "mixed upper and lower case"},
		{"krt1", "too short"},
		{"", "too short"},
		{"krtqqqqqqqqqqqqqqq", "no prefix"},
		{valid + "q", "checksum"},
		{strings.Repeat("q", 91), "91 characters, more than 90"},
		{emptyData, "holds no witness version"},
		{badPadding, "padded wrongly"},
		{valid[:8] + "b" + valid[9:], `'b' is no letter of an address`},
		{valid[:8] + "\x00" + valid[9:], `'\x00' (U+0000) at place 9`},
		{valid[:8] + "é" + valid[9:], "'é' (U+00E9) at place 9"},
		{"éк" + valid, "'é' (U+00E9) at place 1"},
		{valid[:8] + " " + valid[9:], "' ' (U+0020) at place 9"},
	} {
		script, err := DecodeAddress("krt", tc.address)
		if !errors.Is(err, ErrAddress) || script != nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q: script %x, error %v; want one that says %q", tc.address, script, err, tc.says)
		}
	}
}

func TestAddressPrefixes(t *testing.T) {
	script := func(n int) []byte { return append([]byte{0x60, byte(n)}, make([]byte, n)...) }
	for _, tc := range []struct {
		hrp  string
		size int
		ok   bool
	}{
		{"k", 2, true}, {"k", 40, true}, {strings.Repeat("k", 83), 2, false}, {strings.Repeat("k", 78), 2, true}, {strings.Repeat("k", 79), 2, false},
		{strings.Repeat("k", 30), 32, true}, {strings.Repeat("k", 31), 32, false},
		{"", 2, false}, {strings.Repeat("k", 84), 2, false}, {"K", 2, false}, {"k k", 2, false}, {"k1k", 2, true}, {"k\x7f", 2, false},
	} {
		address, err := EncodeAddress(tc.hrp, script(tc.size))
		if (err == nil) != tc.ok {
			t.Errorf("prefix %q, %d bytes: %q, %v", tc.hrp, tc.size, address, err)
		}
		if err != nil {
			continue
		}
		if back, err := DecodeAddress(tc.hrp, address); err != nil || !bytes.Equal(back, script(tc.size)) {
			t.Errorf("%q: %x, %v", address, back, err)
		}
	}
	for _, bad := range []string{"", "6a", "0014" + strings.Repeat("00", 20), "5101ff", "5129" + strings.Repeat("00", 41), "51200102"} {
		if address, err := EncodeAddress("krt", vectors.Hex(t, bad)); !errors.Is(err, ErrAddress) {
			t.Errorf("script %s: %q, %v", bad, address, err)
		}
	}
	if _, err := DecodeAddress("KRT", "x"); !errors.Is(err, ErrAddress) {
		t.Errorf("an upper case prefix: %v", err)
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("krt", "krt1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq")
	f.Add("bc", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")
	f.Add("bc", "BC1SW50QGDZ25J")
	f.Add("bc", "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs")
	f.Fuzz(func(t *testing.T, hrp, address string) {
		script, err := DecodeAddress(hrp, address)
		if err != nil {
			if !errors.Is(err, ErrAddress) || script != nil {
				t.Fatalf("%x, %v", script, err)
			}
			return
		}
		again, err := EncodeAddress(hrp, script)
		if err != nil || again != strings.ToLower(address) {
			t.Fatalf("%q is %x, which is %q, %v", address, script, again, err)
		}
	})
}

// TestAppendAddress: it is EncodeAddress for every version and length, and with prefixes
// that are too long for an address.
func TestAppendAddress(t *testing.T) {
	for _, hrp := range []string{"krt", "bcrt", "a", "1", "with-a-long-name", "a-prefix-of-forty-characters-is-too-long"} {
		for version := range 18 {
			for size := range 42 {
				script := append([]byte{byte(0x50 + version), byte(size)}, bytes.Repeat([]byte{byte(37 * (version + size))}, size)...)
				want, err := EncodeAddress(hrp, script)
				got, ok := AppendAddress([]byte("x"), hrp, script)
				if string(got) != "x"+want || ok != (err == nil) {
					t.Fatalf("%s, version %d, %d bytes: %s %v, want %s %v", hrp, version, size, got, ok, want, err)
				}
				if ok && len(want) != len(hrp)+AddressSize(size) {
					t.Fatalf("%s has %d characters", want, len(want))
				}
			}
		}
	}
}
