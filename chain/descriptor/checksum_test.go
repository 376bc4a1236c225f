package descriptor

import "testing"

// TestChecksum has BIP380's vectors.
func TestChecksum(t *testing.T) {
	if got := Checksum("raw(deadbeef)"); got != "89f8spxm" {
		t.Errorf("checksum %s", got)
	}
	for _, other := range []string{"raw(deedbeef)", "raw(deadbeef)0", "Raw(deadbeef)", "raw(edadbeef)"} {
		if Checksum(other) == "89f8spxm" {
			t.Errorf("%s has the same checksum", other)
		}
	}
	if got := Checksum("raw(Ü)"); got != "" {
		t.Errorf("a character outside of the set: %s", got)
	}
	for text, words := range map[string]string{
		"raw(deadbeef)#89f8spxm":  "",
		"raw(deadbeef)":           "",
		"raw(deadbeef)#":          "Expected 8 character checksum, not 0 characters",
		"raw(deadbeef)#89f8spxmx": "Expected 8 character checksum, not 9 characters",
		"raw(deadbeef)#89f8spx":   "Expected 8 character checksum, not 7 characters",
		"raw(deedbeef)#89f8spxm":  "Provided checksum '89f8spxm' does not match computed checksum '",
		"raw(deedbeef)##9f8spxm":  "Multiple '#' symbols",
		"raw(Ü)#00000000":         "Invalid characters in payload",
	} {
		if _, err := Parse(text, bitcoin); words == "" && err != nil || words != "" && (err == nil || err.Error()[:len(words)] != words) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ParseSummed("raw(deadbeef)", bitcoin); err == nil || err.Error() != "Missing checksum" {
		t.Errorf("without a checksum: %v", err)
	}
}

// TestSum: parts give the checksum of the whole.
func TestSum(t *testing.T) {
	const text, want = "raw(deadbeef)", "89f8spxm"
	for i := range len(text) {
		for j := i; j < len(text); j++ {
			var sum Sum
			sum.Add([]byte(text[:i]))
			sum.Add([]byte(text[i:j]))
			sum.Add([]byte(text[j:]))
			if got := string(sum.AppendTo(nil)); got != want {
				t.Errorf("cut at %d and %d: %s", i, j, got)
			}
		}
	}
}
