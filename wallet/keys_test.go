package wallet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/vectors"
)

// abandon is the mnemonic of sixteen zero bytes, which BIP86's vectors use.
var abandon = strings.Repeat("abandon ", 11) + "about"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seedOf returns the seed of words.
func seedOf(t testing.TB, mnemonic, passphrase string) []byte {
	t.Helper()
	m, err := ParseMnemonic(mnemonic, "")
	must(t, err)
	return m.Seed(passphrase)
}

// parsePath reads "m/86'/0'/0'/1".
func parsePath(t *testing.T, text string) (path []uint32) {
	t.Helper()
	for _, step := range strings.Split(text, "/")[1:] {
		number, hard := strings.CutSuffix(step, "'")
		index, err := strconv.ParseUint(number, 10, 31)
		must(t, err)
		if hard {
			index += hdkeychain.HardenedKeyStart
		}
		path = append(path, uint32(index))
	}
	return path
}

func derive(t *testing.T, seed []byte, net *chaincfg.Params, path string) *hdkeychain.ExtendedKey {
	t.Helper()
	master, err := hdkeychain.NewMaster(seed, net)
	must(t, err)
	key, err := derivePath(master, parsePath(t, path)...)
	must(t, err)
	return key
}

func TestBIP32Vectors(t *testing.T) {
	var all struct {
		Valid []struct {
			Name, Seed string
			Chain      []struct{ Path, Xpub, Xprv string }
		}
		Invalid []struct{ Key, Why string }
	}
	vectors.ReadJSON(t, "wallet/bip32.json", &all)
	keys := 0
	for _, v := range all.Valid {
		seed := vectors.Hex(t, v.Seed)
		for _, step := range v.Chain {
			key := derive(t, seed, &chaincfg.MainNetParams, step.Path)
			text := key.String()
			public, err := publicText(key)
			must(t, err)
			if text != step.Xprv || public != step.Xpub {
				t.Errorf("%s, %s: %s, %s", v.Name, step.Path, text, public)
			}
			keys++
		}
	}
	for _, v := range all.Invalid {
		if _, err := newAccount("test", "tr("+v.Key+"/<0;1>/*)", descriptor.Keys{HRP: "bc"}, nil); !errors.Is(err, ErrAccount) {
			t.Errorf("%s: %v", v.Why, err)
		}
	}
	vectors.Ran(t, keys, "keys of BIP32")
	vectors.Ran(t, len(all.Invalid), "keys that are none")
}

// accountOf returns the account of a path of any seed, so that vectors for Bitcoin's coin
// types can be held against it.
func accountOf(t *testing.T, seed []byte, net *chaincfg.Params, path string) *Account {
	t.Helper()
	text, err := publicText(derive(t, seed, net, path))
	must(t, err)
	a, err := newAccount("test", "tr("+text+"/<0;1>/*)", descriptor.Keys{HRP: "bc", Test: net != &chaincfg.MainNetParams}, nil)
	must(t, err)
	return a
}

func TestBIP86Vectors(t *testing.T) {
	var all struct {
		Mnemonic string
		Entries  []struct {
			Path, Xprv, Xpub, Address string
			ScriptPubKey              string
		}
	}
	vectors.ReadJSON(t, "wallet/bip86.json", &all)
	seed := seedOf(t, all.Mnemonic, "")
	account := accountOf(t, seed, &chaincfg.MainNetParams, "m/86'/0'/0'")
	scripts := 0
	for _, v := range all.Entries {
		key := derive(t, seed, &chaincfg.MainNetParams, v.Path)
		public, err := publicText(key)
		must(t, err)
		if key.String() != v.Xprv || public != v.Xpub {
			t.Errorf("%s: %s, %s", v.Path, key, public)
		}
		path := parsePath(t, v.Path)
		if len(path) != 5 {
			continue
		}
		scripts++
		checkScript(t, account, Branch(path[3]), path[4], "bc", v.ScriptPubKey, v.Address)
	}
	if scripts != 3 {
		t.Errorf("%d scripts, want 3", scripts)
	}
	vectors.Ran(t, len(all.Entries), "keys of BIP86")
}

func checkScript(t *testing.T, a *Account, b Branch, index uint32, hrp, wantScript, wantAddress string) {
	t.Helper()
	script, err := a.Script(b, index)
	must(t, err)
	address, err := taproot.EncodeAddress(hrp, script)
	must(t, err)
	if hex.EncodeToString(script) != wantScript || address != wantAddress {
		t.Errorf("%d/%d: script %x, address %s, want %s, %s", b, index, script, address, wantScript, wantAddress)
	}
}

// TestCoreDerivations holds scripts, addresses and descriptor checksums against
// those of Bitcoin Core.
func TestCoreDerivations(t *testing.T) {
	var all []struct {
		Mnemonic, Passphrase, Chain, Path, HRP string
		Descriptor                             string
		PublicDescriptor                       string `json:"public_descriptor"`
		Addresses, ScriptPubKeys               []string
	}
	vectors.ReadJSON(t, "wallet/bip86-core-derived.json", &all)
	scripts := 0
	for _, v := range all {
		net := &chaincfg.MainNetParams
		if v.Chain != "main" {
			net = keyPrefix(true)
		}
		parent, branch := v.Path[:strings.LastIndexByte(v.Path, '/')], parsePath(t, v.Path)[3]
		account := accountOf(t, seedOf(t, v.Mnemonic, v.Passphrase), net, parent)
		for i := range v.Addresses {
			checkScript(t, account, Branch(branch), uint32(i), v.HRP, v.ScriptPubKeys[i], v.Addresses[i])
			scripts++
		}
		for _, whole := range []string{v.Descriptor, v.PublicDescriptor} {
			text, sum, _ := strings.Cut(whole, "#")
			if got := descriptor.Checksum(text); got != sum {
				t.Errorf("%s: checksum %s", whole, got)
			}
		}
	}
	vectors.Ran(t, 2*len(all), "checksums of descriptors")
	vectors.Ran(t, scripts, "scripts and addresses")
}

func testAccount(t testing.TB, mnemonic string, coinType uint32) *Account {
	t.Helper()
	test := coinType == testCoinType
	m, err := ParseMnemonic(mnemonic, "")
	must(t, err)
	master, fingerprint, err := masterKey(m, "", test)
	must(t, err)
	text, err := bip86Account(master, fingerprint, coinType, 0)
	must(t, err)
	a, err := newAccount("main", text, descriptor.Keys{HRP: "krtd", Test: test}, fingerprint)
	must(t, err)
	return a
}

// TestAccount fixes the keys of a mnemonic for ever: a wallet that was made once
// has to be found again. Bitcoin Core's getdescriptorinfo accepts the
// descriptors, and its deriveaddresses gives the same scripts.
func TestAccount(t *testing.T) {
	for _, tc := range []struct {
		coinType   uint32
		descriptor string
		script     string // 1/7
	}{
		{
			mainCoinType,
			"tr([73c5da0a/86h/7041652h/0h]xpub6C52tC9Uxic1cQWGGdvPnAvVrsCKTTVsqHLDDfKeczHZA4beEKdaY8rwy4yHVGrV5m9ndas2iroiYxwyfxCPiytExfomHhKis6hQBhT2Mr8/1/*)#xvm3j3tx",
			"5120ab74e7b6ba5f83d5e8165d6c4e90af0c3845b617d1246c414fbc66f89f3c38c3",
		},
		{
			testCoinType,
			"tr([73c5da0a/86h/1h/0h]tpubDDfvzhdVV4unsoKt5aE6dcsNsfeWbTgmLZPi8LQDYU2xixrYemMfWJ3BaVneH3u7DBQePdTwhpybaKRU95pi6PMUtLPBJLVQRpzEnjfjZzX/1/*)#h4pvs320",
			"51204c5e627e500409010e65f889225965f48e3289efd293ae6be54b2562ef47491f",
		},
	} {
		account := testAccount(t, abandon, tc.coinType)
		if got := account.Descriptors()[Change]; got != tc.descriptor {
			t.Errorf("descriptor %s, want %s", got, tc.descriptor)
		}
		script, err := account.Script(Change, 7)
		must(t, err)
		if got := hex.EncodeToString(script); got != tc.script {
			t.Errorf("script %s, want %s", got, tc.script)
		}
		other, err := account.Script(Receive, 7)
		must(t, err)
		if bytes.Equal(script, other) {
			t.Error("both branches have the same script")
		}
	}
}

func TestAccountRefuses(t *testing.T) {
	account := testAccount(t, abandon, testCoinType)
	for _, tc := range []struct {
		branch Branch
		index  uint32
	}{{2, 0}, {1 << 31, 0}, {Receive, 1 << 31}, {Change, 1<<32 - 1}} {
		if script, err := account.Script(tc.branch, tc.index); err == nil {
			t.Errorf("key %d/%d has the script %x", tc.branch, tc.index, script)
		}
	}
	private := derive(t, seedOf(t, abandon, ""), keyPrefix(true), "m/86'/1'/0'").String()
	key := account.whole.Origins()[0].Extended
	names := func(text string) (string, string) { return text, "tr(" + key + "/<0;1>/*)" }
	for what, text := range map[string]string{
		"private key":        "tr(" + private + "/<0;1>/*)",
		"other prefix":       "tr(" + strings.Replace(key, "tpub", "xpub", 1) + "/<0;1>/*)",
		"cut":                "tr(" + key[:100] + "/<0;1>/*)",
		"three branches":     "tr(" + key + "/<0;1;2>/*)",
		"hardened":           "tr(" + key + "/0h/*)",
		"hardened index":     "tr(" + key + "/0/*h)",
		"older output":       "wpkh(" + key + "/<0;1>/*)",
		"wrong checksum":     "tr(" + key + "/<0;1>/*)#aaaaaaaa",
		"of another network": "addr(bcrt1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqjeprhg)",
		"no address":         "raw(6a)",
		"large":              "tr(" + key + ",{" + strings.Repeat("pk("+key+"),", 400) + "})",
		"nothing":            "",
	} {
		if _, err := newAccount("test", text, descriptor.Keys{HRP: "krtd", Test: true}, nil); !errors.Is(err, ErrAccount) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []string{"", "7", "--all", " a", "a ", "a\x1b[2J", strings.Repeat("a", 65), "\xff"} {
		name, text := names(bad)
		if _, err := newAccount(name, text, descriptor.Keys{HRP: "krtd", Test: true}, nil); !errors.Is(err, ErrAccount) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
}

// TestVectorsBIP341Keys holds the tweak of private keys, and signatures by what they
// give, against BIP341's vectors.
func TestVectorsBIP341Keys(t *testing.T) {
	var all struct {
		KeyPathSpending []struct {
			InputSpending []struct {
				Given struct {
					InternalPrivkey string
					MerkleRoot      *string
				}
				Intermediary struct{ TweakedPrivkey, SigHash string }
				Expected     struct{ Witness []string }
			}
		}
	}
	vectors.ReadJSON(t, "bip341/wallet-test-vectors.json", &all)
	if len(all.KeyPathSpending) == 0 {
		vectors.Lacks(t, "key path spends of BIP341")
	}
	checked := 0
	for _, v := range all.KeyPathSpending[0].InputSpending {
		var root []byte
		if v.Given.MerkleRoot != nil {
			root = vectors.Hex(t, *v.Given.MerkleRoot)
		}
		secret := vectors.Hex(t, v.Given.InternalPrivkey)
		internal, _ := btcec.PrivKeyFromBytes(secret)
		key, err := tweaked(internal, root)
		must(t, err)
		if got := hex.EncodeToString(key.Serialize()); got != v.Intermediary.TweakedPrivkey {
			t.Errorf("tweaked %s, want %s", got, v.Intermediary.TweakedPrivkey)
		}
		message := vectors.Hex(t, v.Intermediary.SigHash)
		sig, err := schnorr.Sign(key, message, schnorr.CustomNonce([32]byte{}))
		must(t, err)
		if got := hex.EncodeToString(sig.Serialize()); got != v.Expected.Witness[0][:128] {
			t.Errorf("signature %s, want %s", got, v.Expected.Witness[0])
		}
		checked++
	}
	vectors.Ran(t, checked, "output keys")
}
