package taproot

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/btcsuite/btcd/address/v2/bech32"

	"github.com/karatcoin/karat/chain/types"
)

// ErrAddress is wrapped by every error of EncodeAddress and DecodeAddress.
var ErrAddress = errors.New("not an address of this network")

const (
	maxAddressSize = 90 // characters (BIP173)
	minProgramSize = 2
	maxProgramSize = 40
)

func addressError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrAddress, fmt.Sprintf(format, args...))
}

// EncodeAddress returns the bech32m address (BIP350) of a script that is a witness
// program of version 1 to 16. No other script has an address. The HRP is the network's
// prefix, in lower case.
func EncodeAddress(hrp string, scriptPubKey []byte) (string, error) {
	if err := checkHRP(hrp); err != nil {
		return "", err
	}
	version, program, ok := types.WitnessProgram(scriptPubKey)
	if !ok || version == 0 {
		return "", addressError("the script %.90x is not a witness program of version 1 to 16", scriptPubKey)
	}
	data, err := bech32.ConvertBits(program, 8, 5, true)
	if err != nil {
		return "", addressError("%v", err)
	}
	address, err := bech32.EncodeM(hrp, append([]byte{byte(version)}, data...))
	if err != nil {
		return "", addressError("%v", err)
	}
	if len(address) > maxAddressSize {
		return "", addressError("with the prefix %q a program of %d bytes makes %d characters, more than %d",
			hrp, len(program), len(address), maxAddressSize)
	}
	return address, nil
}

// AppendAddress appends what EncodeAddress returns, and reports whether the script has an
// address. Answers about blocks have thousands of them, for which EncodeAddress would be
// slow. The HRP is one that EncodeAddress takes.
func AppendAddress(b []byte, hrp string, scriptPubKey []byte) ([]byte, bool) {
	const (
		charset        = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
		constant       = 0x2bc830a3 // of bech32m; bech32 has 1
		checksumLength = 6
	)
	version, program, ok := types.WitnessProgram(scriptPubKey)
	if !ok || version == 0 || len(hrp)+AddressSize(len(program)) > maxAddressSize {
		return b, false
	}
	sum := uint32(1)
	for i := range len(hrp) {
		sum = bechMod(sum, hrp[i]>>5)
	}
	sum = bechMod(sum, 0)
	for i := range len(hrp) {
		sum = bechMod(sum, hrp[i]&31)
	}
	b = append(append(b, hrp...), '1', charset[version])
	sum = bechMod(sum, byte(version))
	group, bits := uint32(0), 0 // what is left of the bytes before
	for _, c := range program {
		group, bits = group<<8|uint32(c), bits+8
		for bits >= 5 {
			bits -= 5
			symbol := byte(group >> bits & 31)
			sum = bechMod(sum, symbol)
			b = append(b, charset[symbol])
		}
	}
	if bits > 0 {
		symbol := byte(group << (5 - bits) & 31)
		sum = bechMod(sum, symbol)
		b = append(b, charset[symbol])
	}
	for range checksumLength {
		sum = bechMod(sum, 0)
	}
	sum ^= constant
	for i := range checksumLength {
		b = append(b, charset[sum>>(5*(checksumLength-1-i))&31])
	}
	return b, true
}

// AddressSize is the length of the address of a witness program of so many bytes, without
// the HRP: the separator, the version, five bits a character, and the checksum.
func AddressSize(program int) int { return 1 + 1 + (program*8+4)/5 + 6 }

// bechMod is polyMod for BIP173's code.
func bechMod(sum uint32, symbol byte) uint32 {
	return sum&(1<<25-1)<<5 ^ uint32(symbol) ^ bechMultiples[sum>>25]
}

var bechMultiples = func() (multiples [32]uint32) {
	for top := range multiples {
		for i, multiple := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				multiples[top] ^= multiple
			}
		}
	}
	return multiples
}()

// DecodeAddress returns the script of a bech32m address (BIP350) with the given HRP: a
// witness program of version 1 to 16. The address may be in lower case, or in upper
// case as codes that are scanned have it, but not in both. An error is for people: it
// says what is wrong with the address, as far as that can be known.
func DecodeAddress(hrp, address string) ([]byte, error) {
	if err := checkHRP(hrp); err != nil {
		return nil, err
	}
	if len(address) > maxAddressSize {
		return nil, addressError("%d characters, more than %d", len(address), maxAddressSize)
	}
	prefix, data, encoding, err := bech32.DecodeNoLimitWithVersion(address)
	if err != nil {
		return nil, addressError("%q: %s", address, decodeFault(hrp, address, err))
	}
	if prefix != hrp {
		return nil, addressError("%q has the prefix %q, addresses of this network have %q", address, prefix, hrp)
	}
	if len(data) == 0 {
		return nil, addressError("%q holds no witness version", address)
	}
	version := data[0]
	switch {
	case version == 0:
		return nil, addressError("%q pays to version 0 witness (P2WPKH or P2WSH), which this network does not have: it is taproot only", address)
	case version > 16:
		return nil, addressError("%q has witness version %d, more than 16", address, version)
	case encoding != bech32.VersionM:
		return nil, addressError("%q has a bech32 checksum, version %d needs bech32m (BIP350)", address, version)
	}
	program, err := bech32.ConvertBits(data[1:], 5, 8, false)
	if err != nil {
		return nil, addressError("%q is padded wrongly: %v", address, err)
	}
	if len(program) < minProgramSize || len(program) > maxProgramSize {
		return nil, addressError("%q has a program of %d bytes, not %d to %d", address, len(program), minProgramSize, maxProgramSize)
	}
	return append([]byte{Op1 - 1 + version, byte(len(program))}, program...), nil
}

// decodeFault says why a string is no bech32 of any kind. The library's own words name
// the checksum that would make a mistyped address valid, and a user might take it.
func decodeFault(hrp, address string, err error) string {
	for i, r := range address {
		// The library looks at bytes, and a letter may have several.
		if r < 33 || r > 126 {
			return fmt.Sprintf("%q (%U) at place %d is in no address", r, r, utf8.RuneCountInString(address[:i])+1)
		}
	}
	var badLength bech32.ErrInvalidLength
	var badLetter bech32.ErrNonCharsetChar
	var badSeparator bech32.ErrInvalidSeparatorIndex
	var badChecksum bech32.ErrInvalidChecksum
	switch {
	case errors.As(err, &badLength):
		return "too short"
	case errors.As(err, &badSeparator):
		return "no prefix, separator 1 and checksum as in " + hrp + "1…"
	case errors.As(err, &badChecksum):
		return "the checksum does not match, the address is mistyped or cut"
	case errors.As(err, &badLetter):
		return fmt.Sprintf("%q is no letter of an address behind its prefix", rune(badLetter))
	case errors.As(err, new(bech32.ErrMixedCase)):
		return "mixed upper and lower case"
	}
	return err.Error()
}

// checkHRP refuses prefixes that BIP173 does not allow. It also refuses upper case, so
// that equal prefixes are equal strings.
func checkHRP(hrp string) error {
	if len(hrp) < 1 || len(hrp) > 83 {
		return addressError("an address prefix has 1 to 83 characters, not %d", len(hrp))
	}
	for _, r := range []byte(hrp) {
		if r < 33 || r > 126 {
			return addressError("the address prefix %q holds a character that is not printable ASCII", hrp)
		}
	}
	if strings.ToLower(hrp) != hrp {
		return addressError("the address prefix %q is not in lower case", hrp)
	}
	return nil
}
