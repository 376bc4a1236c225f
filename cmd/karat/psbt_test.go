package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/internal/cmdline"
)

// shared is the answer of karat multisig new --json.
type sharedAccount struct {
	Descriptor   string
	FirstAddress string `json:"first_address"`
	Policy       []string
}

// share makes wallets, and an account of all of them.
func (b *bench) share(names []string, flags ...string) (account sharedAccount) {
	b.t.Helper()
	var keys []string
	for _, name := range names {
		b.karat(name, "create", "--no-passphrase")
		keys = append(keys, b.karat(name, "multisig", "key"))
	}
	for i, name := range names {
		words := append([]string{"multisig", "new", "--json", "shared"}, append(flags, keys...)...)
		var mine sharedAccount
		if err := json.Unmarshal([]byte(b.karat(name, words...)), &mine); err != nil {
			b.t.Fatal(err)
		}
		if i > 0 && (mine.FirstAddress != account.FirstAddress || mine.Descriptor != account.Descriptor) {
			b.t.Fatalf("%s has another account: %+v, %+v", name, mine, account)
		}
		account = mine
		keys = append(keys[1:], keys[0]) // in any order
	}
	return account
}

// TestMultisigOfTwo: two of three pay from an account that they share. What each signs goes by
// text and by file, and what is missing is said.
func TestMultisigOfTwo(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	account := b.share([]string{"alice", "bob", "carol"}, "--threshold", "2")
	if len(account.Policy) != 1 || !strings.HasPrefix(account.Policy[0], "2 of 3: ") || !strings.Contains(account.Policy[0], "you") {
		t.Errorf("the policy is %q", account.Policy)
	}
	if got := b.karat("alice", "address", "--account", "shared"); got != account.FirstAddress {
		t.Errorf("the first address is %s, not %s", got, account.FirstAddress)
	}
	for range 3 {
		b.karat("rich", "send", "--yes", account.FirstAddress, "5")
	}
	b.mine(1)
	to := b.karat("rich", "address")
	if code, _, stderr := b.try("", "alice", "send", "--account", "shared", "--yes", to, "7"); code != cmdline.ExitFailure || !strings.Contains(stderr, "--psbt") {
		t.Errorf("sent alone: %s", stderr)
	}
	file := filepath.Join(b.dir, "pay.psbt")
	b.karat("alice", "psbt", "create", "--account", "shared", "-o", file, to, "7")
	if code, _, stderr := b.try("", "alice", "psbt", "create", "--account", "shared", "-o", file, to, "7"); code != cmdline.ExitUsage || !strings.Contains(stderr, "is there already") {
		t.Errorf("written over: %s", stderr)
	}
	shown := b.karat("bob", "psbt", "show", file)
	for _, want := range []string{"pay ", to, "change", "comes back to account shared", "needs", "2 of 3: ", "(you)", "has not signed", "It is not complete"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	if code, _, stderr := b.try("", "bob", "psbt", "send", "--yes", file); code != cmdline.ExitFailure || !strings.Contains(stderr, "not complete") {
		t.Errorf("sent unsigned: %s", stderr)
	}
	one := b.karat("alice", "psbt", "sign", "--yes", file)
	two := filepath.Join(b.dir, "bob.psbt")
	b.karat("bob", "psbt", "sign", "--yes", "-o", two, file)
	v0 := filepath.Join(b.dir, "v0.txt")
	b.karat("bob", "psbt", "convert", "--text", "-o", v0, two)
	whole := b.karatIn(one+"\n", "carol", "psbt", "combine", "-", v0)
	if shown := b.karat("carol", "psbt", "show", whole); !strings.Contains(shown, "It is complete") || strings.Count(shown, "  has signed") != 2 {
		t.Errorf("combined:\n%s", shown)
	}
	// Carol holds nothing up by a wrong signature, nor in the name of Alice.
	for name, wrong := range map[string]string{"carol": spoiledSignature(t, b.karat("carol", "psbt", "sign", "--yes", file)), "alice": spoiledSignature(t, one)} {
		code, joined, stderr := b.try(wrong, "carol", "psbt", "combine", "-", one, v0)
		if code != 0 || !strings.Contains(stderr, "is wrong, and left out") || !strings.Contains(b.karat("carol", "psbt", "show", strings.TrimSpace(joined)), "It is complete") {
			t.Errorf("with a wrong signature of %s: %s", name, stderr)
		}
	}
	txid := b.karat("carol", "psbt", "send", "--yes", whole)
	b.mine(1)
	if e := b.last("carol"); e.TxID != txid || e.Status != "confirmed" {
		t.Errorf("%+v", e)
	}
	if raw := b.karat("carol", "psbt", "finalize", "--tx", whole); !strings.HasPrefix(raw, "02000000") {
		t.Errorf("the transaction is %.40s", raw)
	}
	call[any](b, "verifychain")
}

// spoiledSignature returns a PSBT whose signature in a leaf is wrong.
func spoiledSignature(t *testing.T, text string) string {
	t.Helper()
	p, err := psbt.DecodeBase64(text)
	if err != nil || len(p.Inputs[0].TapScriptSigs) != 1 {
		t.Fatalf("%v in %s", err, text)
	}
	p.Inputs[0].TapScriptSigs[0].Signature[40] ^= 1
	if text, err = p.Base64(); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMuSigOfTwo: two pay together by one signature, in two rounds.
func TestMuSigOfTwo(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	account := b.share([]string{"alice", "bob"}, "--musig")
	if len(account.Policy) != 1 || !strings.Contains(account.Policy[0], "MuSig2") {
		t.Errorf("the policy is %q", account.Policy)
	}
	b.karat("rich", "send", "--yes", account.FirstAddress, "5")
	b.mine(1)
	p := b.karat("alice", "send", "--account", "shared", "--psbt", filepath.Join(b.dir, "a.psbt"), b.karat("rich", "address"), "1.5")
	if !strings.Contains(p, "pay") {
		t.Errorf("shown:\n%s", p)
	}
	first := b.karat("alice", "psbt", "sign", "--yes", filepath.Join(b.dir, "a.psbt"))
	if shown := b.karat("bob", "psbt", "show", first); !strings.Contains(shown, "has given nonces") {
		t.Errorf("after the first round:\n%s", shown)
	}
	if code, _, stderr := b.try("", "alice", "psbt", "sign", "--yes", first); code != cmdline.ExitFailure || !strings.Contains(stderr, "nonces of others are missing") {
		t.Errorf("signed again: %s", stderr)
	}
	second := b.karat("bob", "psbt", "sign", "--yes", first)
	third := b.karat("alice", "psbt", "sign", "--yes", second)
	if code, _, stderr := b.try("", "alice", "psbt", "sign", "--yes", second); code != cmdline.ExitFailure || !strings.Contains(stderr, "used before") {
		t.Errorf("a nonce was used twice: %s", stderr)
	}
	b.karat("bob", "psbt", "send", "--yes", third)
	b.mine(1)
	b.expect("after the payment", "alice", b.balance("bob").Confirmed.String(), "0.00000000")
}

// TestColdStorage: a machine that has no node makes a wallet, and another watches it by its
// descriptor. Payments go from one to the other and back, as files. The cold one shows all
// of a payment before it signs.
func TestColdStorage(t *testing.T) {
	b := newBench(t)
	b.rich()
	cold := func(args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		all := append([]string{"karat", "--network", "dev", "--datadir", filepath.Join(b.dir, "cold"), "--rpc", "127.0.0.1:1"}, args...)
		if code := run(t.Context(), all, cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
			t.Fatalf("karat %v: exit code %d: %s", args, code, errs.String())
		}
		return strings.TrimSpace(out.String()), errs.String()
	}
	if err := os.Mkdir(filepath.Join(b.dir, "cold"), 0o700); err != nil {
		t.Fatal(err)
	}
	cold("create", "--no-passphrase")
	text, _ := cold("descriptors", "--multipath")
	b.karat("hot", "script", "new", "--watch-only", "cold", text)
	first, _ := cold("address")
	if got := b.karat("hot", "address"); got != first {
		t.Errorf("watched %s, and the cold one has %s", got, first)
	}
	b.karat("rich", "send", "--yes", first, "5")
	b.mine(1)
	b.expect("received", "hot", "5.00000000", "0.00000000")
	to := b.karat("rich", "address")
	if code, _, stderr := b.try("", "hot", "send", "--yes", to, "2"); code != cmdline.ExitFailure || !strings.Contains(stderr, "--psbt") {
		t.Errorf("sent without keys: %s", stderr)
	}
	unsigned, signed := filepath.Join(b.dir, "unsigned.psbt"), filepath.Join(b.dir, "signed.psbt")
	b.karat("hot", "send", "--psbt", unsigned, to, "2")
	shown, _ := cold("psbt", "show", unsigned)
	for _, want := range []string{"2.00000000", to, "comes back to account main", "fee", "(you)"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	_, said := cold("psbt", "sign", "--yes", "-o", signed, unsigned)
	if !strings.Contains(said, "added 1 signature") || !strings.Contains(said, "It is complete") {
		t.Errorf("signing said %q", said)
	}
	b.karat("hot", "psbt", "send", "--yes", signed)
	b.mine(1)
	if got := b.balance("hot"); !strings.HasPrefix(string(got.Confirmed), "2.9999") {
		t.Errorf("%+v is left", got)
	}
}

// TestVaultAndHeir: an account of two ways. The owner pays alone at any time, and the heir
// when the coins are old enough; a third script asks for a secret.
func TestVaultAndHeir(t *testing.T) {
	slow(t)
	b := newBench(t)
	b.rich()
	var keys []string
	for _, name := range []string{"owner", "heir"} {
		b.karat(name, "create", "--no-passphrase")
		keys = append(keys, b.karat(name, "multisig", "key")+"/<0;1>/*")
	}
	secret := strings.Repeat("07", 32)
	raw, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(raw)
	script := fmt.Sprintf("tr(%s,{and_v(v:pk(%s),older(10)),and_v(v:pk(%s),sha256(%x))})", keys[0], keys[1], strings.ReplaceAll(keys[1], "<0;1>", "<2;3>"), hash)
	for _, name := range []string{"owner", "heir"} {
		said := b.karat(name, "script", "new", "vault", script)
		if !strings.Contains(said, "10 blocks after the coin came") || !strings.Contains(said, "3. ") {
			t.Errorf("%s is told:\n%s", name, said)
		}
	}
	to := b.karat("owner", "address", "--account", "vault")
	for range 3 {
		b.karat("rich", "send", "--yes", to, "5")
	}
	b.mine(1)
	back := b.karat("rich", "address")
	b.karat("owner", "send", "--account", "vault", "--yes", back, "4")
	b.mine(1)
	inherit := func(way string, flags ...string) (code int, stderr string) {
		t.Helper()
		p := b.karat("heir", "psbt", "create", "--account", "vault", "--way", way, back, "3")
		signed := b.karat("heir", append([]string{"psbt", "sign", "--yes", p}, flags...)...)
		code, _, stderr = b.try("", "heir", "psbt", "send", "--yes", signed)
		return code, stderr
	}
	if code, stderr := inherit("2"); code != cmdline.ExitFailure || !strings.Contains(stderr, "non-BIP68-final") {
		t.Errorf("inherited at once: %s", stderr)
	}
	if code, stderr := inherit("3"); code != cmdline.ExitFailure || !strings.Contains(stderr, "not complete") {
		t.Errorf("without the secret: %s", stderr)
	}
	if code, _, stderr := b.try("", "heir", "psbt", "create", "--account", "vault", "--way", "4", back, "3"); code != cmdline.ExitUsage {
		t.Errorf("a fourth way: %s", stderr)
	}
	if code, stderr := inherit("3", "--preimage", secret); code != 0 {
		t.Errorf("with the secret: %s", stderr)
	}
	b.mine(11)
	if code, stderr := inherit("2"); code != 0 {
		t.Errorf("inherited: %s", stderr)
	}
	b.mine(1)
	if e := b.last("heir"); e.Status != "confirmed" {
		t.Errorf("%+v", e)
	}
}

// TestReadPSBT: a PSBT is read in every form that people pass on, and what is none is told in
// a line.
func TestReadPSBT(t *testing.T) {
	b := newBench(t)
	b.rich()
	text := b.karat("rich", "psbt", "create", b.karat("rich", "address"), "1")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	want := b.karat("rich", "psbt", "show", "--json", text)
	if !strings.Contains(want, `"value": 1.00000000`) { // coins, as everywhere in JSON
		t.Errorf("%s", want)
	}
	for name, form := range map[string]string{
		"binary": string(raw), "text": text + "\n", "folded": text[:70] + "\r\n" + text[70:], "hexadecimal": hex.EncodeToString(raw), "marked": "\ufeff" + text,
	} {
		if got := b.karatIn(form, "rich", "psbt", "show", "--json", "-"); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, form := range map[string]string{"nothing": "", "cut off": string(raw[:60]), "a letter": "Dear Bob,\x1b[2J", "a part": text[:100]} {
		code, stdout, stderr := b.try(form, "rich", "psbt", "show", "-")
		if code != cmdline.ExitFailure || stdout != "" || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "\x1b") || !strings.Contains(stderr, "standard input: not a PSBT") {
			t.Errorf("%s: exit code %d, %q, %q", name, code, stdout, stderr)
		}
	}
}
