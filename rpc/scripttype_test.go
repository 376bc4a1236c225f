package rpc

import (
	"encoding/hex"
	"strings"
	"testing"
)

// TestOlderScriptTypes: scripts that are no outputs here have Bitcoin Core's names, too.
func TestOlderScriptTypes(t *testing.T) {
	key, long := "21"+"02"+strings.Repeat("11", 32), "41"+"04"+strings.Repeat("11", 64)
	for script, want := range map[string]string{
		"76a914" + strings.Repeat("22", 20) + "88ac":   "pubkeyhash",
		"76a914" + strings.Repeat("22", 20) + "88ad":   "nonstandard",
		"a914" + strings.Repeat("22", 20) + "87":       "scripthash",
		"52" + key + key + key + "53ae":                "multisig",
		"51" + key + long + "52ae":                     "multisig",
		"53" + key + key + "52ae":                      "nonstandard",
		"52" + key + key + key + "52ae":                "nonstandard",
		"52" + key + key + "52ae00":                    "nonstandard",
		"00" + "00" + "ae":                             "nonstandard",
		"51" + strings.Repeat(key, 17) + "0111" + "ae": "multisig",
		"ae":       "nonstandard",
		key + "ac": "pubkey",
	} {
		raw, err := hex.DecodeString(script)
		if err != nil {
			t.Fatal(err)
		}
		if got := scriptType(raw); got != want {
			t.Errorf("%s is %s, want %s", script, got, want)
		}
	}
}

// TestSignatureWords: the hash type of a signature in a scriptSig is shown, and of nothing
// else.
func TestSignatureWords(t *testing.T) {
	const der = "3006020101020101"
	words := func(script string, scriptSig bool) string {
		raw, err := hex.DecodeString(script)
		if err != nil {
			t.Fatal(err)
		}
		var w jsonWriter
		w.asm(raw, scriptSig)
		return string(w.b)
	}
	for _, c := range []struct {
		script    string
		scriptSig bool
		want      string
	}{
		{"09" + der + "01", true, der + "[ALL]"},
		{"09" + der + "82", true, der + "[NONE|ANYONECANPAY]"},
		{"09" + der + "01", false, der + "01"},
		{"09" + der + "04", true, der + "04"},
		{"6a09" + der + "01", true, "OP_RETURN " + der + "01"},
	} {
		if got := words(c.script, c.scriptSig); got != c.want {
			t.Errorf("%s, scriptSig %t: %s, want %s", c.script, c.scriptSig, got, c.want)
		}
	}
}
