package peerinfo

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func TestNodeID(t *testing.T) {
	id := NodeID{0: 0xab, 1: 1, 31: 0xcd}
	parsed, err := ParseNodeID(id.String())
	if err != nil || parsed != id || len(id.String()) != 64 || id.IsZero() {
		t.Errorf("%s: %v", id, err)
	}
	if id.String() != hex.EncodeToString(id[:]) {
		t.Error("the text is not in the order of the bytes")
	}
	text, err := json.Marshal(map[string]NodeID{"id": id})
	var back map[string]NodeID
	if err != nil || json.Unmarshal(text, &back) != nil || back["id"] != id {
		t.Errorf("%s: %v", text, err)
	}
	for _, bad := range []string{
		"", id.String()[:63], id.String() + "0", strings.ToUpper(id.String()), " " + id.String()[1:], "g" + id.String()[1:],
	} {
		if got, err := ParseNodeID(bad); err == nil || !got.IsZero() {
			t.Errorf("%q: %v", bad, got)
		}
		if err := new(NodeID).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
