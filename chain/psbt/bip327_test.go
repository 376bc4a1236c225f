package psbt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"

	"github.com/karatcoin/karat/internal/vectors"
)

// hexText is hexadecimal digits in JSON.
type hexText []byte

func (h *hexText) UnmarshalJSON(text []byte) (err error) {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*h, err = hex.DecodeString(s)
	return err
}

// bip327 is the form that all files of BIP327's vectors have in common.
type bip327 struct {
	SK, Secnonce, Msg, Aggnonce     hexText
	Pubkeys, Pnonces, Tweaks, Psigs []hexText
	Secnonces, Aggnonces, Msgs      []hexText
	Valid                           []bip327Case `json:"valid_test_cases"`
	Errors                          []bip327Case `json:"error_test_cases"`
	SignErrors                      []bip327Case `json:"sign_error_test_cases"`
	VerifyFails                     []bip327Case `json:"verify_fail_test_cases"`
	VerifyErrors                    []bip327Case `json:"verify_error_test_cases"`
	Cases                           []bip327Gen  `json:"test_cases"`
	SortedPubkeys                   []hexText    `json:"sorted_pubkeys"`
}

type bip327Case struct {
	Keys       []int     `json:"key_indices"`
	Tweaks     []int     `json:"tweak_indices"`
	OwnTweaks  []hexText `json:"tweaks"`
	XOnly      []bool    `json:"is_xonly"`
	Pnonces    []int     `json:"pnonce_indices"`
	Nonces     []int     `json:"nonce_indices"`
	Psigs      []int     `json:"psig_indices"`
	Aggnonce   json.RawMessage
	OtherNonce hexText `json:"aggothernonce"`
	AggnonceI  int     `json:"aggnonce_index"`
	MsgI       int     `json:"msg_index"`
	SecnonceI  int     `json:"secnonce_index"`
	Signer     int     `json:"signer_index"`
	Sig        hexText
	Expected   json.RawMessage
	Comment    string
}

type bip327Gen struct {
	Rand     hexText `json:"rand_"`
	SK, PK   *hexText
	AggPK    *hexText
	Msg      *hexText
	ExtraIn  *hexText `json:"extra_in"`
	Secnonce hexText  `json:"expected_secnonce"`
	Pubnonce hexText  `json:"expected_pubnonce"`
}

func (c *bip327Case) expected(t *testing.T) []byte {
	t.Helper()
	var h hexText
	if err := json.Unmarshal(c.Expected, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// keys returns the keys of a case, or the first error.
func (v *bip327) keys(c *bip327Case) (keys []*btcec.PublicKey, raw [][33]byte, err error) {
	for _, i := range c.Keys {
		key, err := btcec.ParsePubKey(v.Pubkeys[i])
		if err != nil {
			return nil, nil, err
		}
		keys, raw = append(keys, key), append(raw, [33]byte(v.Pubkeys[i]))
	}
	return keys, raw, nil
}

func (v *bip327) tweaks(c *bip327Case) (list []musig2.KeyTweakDesc) {
	for n, i := range c.Tweaks {
		list = append(list, musig2.KeyTweakDesc{Tweak: [32]byte(v.Tweaks[i]), IsXOnly: c.XOnly[n]})
	}
	for n, tweak := range c.OwnTweaks {
		list = append(list, musig2.KeyTweakDesc{Tweak: [32]byte(tweak), IsXOnly: c.XOnly[n]})
	}
	return list
}

func readBIP327(t *testing.T, name string) *bip327 {
	t.Helper()
	v := &bip327{}
	vectors.ReadJSON(t, "bip327/"+name+"_vectors.json", v)
	return v
}

// TestBIP327KeysVectors: keys are sorted, aggregated and tweaked as the BIP says.
func TestBIP327KeysVectors(t *testing.T) {
	sort := readBIP327(t, "key_sort")
	slices.SortFunc(sort.Pubkeys, func(a, b hexText) int { return bytes.Compare(a, b) })
	if !slices.EqualFunc(sort.Pubkeys, sort.SortedPubkeys, func(a, b hexText) bool { return bytes.Equal(a, b) }) {
		t.Error("the keys are in another order")
	}
	v := readBIP327(t, "key_agg")
	for _, c := range v.Valid {
		keys, _, err := v.keys(&c)
		if err != nil {
			t.Fatal(err)
		}
		sum, _, _, err := musig2.AggregateKeys(keys, false)
		if err != nil || !bytes.Equal(sum.FinalKey.SerializeCompressed()[1:], c.expected(t)) {
			t.Errorf("%v: %v", c.Keys, err)
		}
	}
	for _, c := range v.Errors {
		keys, _, err := v.keys(&c)
		if err == nil {
			_, _, _, err = musig2.AggregateKeys(keys, false, musig2.WithKeyTweaks(v.tweaks(&c)...))
		}
		if err == nil {
			t.Errorf("%s: no error", c.Comment)
		}
	}
	vectors.Ran(t, 1+len(v.Valid)+len(v.Errors), "aggregations of keys")
}

// TestBIP327NoncesVectors: nonces are drawn and added as the BIP says. Messages that are no hashes,
// which the library does not sign, are left out.
func TestBIP327NoncesVectors(t *testing.T) {
	ran := 0
	for _, c := range readBIP327(t, "nonce_gen").Cases {
		if c.Msg == nil || len(*c.Msg) != 32 || c.SK == nil || c.AggPK == nil {
			continue
		}
		ran++
		key, public := btcec.PrivKeyFromBytes(*c.SK)
		if !bytes.Equal(public.SerializeCompressed(), *c.PK) {
			t.Fatal("the vector's key is another")
		}
		aggregate, err := btcec.ParsePubKey(append([]byte{2}, *c.AggPK...))
		if err != nil {
			// The vector's aggregate is no point; the library takes points alone.
			t.Logf("the aggregate %x is no point", *c.AggPK)
			ran--
			continue
		}
		n, err := musig2.GenNonces(musig2.WithCustomRand(bytes.NewReader(c.Rand)), musig2.WithPublicKey(public), musig2.WithNonceSecretKeyAux(key),
			musig2.WithNonceCombinedKeyAux(aggregate), musig2.WithNonceMessageAux([32]byte(*c.Msg)), musig2.WithNonceAuxInput(*c.ExtraIn))
		if err != nil || !bytes.Equal(n.SecNonce[:], c.Secnonce) || !bytes.Equal(n.PubNonce[:], c.Pubnonce) {
			t.Errorf("%x, %v, want %x", n.PubNonce, err, c.Pubnonce)
		}
	}
	v := readBIP327(t, "nonce_agg")
	sum := func(c *bip327Case) ([66]byte, error) {
		var list [][66]byte
		for _, i := range c.Pnonces {
			list = append(list, [66]byte(v.Pnonces[i]))
		}
		return musig2.AggregateNonces(list)
	}
	for _, c := range v.Valid {
		if got, err := sum(&c); err != nil || !bytes.Equal(got[:], c.expected(t)) {
			t.Errorf("%s: %x, %v", c.Comment, got, err)
		}
	}
	for _, c := range v.Errors {
		if _, err := sum(&c); err == nil {
			t.Errorf("%s: no error", c.Comment)
		}
	}
	vectors.Ran(t, ran+len(v.Valid)+len(v.Errors), "nonces drawn or added")
}

// sign makes a partial signature of a case.
func (v *bip327) sign(c *bip327Case, secret, nonce, message []byte) (part [32]byte, err error) {
	keys, _, err := v.keys(c)
	if err != nil {
		return part, err
	}
	key, _ := btcec.PrivKeyFromBytes(v.SK)
	s, err := musig2.Sign([musig2.SecNonceSize]byte(secret), key, [66]byte(nonce), keys, [32]byte(message), musig2.WithTweaks(v.tweaks(c)...))
	if err != nil {
		return part, err
	}
	var b bytes.Buffer
	err = s.Encode(&b)
	return [32]byte(b.Bytes()), err
}

// TestBIP327SignVectors: partial signatures are made and verified as the BIP says, with tweaks and
// without.
func TestBIP327SignVectors(t *testing.T) {
	ran := 0
	v := readBIP327(t, "sign_verify")
	for _, c := range v.Valid {
		if len(v.Msgs[c.MsgI]) != 32 {
			continue
		}
		ran++
		got, err := v.sign(&c, v.Secnonces[0], v.Aggnonces[c.AggnonceI], v.Msgs[c.MsgI])
		if err != nil || !bytes.Equal(got[:], c.expected(t)) {
			t.Errorf("%v: %x, %v", c.Keys, got, err)
		}
	}
	for _, c := range v.SignErrors {
		ran++
		if _, err := v.sign(&c, v.Secnonces[c.SecnonceI], v.Aggnonces[c.AggnonceI], v.Msgs[c.MsgI]); err == nil {
			t.Errorf("%s: no error", c.Comment)
		}
	}
	refused := len(v.VerifyFails) // from here on a key or a nonce may be none, which is refusal enough
	for i, c := range slices.Concat(v.VerifyFails, v.VerifyErrors) {
		ran++
		keys, _, err := v.keys(&c)
		if err != nil && i >= refused {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var part musig2.PartialSignature
		if part.Decode(bytes.NewReader(c.Sig)) != nil {
			continue // larger than the group
		}
		var nonces [][66]byte
		for _, i := range c.Nonces {
			nonces = append(nonces, [66]byte(v.Pnonces[i]))
		}
		sum, err := musig2.AggregateNonces(nonces)
		if err == nil && part.Verify(nonces[c.Signer], sum, keys, keys[c.Signer], [32]byte(v.Msgs[c.MsgI])) {
			t.Errorf("%s: it is valid", c.Comment)
		}
	}
	// Nobody signs deterministically here, but what others sign so is right.
	v = readBIP327(t, "det_sign")
	for _, c := range v.Valid {
		var expected [2]hexText
		if err := json.Unmarshal(c.Expected, &expected); err != nil {
			t.Fatal(err)
		}
		keys, _, err := v.keys(&c)
		var part musig2.PartialSignature
		if err == nil {
			err = part.Decode(bytes.NewReader(expected[1]))
		}
		sum, err2 := musig2.AggregateNonces([][66]byte{[66]byte(c.OtherNonce), [66]byte(expected[0])})
		if err != nil || err2 != nil || len(v.Msgs[c.MsgI]) != 32 {
			continue
		}
		ran++
		if !part.Verify([66]byte(expected[0]), sum, keys, keys[c.Signer], [32]byte(v.Msgs[c.MsgI]), musig2.WithTweaks(v.tweaks(&c)...)) {
			t.Errorf("%v: the deterministic signature is not valid", c.Keys)
		}
	}
	v = readBIP327(t, "tweak")
	for _, c := range v.Valid {
		ran++
		got, err := v.sign(&c, v.Secnonce, v.Aggnonce, v.Msg)
		if err != nil || !bytes.Equal(got[:], c.expected(t)) {
			t.Errorf("%s: %x, %v", c.Comment, got, err)
		}
	}
	for _, c := range v.Errors {
		ran++
		if _, err := v.sign(&c, v.Secnonce, v.Aggnonce, v.Msg); err == nil {
			t.Errorf("%s: no error", c.Comment)
		}
	}
	vectors.Ran(t, ran, "partial signatures")
}

// TestBIP327AggregateVectors: our own code makes the BIP's signatures of partial ones.
func TestBIP327AggregateVectors(t *testing.T) {
	v := readBIP327(t, "sig_agg")
	aggregate := func(c *bip327Case) []byte {
		_, raw, err := v.keys(c)
		if err != nil {
			t.Fatal(err)
		}
		keys, _, _ := v.keys(c)
		sum, _, _, err := musig2.AggregateKeys(keys, false, musig2.WithKeyTweaks(v.tweaks(c)...))
		if err != nil {
			t.Fatal(err)
		}
		want := [33]byte(sum.FinalKey.SerializeCompressed())
		var nonces [][66]byte
		var parts []MuSigPartialSig
		for n, i := range c.Nonces {
			nonces = append(nonces, [66]byte(v.Pnonces[i]))
			parts = append(parts, MuSigPartialSig{Signature: [32]byte(v.Psigs[c.Psigs[n]])})
		}
		message := [32]byte(v.Msg)
		return aggregateSignature(raw, v.tweaks(c), &want, nonces, parts, &message)
	}
	for _, c := range v.Valid {
		if got := aggregate(&c); !bytes.Equal(got, c.expected(t)) {
			t.Errorf("%v: %x", c.Keys, got)
		}
	}
	for _, c := range v.Errors {
		if got := aggregate(&c); got != nil {
			t.Errorf("%s: %x", c.Comment, got)
		}
	}
	vectors.Ran(t, len(v.Valid)+len(v.Errors), "signatures made of parts")
}
