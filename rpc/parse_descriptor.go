package rpc

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
)

// scriptOfDescriptor returns the script that a descriptor stands for (BIP380). Those of
// outputs that this network can have are taken: addr(), raw() (BIP385), tr() with a key
// alone (BIP386) and rawtr(). Keys are in hexadecimal; extended keys are a wallet's
// affair. A checksum may be left out. Errors have Core's words; those that are an *Error
// are final, others may mean that the text is no descriptor.
func scriptOfDescriptor(hrp, text string) ([]byte, error) {
	expression, sum, summed := strings.Cut(text, "#")
	want := taproot.DescriptorChecksum(expression)
	switch {
	case strings.Contains(sum, "#"):
		return nil, descriptorErrorf("Multiple '#' symbols")
	case summed && len(sum) != len(want) && want != "":
		return nil, descriptorErrorf("Expected 8 character checksum, not %d characters", len(sum))
	case want == "":
		return nil, descriptorErrorf("Invalid characters in payload")
	case summed && sum != want:
		return nil, descriptorErrorf("Provided checksum '%s' does not match computed checksum '%s'", printable(sum), want)
	}
	function, inside, _ := strings.Cut(expression, "(")
	inside, closed := strings.CutSuffix(inside, ")")
	if !closed {
		return nil, noDescriptor(expression)
	}
	switch function {
	case "addr":
		script, err := taproot.DecodeAddress(hrp, inside)
		if err != nil {
			return nil, descriptorErrorf("Address is not valid")
		}
		return script, nil
	case "raw":
		script, err := hex.DecodeString(inside)
		if err != nil {
			return nil, descriptorErrorf("Raw script is not hex")
		}
		return script, nil
	case "tr", "rawtr":
		return scriptOfKey(function, inside)
	case "pk", "pkh", "wpkh", "combo":
		if err := checkPath(inside); err != nil {
			return nil, err
		}
	}
	return nil, noDescriptor(expression)
}

// descriptorError is what is wrong with a descriptor, in Core's words.
type descriptorError string

// Error returns the words.
func (e descriptorError) Error() string { return string(e) }

func descriptorErrorf(format string, args ...any) error {
	return descriptorError(fmt.Sprintf(format, args...))
}

func noDescriptor(expression string) error {
	return descriptorErrorf("'%s' is not a valid descriptor function", printable(expression))
}

// scriptOfKey returns the script of tr(KEY) or rawtr(KEY).
func scriptOfKey(function, text string) ([]byte, error) {
	if err := checkPath(text); err != nil {
		return nil, err
	}
	if strings.ContainsAny(text, ",{}") {
		return nil, descriptorErrorf("%s(): a tree of scripts is not taken here; give raw() the output's script", function)
	}
	if strings.HasPrefix(text, "[") { // where the key comes from does not matter
		_, text, _ = strings.Cut(text, "]")
	}
	raw, err := hex.DecodeString(text)
	var key [32]byte
	switch {
	case text == "":
		return nil, descriptorErrorf("%s(): No key provided", function)
	case err != nil:
		return nil, descriptorErrorf("%s(): key '%s' is not valid", function, printable(text))
	case len(raw) == 33 && (raw[0] == 2 || raw[0] == 3):
		copy(key[:], raw[1:])
	case len(raw) == 32:
		copy(key[:], raw)
	default:
		return nil, descriptorErrorf("%s(): Pubkey '%s' is invalid", function, printable(text))
	}
	tweaked, _, err := taproot.OutputKey(key, nil)
	if err != nil {
		return nil, descriptorErrorf("%s(): Pubkey '%s' is invalid", function, printable(text))
	}
	if function == "tr" {
		key = tweaked
	}
	return taproot.OutputScript(key), nil
}

// checkPath refuses what stands for many scripts, or for one that only a private key
// tells.
func checkPath(key string) error {
	if strings.HasPrefix(key, "[") {
		_, key, _ = strings.Cut(key, "]")
	}
	_, path, _ := strings.Cut(key, "/")
	switch {
	case strings.Contains(path, "*"):
		return failf(CodeInvalidParam, "Ranged descriptor not accepted. Maybe pass through deriveaddresses first?")
	case strings.ContainsAny(path, "'h"):
		return failf(CodeAddressOrKey, "Cannot derive script without private keys")
	}
	return nil
}
