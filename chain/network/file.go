package network

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// ErrFile is wrapped by every error of Parse and Check. The text is one line and names
// the field, since it is read by whoever wrote the file.
var ErrFile = errors.New("bad network file")

// file is the form of genesis.json, with the fields in the order in which they are
// written. All must be there, except those with omitempty. Amounts and targets are
// strings, because many readers of JSON would round such numbers.
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
	return fmt.Errorf("%w: %s: %s", ErrFile, field, fmt.Sprintf(format, args...))
}

// Parse reads a genesis.json. It refuses fields that are unknown, missing or repeated,
// values that no network can have (see Check), and a genesis block without the work
// that its bits ask for. Amounts are decimal coins in strings ("10.00000000"). Hashes
// and targets are 64 hexadecimal digits, the most significant first.
func Parse(data []byte) (*consensus.Params, error) {
	var f file
	if err := strictUnmarshal(data, &f); err != nil {
		return nil, err
	}
	p, err := f.params()
	if err != nil {
		return nil, err
	}
	if err := Check(p); err != nil {
		return nil, err
	}
	genesis := p.GenesisBlock()
	if err := consensus.CheckHeader(p, &genesis.Block.Header, genesis.Hash); err != nil {
		return nil, badField("genesis.nonce", "the genesis block lacks the work that genesis.bits asks for: %v", err)
	}
	return p, nil
}

// params converts the fields that have a form of their own in the file. Every value has
// one form only (lower-case digits, say), so that equal networks are equal files.
func (f *file) params() (*consensus.Params, error) {
	p := &consensus.Params{
		Name: f.Name, HRP: f.HRP, Ports: consensus.Ports(f.Ports), TargetSpacing: f.TargetSpacing,
		Difficulty: consensus.Difficulty(f.Difficulty), HalvingInterval: f.HalvingInterval,
		CoinbaseMaturity: f.CoinbaseMaturity, MaxBlockWeight: int(f.MaxBlockWeight), Bootstrap: consensus.Bootstrap(f.Bootstrap),
	}
	var r fieldReader
	copy(p.Magic[:], r.hex("magic", f.Magic, 4))
	if r.err == nil {
		r.err = checkNames(p) // before addresses are read with the prefix
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
	p.Genesis = consensus.Genesis{Timestamp: g.Timestamp, Nonce: g.Nonce, Version: g.Version, Message: g.Message}
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

func (r *fieldReader) uint256(field, s string) consensus.Uint256 {
	u, err := consensus.ParseUint256(s)
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

// Marshal returns the genesis.json of the parameters, from which Parse makes them
// again. An output whose script has an address is written with the address.
func Marshal(p *consensus.Params) []byte {
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
