package clients

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
	"github.com/karatcoin/karat/wallet"
)

// Words of two people whom everybody knows. The tools know Bitcoin's networks, so theirs
// is Bitcoin's regtest.
const (
	ourWords   = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	theirWords = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"
)

// tools are what JavaScript people use.
type tools struct {
	t      *testing.T
	node   string
	params *consensus.Params
}

type task map[string]any

func newTools(t *testing.T) *tools {
	t.Helper()
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join("npm", "node_modules", "bitcoinjs-lib")); err != nil || missing != nil {
		vectors.NotRun(t, "bitcoinjs-lib, @scure/btc-signer and @bitcoinerlab/descriptors of npm, because node or its modules are missing: `make clients` fetches them")
	}
	params := must[*consensus.Params](t)(karat.LoadNetwork(filepath.Join("..", "..", "..", "testdata", "bitcoin-regtest.json")))
	return &tools{t, node, params}
}

// do has a tool do a task.
func do[T any](s *tools, do string, t task) (answer T) {
	s.t.Helper()
	t["do"] = do
	file := filepath.Join("npm", "tools.js")
	if _, err := os.Stat(file); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(s.node, file)
	cmd.Stdin = bytes.NewReader(must[[]byte](s.t)(json.Marshal([]task{t})))
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%s: %v\n%s", do, err, &wrong)
	}
	answers := []*T{&answer}
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil {
		s.t.Fatalf("%s: %v in %s", do, err, &out)
	}
	return answer
}

// owner is somebody with a karat wallet who has no node.
type owner struct {
	*wallet.Wallet
	*tools
	file   *wallet.File
	dir    string
	signer *wallet.Signer
}

func (s *tools) owner(words string) *owner {
	s.t.Helper()
	o := &owner{tools: s, dir: s.t.TempDir()}
	must[*wallet.File](s.t)(wallet.CreateFile(filepath.Join(o.dir, wallet.FileName), s.params, wallet.Contents{Words: wallet.Words{Mnemonic: words}}, ""))
	o.open()
	s.t.Cleanup(func() { o.Wallet.Close() })
	return o
}

func (o *owner) open() {
	o.t.Helper()
	o.file = must[*wallet.File](o.t)(wallet.OpenFile(filepath.Join(o.dir, wallet.FileName), o.params))
	o.Wallet = must[*wallet.Wallet](o.t)(wallet.Open(o.dir, o.file, o.params, nil))
	o.signer = must[*wallet.Signer](o.t)(o.file.Unlock(""))
}

// join adds an account.
func (o *owner) join(descriptor string) {
	o.t.Helper()
	if err := o.Wallet.Close(); err != nil {
		o.t.Fatal(err)
	}
	must[*wallet.Account](o.t)(wallet.AddAccount(filepath.Join(o.dir, wallet.FileName), o.params, "", wallet.NamedDescriptor{Name: "shared", Descriptor: descriptor}))
	o.open()
}

// packet is a payment of two coins that nobody has, from an account to its change.
func (o *owner) packet(account uint32, version uint32) *psbt.Packet {
	o.t.Helper()
	a := o.file.Accounts()[account]
	r := &wallet.Request{FeeRate: 2000, WitnessWeight: a.SpendWeight()}
	r.ChangeScript = must[[]byte](o.t)(a.Script(wallet.Change, 3))
	r.Outputs = []types.TxOut{{Value: 150_000_000, ScriptPubKey: must[[]byte](o.t)(a.Script(wallet.Receive, 9))}}
	for i := range uint32(2) {
		r.Coins = append(r.Coins, wallet.Coin{
			OutPoint: types.OutPoint{TxID: types.Hash{byte(i + 1)}}, Value: 100_000_000, Height: 5,
			ScriptPubKey: must[[]byte](o.t)(a.Script(wallet.Receive, i)), Key: wallet.KeyID{Account: account, Branch: wallet.Receive, Index: i},
		})
	}
	draft := must[*wallet.Draft](o.t)(wallet.Build(r))
	p := must[*psbt.Packet](o.t)(o.Packet(draft))
	p.Version = version
	return p
}

func (s *tools) text(p *psbt.Packet) string {
	s.t.Helper()
	return must[string](s.t)(p.Base64())
}

func (s *tools) packet(text string) *psbt.Packet {
	s.t.Helper()
	return must[*psbt.Packet](s.t)(psbt.DecodeBase64(text))
}

// signed returns the packet with an owner's signatures, of which there must be some.
func (o *owner) signed(p *psbt.Packet) *psbt.Packet {
	o.t.Helper()
	p = o.tools.packet(o.text(p))
	if done := must[wallet.Signed](o.t)(o.SignPSBT(o.signer, p, wallet.SignOptions{})); done.Signatures == 0 {
		o.t.Fatalf("nothing was signed: %+v", done)
	}
	return p
}

// finalTx finalizes a packet, verifies what it spends and returns the transaction.
func (s *tools) finalTx(p *psbt.Packet) string {
	s.t.Helper()
	p = s.packet(s.text(p))
	if !p.Finalize() {
		s.t.Fatalf("not complete: %s", s.text(p))
	}
	return hex.EncodeToString(must[*types.Tx](s.t)(p.Extract()).AppendTo(nil))
}

// verify verifies a transaction that a tool has made of a packet.
func (s *tools) verify(p *psbt.Packet, raw string) {
	s.t.Helper()
	tx := must[*types.Tx](s.t)(types.DecodeTx(must[[]byte](s.t)(hex.DecodeString(raw))))
	var spent []types.TxOut
	for i := range p.Inputs {
		spent = append(spent, *p.Inputs[i].WitnessUTXO)
	}
	ctx := taproot.NewContext(tx, spent)
	for i := range tx.Inputs {
		if err := ctx.VerifyInput(i, taproot.Standard, nil); err != nil {
			s.t.Errorf("input %d: %v", i, err)
		}
	}
}

// final is what a tool makes of a complete PSBT.
type final struct{ PSBT, Tx string }

// TestToolsSignKeyPath: bitcoinjs-lib and @scure/btc-signer sign what karat made, and finish
// what karat has signed.
func TestToolsSignKeyPath(t *testing.T) {
	s := newTools(t)
	o := s.owner(ourWords)
	for _, c := range []struct {
		version uint32
		sign    string
	}{{0, "bitcoinjsSign"}, {0, "scureSign"}, {2, "scureSign"}} {
		p := o.packet(0, c.version)
		theirs := s.packet(do[string](s, c.sign, task{"psbt": s.text(p), "words": ourWords, "version": c.version}))
		if theirs.Version != c.version {
			t.Errorf("%s makes version %d of version %d", c.sign, theirs.Version, c.version)
		}
		s.finalTx(theirs)
		for _, finalize := range []string{"bitcoinjsFinalize", "scureFinalize"} {
			if c.version == 2 && finalize == "bitcoinjsFinalize" {
				continue // which reads version 0 alone
			}
			ours := o.signed(p)
			done := do[final](s, finalize, task{"psbt": s.text(ours)})
			s.verify(p, done.Tx)
			if want := s.finalTx(ours); done.Tx != want {
				t.Errorf("%s, version %d: %s, want %s", finalize, c.version, done.Tx, want)
			}
			if finished := s.packet(done.PSBT); !finished.Inputs[0].IsFinal() || s.finalTx(finished) != done.Tx {
				t.Errorf("%s, version %d: the PSBT is %s", finalize, c.version, done.PSBT)
			}
		}
	}
}

// TestToolsRead: bitcoinjs-lib reads all that karat says of its inputs.
func TestToolsRead(t *testing.T) {
	s := newTools(t)
	o := s.owner(ourWords)
	p := o.packet(0, 0)
	read := do[[]struct {
		TxID, Script, InternalKey string
		Amount                    int64
		Paths                     []string
	}](s, "bitcoinjsRead", task{"psbt": s.text(p)})
	for i := range p.Inputs {
		in := &p.Inputs[i]
		d := &in.TapDerivations[0]
		path := hex.EncodeToString(d.Origin.Fingerprint[:])
		for _, step := range d.Origin.Path {
			path += fmt.Sprintf("/%d", step&^(1<<31)) + strings.Repeat("'", int(step>>31))
		}
		if read[i].TxID != in.PreviousOutPoint.TxID.String() || read[i].Amount != int64(in.WitnessUTXO.Value) || read[i].Script != hex.EncodeToString(in.WitnessUTXO.ScriptPubKey) ||
			read[i].InternalKey != hex.EncodeToString(in.TapInternalKey[:]) || len(read[i].Paths) != 1 || read[i].Paths[0] != path {
			t.Errorf("input %d: %+v, want the path %s", i, read[i], path)
		}
	}
}

// TestToolsMake: karat signs what bitcoinjs-lib made, which finishes it.
func TestToolsMake(t *testing.T) {
	s := newTools(t)
	o := s.owner(ourWords)
	pays := must[string](t)(o.NextAddress(0))
	made := do[string](s, "bitcoinjsMake", task{"words": ourWords, "pay": pays, "amount": 1_500_000, "coins": []task{
		{"txid": strings.Repeat("01", 32), "amount": 1_000_000, "path": "m/86'/1'/0'/0/0"}, {"txid": strings.Repeat("02", 32), "amount": 600_000, "path": "m/86'/1'/0'/1/4"},
	}})
	p := s.packet(made)
	signed := o.signed(p)
	done := do[final](s, "bitcoinjsFinalize", task{"psbt": s.text(signed)})
	s.verify(p, done.Tx)
	if want := s.finalTx(signed); done.Tx != want {
		t.Errorf("%s, want %s", done.Tx, want)
	}
}

// TestToolsMultisig: two of three sign in a leaf, one by karat and one by a tool, in either
// order or apart; what they signed is combined by each, and finished.
func TestToolsMultisig(t *testing.T) {
	s := newTools(t)
	us, them := s.owner(ourWords), s.owner(theirWords)
	third := s.owner("legal winner thank year wave sausage worth useful legal winner thank yellow")
	var keys []string
	for _, o := range []*owner{us, them, third} {
		keys = append(keys, must[string](t)(o.signer.SharedKey(s.params, 0)))
	}
	us.join(must[string](t)(wallet.MultisigDescriptor(s.params, 2, keys)))
	for _, c := range []struct {
		version uint32
		sign    string
		combine string
	}{{0, "bitcoinjsSign", "bitcoinjsCombine"}, {0, "scureSign", "scureCombine"}, {2, "scureSign", "scureCombine"}} {
		p := us.packet(1, c.version)
		theirs := do[string](s, c.sign, task{"psbt": s.text(p), "words": theirWords, "version": c.version})
		after := us.signed(s.packet(theirs))
		ours := s.text(us.signed(p))
		before := do[string](s, c.sign, task{"psbt": ours, "words": theirWords, "version": c.version})
		apart := must[*psbt.Packet](t)(psbt.Combine([]*psbt.Packet{s.packet(ours), s.packet(theirs)}))
		byTool := do[string](s, c.combine, task{"psbts": []string{ours, theirs}, "version": c.version})
		for how, signed := range map[string]*psbt.Packet{"after": after, "before": s.packet(before), "apart": apart, "combined by the tool": s.packet(byTool)} {
			s.verify(p, s.finalTx(signed))
			if t.Failed() {
				t.Fatalf("%s, version %d, %s: %s", c.sign, c.version, how, s.text(signed))
			}
		}
		s.verify(p, do[final](s, "scureFinalize", task{"psbt": s.text(apart)}).Tx)
	}
	p := us.packet(1, 0)
	for i := range p.Inputs {
		leaf := p.Inputs[i].TapScripts[0].Script
		var points []string
		for at := 0; at+34 <= len(leaf); at += 34 { // pushes of 32 bytes, each with an opcode
			points = append(points, hex.EncodeToString(leaf[at+1:at+33]))
		}
		made := do[struct{ Script, Leaf string }](s, "scureMultisig", task{"keys": points, "threshold": 2})
		if made.Leaf != hex.EncodeToString(leaf) {
			t.Errorf("@scure/btc-signer makes the leaf %s, karat %x", made.Leaf, leaf)
		}
	}
}

// TestToolsDescriptors: @bitcoinerlab/descriptors derives the scripts that karat does.
func TestToolsDescriptors(t *testing.T) {
	s := newTools(t)
	o := s.owner(ourWords)
	them := s.owner(theirWords)
	keys := []string{must[string](t)(o.signer.SharedKey(s.params, 0)), must[string](t)(them.signer.SharedKey(s.params, 0))}
	o.join(must[string](t)(wallet.MultisigDescriptor(s.params, 2, keys)))
	indexes := []uint32{0, 1, 7}
	for _, a := range o.file.Accounts() {
		for branch, text := range a.Descriptors() {
			got := do[[]string](s, "descriptor", task{"descriptor": text, "branches": 1, "indexes": indexes})
			for i, index := range indexes {
				want := must[[]byte](t)(a.Script(wallet.Branch(branch), index))
				if got[i] != hex.EncodeToString(want) {
					t.Errorf("%s at %d: %s, karat %x", text, index, got[i], want)
				}
			}
		}
	}
}

// TestToolsLabels: labels are lines that JSON.parse reads (BIP329), and what it writes is read.
func TestToolsLabels(t *testing.T) {
	s := newTools(t)
	o, other := s.owner(ourWords), s.owner(ourWords)
	address, text := must[string](t)(o.NextAddress(0)), "rent \"of\" May: é, 家賃"
	if err := o.SetLabel(wallet.LabelAddress, address, text); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	if err := o.ExportLabels(&lines); err != nil {
		t.Fatal(err)
	}
	read := do[struct {
		Labels []struct{ Type, Ref, Label string }
		Lines  string
	}](s, "labels", task{"lines": lines.String()})
	if len(read.Labels) != 1 || read.Labels[0].Type != "addr" || read.Labels[0].Ref != address || read.Labels[0].Label != text {
		t.Errorf("%+v of %s", read, &lines)
	}
	if result := must[wallet.LabelImport](t)(other.ImportLabels(strings.NewReader(read.Lines))); len(other.Labels()) != 1 || other.Labels()[0].Text != text {
		t.Errorf("%+v of %s", result, read.Lines)
	}
}
