package consensus

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// ErrParams is wrapped by every error of ParseParams, whose text names the
// field.
var ErrParams = errors.New("bad network file")

// Limits of what a network can choose.
const (
	maxNameLength  = 32
	maxSpacing     = 7 * 24 * 60 * 60 // seconds
	maxMoneyLimit  = types.Amount(1) << 61
	minBlockWeight = 40_000
	maxBlockWeight = 16_000_000
	maxOutputs     = 10_000 // allocations
	// maxOutputScript is Bitcoin's limit of a script in bytes.
	maxOutputScript = 10_000
	maxBootstrap    = 1000 // entries of a kind
	maxPeerLength   = 512  // bytes of one
)

// file is the form of genesis.json. Fields without omitempty must be there.
type file struct {
	Name             string         `json:"name"`
	HRP              string         `json:"hrp"`
	Magic            string         `json:"magic"`
	Ports            filePorts      `json:"ports"`
	Genesis          fileGenesis    `json:"genesis"`
	TargetSpacing    uint32         `json:"target_spacing"`
	Difficulty       fileDifficulty `json:"difficulty"`
	PowLimit         string         `json:"pow_limit"`
	InitialSubsidy   string         `json:"initial_subsidy"`
	HalvingInterval  uint32         `json:"halving_interval"`
	MaxMoney         string         `json:"max_money"`
	CoinbaseMaturity uint32         `json:"coinbase_maturity"`
	MaxBlockWeight   uint32         `json:"max_block_weight"`
	Bootstrap        fileBootstrap  `json:"bootstrap"`
	MinimumChainWork string         `json:"minimum_chain_work"`
	AssumeValid      string         `json:"assume_valid"`
}

type filePorts struct {
	P2P uint16 `json:"p2p"`
	RPC uint16 `json:"rpc"`
}

type fileGenesis struct {
	Timestamp uint32       `json:"timestamp"`
	Bits      string       `json:"bits"`
	Nonce     uint32       `json:"nonce"`
	Version   int32        `json:"version"`
	Message   string       `json:"message"`
	Outputs   []fileOutput `json:"outputs"`
}

type fileOutput struct {
	Address string `json:"address,omitempty"`
	Script  string `json:"script,omitempty"`
	Amount  string `json:"amount"`
}

type fileDifficulty struct {
	Algorithm string `json:"algorithm"`
	HalfLife  uint32 `json:"half_life,omitempty"`
}

type fileBootstrap struct {
	Nodes []string `json:"nodes"`
	DNS   []string `json:"dns"`
}

// badField is an error about a field of the file.
func badField(field, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrParams, field, fmt.Sprintf(format, args...))
}

// ParseParams reads a genesis.json. Unknown, missing and repeated fields and
// values that no network can have are refused with the field's name, and so is
// a genesis block without the work that its bits ask for. Amounts are decimal
// coins in strings ("10.00000000"), hashes and targets 64 hexadecimal digits.
func ParseParams(data []byte) (*Params, error) {
	var f file
	if err := strictUnmarshal(data, &f); err != nil {
		return nil, err
	}
	p, err := f.params()
	if err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	genesis := p.GenesisBlock()
	if err := CheckHeader(p, &genesis.Block.Header, genesis.Hash); err != nil {
		return nil, badField("genesis.nonce", "the genesis block lacks the work that genesis.bits asks for: %v", err)
	}
	return p, nil
}

// params converts field by field what has a form of its own in the file.
func (f *file) params() (*Params, error) {
	p := &Params{
		Name: f.Name, HRP: f.HRP, Ports: Ports(f.Ports), TargetSpacing: f.TargetSpacing,
		Difficulty: Difficulty(f.Difficulty), HalvingInterval: f.HalvingInterval,
		CoinbaseMaturity: f.CoinbaseMaturity, MaxBlockWeight: int(f.MaxBlockWeight), Bootstrap: Bootstrap(f.Bootstrap),
	}
	var r fieldReader
	copy(p.Magic[:], r.hex("magic", f.Magic, 4))
	if r.err == nil {
		r.err = p.checkNames() // before addresses are read with the prefix
	}
	p.PowLimit = r.uint256("pow_limit", f.PowLimit)
	p.InitialSubsidy = r.amount("initial_subsidy", f.InitialSubsidy)
	p.MaxMoney = r.amount("max_money", f.MaxMoney)
	p.MinimumChainWork = r.uint256("minimum_chain_work", f.MinimumChainWork)
	if hash, err := types.ParseHash(f.AssumeValid); err != nil || strings.ToLower(f.AssumeValid) != f.AssumeValid {
		r.fail("assume_valid", "%.80q: want 64 lower-case hexadecimal digits (all zeros for none)", f.AssumeValid)
	} else {
		p.AssumeValid = hash
	}
	g := &f.Genesis
	p.Genesis = Genesis{Timestamp: g.Timestamp, Nonce: g.Nonce, Version: g.Version, Message: g.Message}
	if b := r.hex("genesis.bits", g.Bits, 4); b != nil {
		p.Genesis.Bits = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	for i := range g.Outputs {
		p.Genesis.Outputs = append(p.Genesis.Outputs, r.output(fmt.Sprintf("genesis.outputs[%d]", i), f.HRP, &g.Outputs[i]))
	}
	return p, r.err
}

// fieldReader converts fields and keeps the first error.
type fieldReader struct{ err error }

func (r *fieldReader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = badField(field, format, args...)
	}
}

func (r *fieldReader) hex(field, s string, size int) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != size || strings.ToLower(s) != s {
		r.fail(field, "%.80q: want %d lower-case hexadecimal digits", s, 2*size)
		return nil
	}
	return b
}

func (r *fieldReader) uint256(field, s string) Uint256 {
	u, err := ParseUint256(s)
	if err != nil || strings.ToLower(s) != s {
		r.fail(field, "%.80q: want 64 lower-case hexadecimal digits", s)
	}
	return u
}

func (r *fieldReader) amount(field, s string) types.Amount {
	amount, err := types.ParseAmount(s)
	if err != nil {
		r.fail(field, "%v", err)
	}
	return amount
}

func (r *fieldReader) output(field, hrp string, o *fileOutput) types.TxOut {
	out := types.TxOut{Value: r.amount(field+".amount", o.Amount)}
	switch {
	case (o.Address == "") == (o.Script == ""):
		r.fail(field, "want either address or script")
	case o.Address != "":
		script, err := taproot.DecodeAddress(hrp, o.Address)
		if err != nil {
			r.fail(field+".address", "%v", err)
		}
		out.ScriptPubKey = script
	default:
		script, err := hex.DecodeString(o.Script)
		if err != nil || len(script) > maxOutputScript || strings.ToLower(o.Script) != o.Script {
			r.fail(field+".script", "want lower-case hexadecimal digits, at most %d bytes", maxOutputScript)
		}
		out.ScriptPubKey = script
	}
	return out
}

// Check refuses values that make no network, with the name of their field. It
// does not ask for the genesis block's work.
func (p *Params) Check() error {
	if err := p.checkNames(); err != nil {
		return err
	}
	if err := p.checkGenesis(); err != nil {
		return err
	}
	_, enough := p.leftOf(p.MaxMoney)
	switch {
	case p.TargetSpacing < 1 || p.TargetSpacing > maxSpacing:
		return badField("target_spacing", "%d seconds: want 1 to %d", p.TargetSpacing, maxSpacing)
	case p.Difficulty.Algorithm != DifficultyASERT && p.Difficulty.Algorithm != DifficultyFixed:
		return badField("difficulty.algorithm", "%q: want %q or %q", p.Difficulty.Algorithm, DifficultyASERT, DifficultyFixed)
	case p.Difficulty.Algorithm == DifficultyASERT && p.Difficulty.HalfLife == 0:
		return badField("difficulty.half_life", "want a number of seconds")
	case p.Difficulty.Algorithm == DifficultyFixed && p.Difficulty.HalfLife != 0:
		return badField("difficulty.half_life", "a fixed difficulty has none")
	case p.HalvingInterval == 0:
		return badField("halving_interval", "want a number of blocks")
	case p.MaxMoney < 1 || p.MaxMoney > maxMoneyLimit:
		return badField("max_money", "%s: want 0.00000001 to %s", p.MaxMoney, maxMoneyLimit)
	case !enough:
		return badField("max_money", "%s is less than the allocations and all subsidies together", p.MaxMoney)
	case p.MaxBlockWeight < minBlockWeight || p.MaxBlockWeight > maxBlockWeight:
		return badField("max_block_weight", "%d: want %d to %d", p.MaxBlockWeight, minBlockWeight, maxBlockWeight)
	case p.GenesisBlock().Weight > p.MaxBlockWeight:
		return badField("genesis.outputs", "the genesis block is heavier than max_block_weight")
	}
	if err := checkPeers("bootstrap.nodes", p.Bootstrap.Nodes); err != nil {
		return err
	}
	return checkPeers("bootstrap.dns", p.Bootstrap.DNS)
}

// checkPeers checks what names of peers have in common whatever they look like;
// what they mean is known to who dials them.
func checkPeers(field string, names []string) error {
	if len(names) > maxBootstrap {
		return badField(field, "%d: want at most %d", len(names), maxBootstrap)
	}
	for i, name := range names {
		isOther := func(r rune) bool { return r <= ' ' || r > '~' }
		if name == "" || len(name) > maxPeerLength || strings.ContainsFunc(name, isOther) {
			return badField(fmt.Sprintf("%s[%d]", field, i), "%.80q: want 1 to %d ASCII characters without spaces", name, maxPeerLength)
		}
	}
	return nil
}

func (p *Params) checkNames() error {
	const nameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if p.Name == "" || len(p.Name) > maxNameLength || strings.Trim(p.Name, nameCharacters) != "" {
		return badField("name", "%.80q: want 1 to %d lower-case letters, digits and dashes", p.Name, maxNameLength)
	}
	// A P2TR address must fit in 90 characters: 59 besides the prefix and "1".
	if _, err := taproot.EncodeAddress(p.HRP, append([]byte{0x51, 32}, make([]byte, 32)...)); err != nil {
		return badField("hrp", "%.100q: %v", p.HRP, err)
	}
	switch {
	case p.Magic == [4]byte{}:
		return badField("magic", "must not be all zeros, which fill gaps in files")
	case p.Ports.P2P == 0:
		return badField("ports.p2p", "want 1 to 65535")
	case p.Ports.RPC == 0 || p.Ports.RPC == p.Ports.P2P:
		return badField("ports.rpc", "want 1 to 65535, and not ports.p2p")
	}
	return nil
}

func (p *Params) checkGenesis() error {
	g := &p.Genesis
	target, negative, overflow := ExpandBits(g.Bits)
	switch {
	case p.PowLimit.IsZero():
		return badField("pow_limit", "must not be zero")
	case negative || overflow || target.IsZero() || CompactBits(target) != g.Bits:
		return badField("genesis.bits", "%08x is not the shortest form of a target", g.Bits)
	case target.Cmp(p.PowLimit) > 0:
		return badField("genesis.bits", "%08x is easier than pow_limit", g.Bits)
	case len(g.Message) < 1 || len(g.Message) > maxMessage:
		return badField("genesis.message", "%d bytes: want 1 to %d", len(g.Message), maxMessage)
	case len(g.Outputs) < 1 || len(g.Outputs) > maxOutputs:
		return badField("genesis.outputs", "%d: want 1 to %d", len(g.Outputs), maxOutputs)
	}
	for i := range g.Outputs {
		if g.Outputs[i].Value > p.MaxMoney {
			return badField(fmt.Sprintf("genesis.outputs[%d].amount", i), "more than max_money")
		}
	}
	return nil
}

// Marshal returns the genesis.json of the parameters, from which ParseParams
// makes them again. Outputs to addresses are written as such.
func (p *Params) Marshal() []byte {
	f := file{
		Name: p.Name, HRP: p.HRP, Magic: hex.EncodeToString(p.Magic[:]), Ports: filePorts(p.Ports),
		Genesis: fileGenesis{
			Timestamp: p.Genesis.Timestamp, Bits: fmt.Sprintf("%08x", p.Genesis.Bits), Nonce: p.Genesis.Nonce,
			Version: p.Genesis.Version, Message: p.Genesis.Message, Outputs: []fileOutput{},
		},
		TargetSpacing: p.TargetSpacing, Difficulty: fileDifficulty(p.Difficulty), PowLimit: p.PowLimit.String(),
		InitialSubsidy: p.InitialSubsidy.String(), HalvingInterval: p.HalvingInterval, MaxMoney: p.MaxMoney.String(),
		CoinbaseMaturity: p.CoinbaseMaturity, MaxBlockWeight: uint32(p.MaxBlockWeight),
		Bootstrap:        fileBootstrap{Nodes: append([]string{}, p.Bootstrap.Nodes...), DNS: append([]string{}, p.Bootstrap.DNS...)},
		MinimumChainWork: p.MinimumChainWork.String(), AssumeValid: p.AssumeValid.String(),
	}
	for _, out := range p.Genesis.Outputs {
		o := fileOutput{Amount: out.Value.String()}
		if address, err := taproot.EncodeAddress(p.HRP, out.ScriptPubKey); err == nil {
			o.Address = address
		} else {
			o.Script = hex.EncodeToString(out.ScriptPubKey)
		}
		f.Genesis.Outputs = append(f.Genesis.Outputs, o)
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		panic(fmt.Sprintf("encode a network file: %v", err)) // strings and numbers always encode
	}
	return buf.Bytes()
}

// Difference is a field in which two networks differ.
type Difference struct{ Field, A, B string }

// Diff compares two networks field by field, in the order of the fields' names.
func Diff(a, b *Params) []Difference {
	fieldsA, fieldsB := flatten(a), flatten(b)
	var names []string
	for name := range fieldsA {
		names = append(names, name)
	}
	for name := range fieldsB {
		if _, both := fieldsA[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var differences []Difference
	for _, name := range names {
		if fieldsA[name] != fieldsB[name] {
			differences = append(differences, Difference{name, fieldsA[name], fieldsB[name]})
		}
	}
	return differences
}

// flatten returns the fields of the file by their paths.
func flatten(p *Params) map[string]string {
	var tree any
	d := json.NewDecoder(bytes.NewReader(p.Marshal()))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		panic(fmt.Sprintf("decode an own network file: %v", err)) // Marshal wrote it
	}
	fields := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(strings.TrimPrefix(path+"."+key, "."), value)
			}
		case []any:
			for i, value := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), value)
			}
		default:
			fields[path] = fmt.Sprint(v)
		}
	}
	walk("", tree)
	return fields
}
