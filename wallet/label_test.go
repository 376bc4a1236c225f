package wallet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
	"github.com/karatcoin/karat/wallet"
)

// offline is a wallet that has no node, and can be opened again.
type offline struct {
	*wallet.Wallet
	t   *testing.T
	dir string
}

func newOffline(t *testing.T) *offline {
	t.Helper()
	o := &offline{t: t, dir: t.TempDir()}
	_, err := wallet.CreateFile(filepath.Join(o.dir, wallet.FileName), devParams(t), contents(someWords), "")
	must(t, err)
	o.open()
	t.Cleanup(func() { o.Close() })
	return o
}

func devParams(t *testing.T) *consensus.Params {
	t.Helper()
	p, err := karat.LoadNetwork("dev")
	must(t, err)
	return p
}

func (o *offline) open() {
	o.t.Helper()
	p := devParams(o.t)
	f, err := wallet.OpenFile(filepath.Join(o.dir, wallet.FileName), p)
	if err != nil {
		o.t.Fatal(err)
	}
	if o.Wallet, err = wallet.Open(o.dir, f, p, nil); err != nil {
		o.t.Fatal(err)
	}
}

func (o *offline) again() {
	o.t.Helper()
	if err := o.Close(); err != nil {
		o.t.Fatal(err)
	}
	o.open()
}

func (o *offline) importing(text string) wallet.LabelImport {
	o.t.Helper()
	result, err := o.ImportLabels(strings.NewReader(text))
	if err != nil {
		o.t.Fatal(err)
	}
	return result
}

func (o *offline) exported() string {
	o.t.Helper()
	var b bytes.Buffer
	if err := o.ExportLabels(&b); err != nil {
		o.t.Fatal(err)
	}
	return b.String()
}

const (
	someTxID    = "f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd"
	someAddress = "krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk"
	someXPub    = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
	someXPrv    = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
)

// TestLabelVectors: the BIP's records are taken, and come out with the same fields.
func TestLabelVectors(t *testing.T) {
	text := string(vectors.ReadFile(t, "bip329/labels.jsonl"))
	o := newOffline(t)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if got := o.importing(text); got.Changed != len(lines) || got.Failed+got.Ignored+got.Cut != 0 {
		t.Fatalf("imported %+v of %d lines", got, len(lines))
	}
	o.again()
	got := o.exported()
	for _, line := range lines {
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(line)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(got, compact.String()+"\n") {
			t.Errorf("the export lacks %s", compact.String())
		}
	}
	if n := strings.Count(got, "\n"); n != len(lines) {
		t.Errorf("%d lines in the export", n)
	}
	if got := o.importing(got); got.Changed != 0 || got.Unchanged != len(lines) {
		t.Errorf("the same again: %+v", got)
	}
	txid, err := types.ParseHash(someTxID)
	must(t, err)
	if !o.IsLocked(types.OutPoint{TxID: txid, Index: 1}) {
		t.Error("an output that is not spendable is not locked")
	}
	// The first record is another wallet's, by its origin: it is kept and not shown.
	if _, ok := o.Label(wallet.LabelTx, someTxID); ok {
		t.Error("the label of another wallet is shown in this one")
	}
	vectors.Ran(t, len(lines), "records of BIP329")
}

// TestLabels: labels are set, kept, changed and taken away.
func TestLabels(t *testing.T) {
	o := newOffline(t)
	steps := []struct {
		kind      wallet.LabelType
		ref, text string
	}{
		{wallet.LabelTx, strings.ToUpper(someTxID), "a bicycle"},
		{wallet.LabelAddress, strings.ToUpper(someAddress), "Zoë's café 🚲 <b>"},
		{wallet.LabelOutput, someTxID + ":1", "change"},
		{wallet.LabelTx, someTxID, "two bicycles"},
		{wallet.LabelOutput, someTxID + ":1", ""},
	}
	for _, s := range steps {
		if err := o.SetLabel(s.kind, s.ref, s.text); err != nil {
			t.Fatal(err)
		}
	}
	o.again()
	want := `{"type":"tx","ref":"` + someTxID + `","label":"two bicycles"}` + "\n" +
		`{"type":"addr","ref":"` + someAddress + `","label":"Zoë's café 🚲 <b>"}` + "\n"
	if got := o.exported(); got != want {
		t.Errorf("labels:\n%swant\n%s", got, want)
	}
	if l, ok := o.Label(wallet.LabelAddress, someAddress); !ok || l.Text != "Zoë's café 🚲 <b>" {
		t.Errorf("an address has %+v", l)
	}
	for text, wrong := range map[string]string{
		strings.Repeat("ä", wallet.MaxLabel+1): "256 characters", "a\x1b[2J": "U+001B", "a\u202eb": "U+202E", "a\nb": "U+000A", "\xff": "UTF-8",
	} {
		if err := o.SetLabel(wallet.LabelTx, someTxID, text); !errors.Is(err, wallet.ErrLabel) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := o.SetLabel(wallet.LabelTx, someTxID, strings.Repeat("ä", wallet.MaxLabel)); err != nil {
		t.Error(err)
	}
}

// TestLockedCoins: a coin's lock is its label's field spendable, and lasts.
func TestLockedCoins(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	w.earn()
	coins := w.Coins()
	if len(coins) == 0 {
		t.Fatal("no coins")
	}
	locked := coins[0].OutPoint
	ref := locked.String()
	check := func(when string, want bool, export string) {
		t.Helper()
		var b bytes.Buffer
		if err := w.ExportLabels(&b); err != nil || b.String() != export {
			t.Errorf("%s: labels %q, %v, want %q", when, b.String(), err, export)
		}
		if w.IsLocked(locked) != want {
			t.Errorf("%s: locked is %v", when, !want)
		}
		if got := len(w.Coins()) < len(coins); got != want {
			t.Errorf("%s: %d of %d coins can be spent", when, len(w.Coins()), len(coins))
		}
	}
	check("at first", false, "")
	must(t, w.Lock(locked, true))
	check("locked", true, `{"type":"output","ref":"`+ref+`","spendable":false}`+"\n")
	must(t, w.SetLabel(wallet.LabelOutput, ref, "savings"))
	check("labelled", true, `{"type":"output","ref":"`+ref+`","label":"savings","spendable":false}`+"\n")
	must(t, w.Lock(locked, false))
	check("unlocked", false, `{"type":"output","ref":"`+ref+`","label":"savings","spendable":true}`+"\n")
	must(t, w.SetLabel(wallet.LabelOutput, ref, ""))
	must(t, w.Lock(locked, false))
	check("at the end", false, "")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestImportLabels: what a file lacks is left alone, what others wrote is kept, and each line
// that is wrong is named.
func TestImportLabels(t *testing.T) {
	o := newOffline(t)
	must(t, o.SetLabel(wallet.LabelOutput, someTxID+":1", "mine"))
	got := o.importing("\ufeff" + strings.Join([]string{
		`{"type":"output","ref":"` + someTxID + `:1","spendable":false}`,
		`{"type":"output","ref":"` + someTxID + `:2","label":"bought","fmv":{"USD":1233.45}}` + "\r",
		``,
		`{"type":"weather","ref":"today","label":"rain"}`,
		`{"type":"addr","ref":"1BoatSLRHtKNngkdXEeobR76b53LETtpyT","label":"` + strings.Repeat("x", 300) + `"}`,
		`{"type":"tx","ref":"` + someTxID + `","label":"a\u001b[2Jb\nc","origin":"tr([00000001/86h/0h/0h])"}`,
	}, "\n"))
	want := wallet.LabelImport{Changed: 4, Ignored: 1, Cut: 2, Foreign: 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("imported %+v, want %+v", got, want)
	}
	o.again()
	export := `{"type":"tx","ref":"` + someTxID + `","label":"a [2Jb c","origin":"tr([00000001/86h/0h/0h])"}
{"type":"addr","ref":"1BoatSLRHtKNngkdXEeobR76b53LETtpyT","label":"` + strings.Repeat("x", 255) + `"}
{"type":"output","ref":"` + someTxID + `:1","label":"mine","spendable":false}
{"type":"output","ref":"` + someTxID + `:2","label":"bought","fmv":{"USD":1233.45}}
`
	if got := o.exported(); got != export {
		t.Errorf("exported\n%swant\n%s", got, export)
	}
	for line, wrong := range map[string]string{
		`[]`:                         "JSON object",
		`{"type":"tx"`:               "JSON object",
		"{\"a\":\"\xff\"":            "UTF-8",
		`null`:                       "JSON object",
		`{"ref":"` + someTxID + `"}`: "no type",
		`{"type":"tx"}`:              "no ref",
		`{"type":"tx","ref":7}`:      "ref: want a text",
		`{"type":"tx","ref":"beef"}`: "64 hexadecimal digits",
		`{"type":"output","ref":"` + someTxID + `:1","spendable":"false"}`:                     "without quotes",
		`{"type":"output","ref":"` + someTxID + `:-1"}`:                                        "TXID:INDEX",
		`{"type":"output","ref":"` + someTxID + `:4294967296"}`:                                "TXID:INDEX",
		`{"type":"pubkey","ref":"02"}`:                                                         "public key",
		`{"type":"addr","ref":"a b"}`:                                                          "address",
		`{"type":"xpub","ref":"xpub1"}`:                                                        "extended public key",
		`{"type":"xpub","ref":"` + someXPrv + `"}`:                                             "private",
		`{"type":"tx","ref":"` + someTxID + `","origin":"\u001b"}`:                             "origin",
		`{"type":"tx","ref":"` + someTxID + `","label":"` + strings.Repeat("y", 20<<10) + `"}`: "longer than",
	} {
		result := o.importing("\n" + line + "\n" + `{"type":"xpub","ref":"` + someXPub + `","label":"seen"}`)
		if len(result.Problems) != 1 || result.Failed != 1 || result.Problems[0].Line != 2 || !strings.Contains(result.Problems[0].Err.Error(), wrong) {
			t.Errorf("%.80s: %+v, want %q", line, result, wrong)
		} else if strings.Contains(result.Problems[0].Err.Error(), "xprv") {
			t.Errorf("a private key is repeated: %v", result.Problems[0].Err)
		}
		if _, ok := o.Label(wallet.LabelXPub, someXPub); !ok {
			t.Errorf("%.80s: the line behind it was not taken", line)
		}
		must(t, o.SetLabel(wallet.LabelXPub, someXPub, ""))
	}
	before := o.exported()
	endless := io.MultiReader(strings.NewReader(`{"type":"tx","ref":"`+someTxID+`","label":"lost"}`+"\n"), zeros{})
	if _, err := o.ImportLabels(endless); !errors.Is(err, wallet.ErrLabel) || o.exported() != before {
		t.Errorf("a file without an end: %v", err)
	}
	many := strings.Repeat("x\n", 100)
	if got := o.importing(many); got.Failed != 100 || len(got.Problems) > 50 {
		t.Errorf("of 100 lines that are wrong, %d are counted and %d told", got.Failed, len(got.Problems))
	}
}

// zeros is a file that does not end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestLabelRefs: what a label is for is found out from what was typed.
func TestLabelRefs(t *testing.T) {
	for text, want := range map[string]wallet.LabelType{
		someTxID: wallet.LabelTx, someAddress: wallet.LabelAddress, someTxID + ":07": wallet.LabelOutput, someXPub: wallet.LabelXPub, "02" + someTxID: wallet.LabelPubKey,
	} {
		if kind, ref, err := wallet.ParseLabelRef("krtd", text); kind != want || err != nil || strings.TrimSuffix(ref, ":7") != strings.TrimSuffix(text, ":07") {
			t.Errorf("%s: %s %s %v", text, kind, ref, err)
		}
	}
	for _, text := range []string{"", "x", "krtd1pxxx", "krt1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk", someTxID + ":x", ":1", someTxID[1:], someXPrv} {
		if kind, _, err := wallet.ParseLabelRef("krtd", text); !errors.Is(err, wallet.ErrLabel) || strings.Contains(err.Error(), "xprv") {
			t.Errorf("%q is taken for %s: %v", text, kind, err)
		}
	}
}

// TestLabelsKnowTheirOwner: a label is the first that a new database holds. It is not shown to
// the words that come in the place of its owner's.
func TestLabelsKnowTheirOwner(t *testing.T) {
	o := newOffline(t)
	must(t, o.SetLabel(wallet.LabelTx, someTxID, "mine"))
	must(t, o.Close())
	path := filepath.Join(o.dir, wallet.FileName)
	must(t, os.Rename(path, path+".away"))
	_, err := wallet.CreateFile(path, devParams(t), contents(strings.Repeat("test ", 11)+"junk"), "")
	must(t, err)
	o.open()
	if got := o.exported(); got != "" {
		t.Errorf("labels of another wallet: %s", got)
	}
	must(t, o.Close())
	must(t, os.Rename(path+".away", path))
	o.open()
	if l, _ := o.Label(wallet.LabelTx, someTxID); l.Text != "mine" {
		t.Errorf("its own label, with its own words again: %+v", l)
	}
}

// TestLabelsOutliveDamage: of a damaged database the labels that can be read are kept, unless
// they are another wallet's.
func TestLabelsOutliveDamage(t *testing.T) {
	o := newOffline(t)
	must(t, o.SetLabel(wallet.LabelTx, someTxID, "first"))
	must(t, o.SetLabel(wallet.LabelAddress, someAddress, "second"))
	must(t, o.SetLabel(wallet.LabelXPub, someXPub, "last, which is damaged"))
	must(t, o.Close())
	logs, err := filepath.Glob(filepath.Join(o.dir, "db", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	content, err := os.ReadFile(logs[0])
	must(t, err)
	content[len(content)-3] ^= 1
	must(t, os.WriteFile(logs[0], content, 0o600))
	o.open()
	first, _ := o.Label(wallet.LabelTx, someTxID)
	second, _ := o.Label(wallet.LabelAddress, someAddress)
	if _, ok := o.Label(wallet.LabelXPub, someXPub); ok || first.Text != "first" || second.Text != "second" {
		t.Errorf("what is left: %s", o.exported())
	}
	o.again()
	if n := len(o.Labels()); n != 2 {
		t.Errorf("%d labels when it is opened again", n)
	}
}

// TestLabelsOfAnAccountToCome: labels that came in a file before the account that they are of
// become the wallet's own with it. The database is whole, and nothing in it is lost.
func TestLabelsOfAnAccountToCome(t *testing.T) {
	o := newOffline(t)
	given, err := o.NextAddress(0)
	must(t, err)
	descriptor := fileOf(t, wordsOf(t, 1)).Accounts()[0].Descriptor()
	origin := descriptor[:strings.Index(descriptor, "]")+1] + ")"
	line := func(kind, ref, text string) string {
		return fmt.Sprintf(`{"type":%q,"ref":%q,"label":%q,"origin":%q}`+"\n", kind, ref, text, origin)
	}
	must(t, o.SetLabel(wallet.LabelAddress, someAddress, "mine"))
	if got := o.importing(line("tx", someTxID, "rent") + line("addr", someAddress, "theirs")); got.Foreign != 2 {
		t.Fatalf("%+v", got)
	}
	must(t, o.Close())
	_, err = wallet.AddAccount(filepath.Join(o.dir, wallet.FileName), devParams(t), "", wallet.NamedDescriptor{Name: "theirs", Descriptor: descriptor})
	must(t, err)
	for range 2 {
		o.open()
		for ref, want := range map[string]string{someTxID: "rent", someAddress: "mine"} {
			kind, ref, err := wallet.ParseLabelRef(devParams(t).HRP, ref)
			must(t, err)
			if l, _ := o.Label(kind, ref); l.Text != want {
				t.Errorf("%s is %q, want %q", ref, l.Text, want)
			}
		}
		if next, err := o.NextAddress(0); err != nil || next == given {
			t.Errorf("address %s is given out a second time, %v", next, err)
		}
		must(t, o.Close())
	}
	o.open()
}

// fileOf returns the file of a wallet with some words.
func fileOf(t *testing.T, words string) *wallet.File {
	t.Helper()
	f, err := wallet.CreateFile(filepath.Join(t.TempDir(), wallet.FileName), devParams(t), contents(words), "")
	must(t, err)
	return f
}

// TestWhatIsExportedCanBeImported: however records grow by several imports, an export is one that
// an import takes, and so is that of a backup.
func TestWhatIsExportedCanBeImported(t *testing.T) {
	o := newOffline(t)
	line := func(field string, n int) string {
		return fmt.Sprintf(`{"type":"tx","ref":%q,"label":"a","%s":%q}`+"\n", someTxID, field, strings.Repeat("x", n))
	}
	if got := o.importing(line("one", 10_000)); got.Failed != 0 {
		t.Fatalf("%+v", got)
	}
	if got := o.importing(line("two", 6000) + line("two", 7000) + line("three", 100)); got.Changed != 2 || got.Failed != 1 || got.Problems[0].Line != 2 {
		t.Errorf("%+v", got)
	}
	// So long a text that what others have noted leaves no room for it.
	if err := o.SetLabel(wallet.LabelTx, someTxID, strings.Repeat("ж", wallet.MaxLabel)); !errors.Is(err, wallet.ErrLabel) {
		t.Errorf("the error is %v", err)
	}
	text := o.exported()
	o.again()
	if got := o.importing(text); got.Unchanged != 1 {
		t.Errorf("the same again: %+v", got)
	}
	if got := newOffline(t).importing(text); got.Changed != 1 || got.Failed != 0 {
		t.Errorf("elsewhere: %+v", got)
	}
}

// TestLabelsHaveABound: labels whose file could not be imported again, nor their backup, are not
// taken, and what is there can still be changed.
func TestLabelsHaveABound(t *testing.T) {
	o := newOffline(t)
	var file strings.Builder
	fill := func(from byte) string {
		file.Reset()
		for i := range 1300 {
			fmt.Fprintf(&file, `{"type":"tx","ref":"%02x%062x","label":"a","x":%q}`+"\n", from, i, strings.Repeat("x", 15_000))
		}
		return file.String()
	}
	if got := o.importing(fill(1)); got.Changed != 1300 {
		t.Fatalf("%+v", got)
	}
	if _, err := o.ImportLabels(strings.NewReader(fill(2))); !errors.Is(err, wallet.ErrLabel) {
		t.Errorf("the error is %v", err)
	}
	must(t, o.SetLabel(wallet.LabelTx, someTxID, "rent"))
	o.again()
	if _, err := o.ImportLabels(strings.NewReader(fill(2))); !errors.Is(err, wallet.ErrLabel) {
		t.Errorf("opened again, the error is %v", err)
	}
}
