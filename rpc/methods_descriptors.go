package rpc

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
)

func descriptorMethods() []method {
	text := param{name: "descriptor", kind: kindString, sample: `"tr(79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)#gxjkeue2"`, about: "The descriptor"}
	return []method{
		{name: "getdescriptorinfo", read: getDescriptorInfo, about: "Analyses a descriptor.", params: []param{text}},
		{name: "deriveaddresses", slow: true, read: deriveAddresses, about: "Derives the addresses of a descriptor, which must have its checksum. Of one with multipath there is an array for each alternative.", params: []param{text,
			{name: "range", kind: kindRange, optional: "none", about: "Of a ranged descriptor: the last index, or [first,last]"}}},
		{name: "createmultisig", read: createMultisig, about: "Makes an address that so many of the keys can spend together: a taproot output without a key of its own, with multi_a as its only script.", params: []param{
			{name: "nrequired", kind: kindNumber, sample: "1", about: "The number of signatures that are required"},
			{name: "keys", kind: kindArray, sample: `'["0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]'`, about: "The public keys in hexadecimal"},
			{name: "address_type", kind: kindString, optional: "bech32m", about: "The type of the address; there is no other"}}},
	}
}

// descriptorInfoJSON is the answer of getdescriptorinfo.
type descriptorInfoJSON struct {
	Descriptor     string   `json:"descriptor"`
	Multipath      []string `json:"multipath_expansion,omitempty"`
	Checksum       string   `json:"checksum"`
	IsRange        bool     `json:"isrange"`
	IsSolvable     bool     `json:"issolvable"`
	HasPrivateKeys bool     `json:"hasprivatekeys"`
}

// getDescriptorInfo is Core's getdescriptorinfo. It tells of older functions, too: it is
// about the text, whose checksum programs ask for.
func getDescriptorInfo(s *Server, a *args) work {
	text := a.text(0, "")
	return func(context.Context) (any, error) {
		d, err := descriptor.Parse(text, s.keys())
		if err != nil {
			return nil, failf(CodeAddressOrKey, "%s", err)
		}
		payload, _, _ := strings.Cut(text, "#")
		j := descriptorInfoJSON{
			Checksum: descriptor.Checksum(payload), IsRange: d.Ranged(), IsSolvable: d.Solvable(), HasPrivateKeys: d.HasPrivateKeys(),
		}
		expanded := d.Expand()
		if j.Descriptor = expanded[0].String(); len(expanded) > 1 {
			for _, one := range expanded {
				j.Multipath = append(j.Multipath, one.String())
			}
		}
		return j, nil
	}
}

// deriveAddresses is Core's deriveaddresses.
func deriveAddresses(s *Server, a *args) work {
	text := a.text(0, "")
	var r keyRange
	ranged := a.given(1)
	if ranged {
		r = a.keyRange(a.values[1])
	}
	return func(ctx context.Context) (any, error) {
		d, err := descriptor.ParseSummed(text, s.keys())
		switch {
		case err != nil:
			return nil, failf(CodeAddressOrKey, "%s", err)
		case !d.Ranged() && ranged:
			return nil, failf(CodeInvalidParam, "Range should not be specified for an un-ranged descriptor")
		case d.Ranged() && !ranged:
			return nil, failf(CodeInvalidParam, "Range must be specified for a ranged descriptor")
		}
		expanded := d.Expand()
		if count := int64(len(expanded)) * (int64(r.to) - int64(r.from) + 1); count > maxScanScripts || count*int64(d.KeyCount()) > maxDerivedKeys {
			return nil, failf(CodeInvalidParam, "More than %d addresses or %d keys in a call", maxScanScripts, maxDerivedKeys)
		}
		all := make([][]string, len(expanded))
		for i, one := range expanded {
			if all[i], err = s.addressesOf(ctx, one, r); err != nil {
				return nil, err
			}
		}
		if len(all) == 1 {
			return all[0], nil
		}
		return all, nil
	}
}

// addressesOf returns the addresses of a descriptor without multipath.
func (s *Server) addressesOf(ctx context.Context, d *descriptor.Descriptor, r keyRange) ([]string, error) {
	var addresses []string
	for index := int64(r.from); index <= int64(r.to); index++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scripts, err := d.Scripts(uint32(index))
		if err != nil {
			return nil, descriptorRefusal(err)
		}
		address, err := taproot.EncodeAddress(s.Params.HRP, scripts[0])
		if err != nil {
			return nil, failf(CodeAddressOrKey, "Descriptor does not have a corresponding address")
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// nobodysKey is an internal key whose private key nobody knows (BIP341's H).
const nobodysKey = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"

// multisigJSON is the answer of createmultisig. The script is the leaf's, under the name
// that Core has for it.
type multisigJSON struct {
	Address      string `json:"address"`
	RedeemScript string `json:"redeemScript"`
	Descriptor   string `json:"descriptor"`
}

// createMultisig is Core's createmultisig, for the one kind of multisig that there is
// here. Core refuses that kind, since it cannot sign for it by this method's script alone.
func createMultisig(s *Server, a *args) work {
	required := a.int32(0, 0)
	keys := a.texts(1, maxMultisigKeys+1)
	switch kind := a.text(2, "bech32m"); kind {
	case "bech32m":
	case "legacy", "p2sh-segwit", "bech32":
		a.fail(failf(CodeAddressOrKey, "createmultisig can create bech32m multisig addresses only: this network has taproot outputs only"))
	default:
		a.fail(failf(CodeAddressOrKey, "Unknown address type '%.100s'", kind))
	}
	for _, key := range keys {
		a.fail(checkMultisigKey(key))
	}
	switch {
	case required < 1:
		a.fail(failf(CodeInvalidParam, "a multisignature address must require at least one key to redeem"))
	case len(keys) < int(required):
		a.fail(failf(CodeInvalidParam, "not enough keys supplied (got %d keys, but need at least %d to redeem)", len(keys), required))
	case len(keys) > maxMultisigKeys:
		a.fail(failf(CodeInvalidParam, "Number of keys involved in the multisignature address creation > %d\nReduce the number", maxMultisigKeys))
	}
	return func(context.Context) (any, error) {
		text := fmt.Sprintf("tr(%s,multi_a(%d,%s))", nobodysKey, required, strings.Join(keys, ","))
		d, err := descriptor.Parse(text, s.keys())
		if err != nil {
			return nil, failf(CodeAddressOrKey, "%s", err)
		}
		outputs, err := d.Outputs(0)
		if err != nil {
			return nil, err
		}
		address, err := taproot.EncodeAddress(s.Params.HRP, outputs[0].ScriptPubKey)
		if err != nil {
			return nil, err
		}
		return multisigJSON{address, hex.EncodeToString(outputs[0].Leaves[0].Script), d.String()}, nil
	}
}

const maxMultisigKeys = 999 // of multi_a

// checkMultisigKey has Core's words for what is no public key.
func checkMultisigKey(text string) error {
	raw, err := hex.DecodeString(text)
	switch {
	case err != nil:
		return failf(CodeAddressOrKey, "Pubkey \"%.200s\" must be a hex string", text)
	case len(raw) != 33 && len(raw) != 65:
		return failf(CodeAddressOrKey, "Pubkey \"%.200s\" must have a length of either 33 or 65 bytes", text)
	case len(raw) == 65:
		return failf(CodeAddressOrKey, "Pubkey \"%s\" is not compressed: taproot knows no others", text)
	}
	if x := [32]byte(raw[1:]); raw[0] != 2 && raw[0] != 3 || !secp.IsPublicKey(&x) {
		return failf(CodeAddressOrKey, "Pubkey \"%s\" must be cryptographically valid.", text)
	}
	return nil
}
