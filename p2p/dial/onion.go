package dial

import (
	"bytes"
	"crypto/sha3"
	"encoding/base32"
	"fmt"
	"strings"
)

// isOnion reports whether a host is in the domain of Tor's services, whose names must
// never be asked of a name server (RFC 7686).
func isOnion(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "onion" || strings.HasSuffix(host, ".onion")
}

// checkOnion finds mistyped onion addresses, by their checksum (Tor's rend-spec-v3,
// section 6): 35 bytes in base32 are public key 32, checksum 2, version 1. Names below
// an address belong to it.
func checkOnion(host string) error {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	if len(labels) < 2 {
		return fmt.Errorf("%.80q is no onion address", host)
	}
	text := labels[len(labels)-2]
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(text))
	if len(text) == 16 && err == nil {
		return fmt.Errorf("%.80s is an onion address of version 2, which Tor no longer knows", host)
	}
	if err != nil || len(raw) != 35 || raw[34] != 3 {
		return fmt.Errorf("%.80q is no onion address: want 56 letters and digits before .onion", host)
	}
	sum := sha3.Sum256(append(append([]byte(".onion checksum"), raw[:32]...), 3))
	if !bytes.Equal(sum[:2], raw[32:34]) {
		return fmt.Errorf("%.80s is no onion address: its checksum is wrong, so a letter is mistyped", host)
	}
	return nil
}
