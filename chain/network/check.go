package network

import (
	"fmt"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Limits of what a network can choose.
const (
	maxNameLength = 32               // characters; the name is also that of a folder
	maxSpacing    = 7 * 24 * 60 * 60 // seconds
	// maxMoneyLimit leaves two bits free, so that the rules can add two amounts
	// before they compare the sum.
	maxMoneyLimit  = types.Amount(1) << 61
	minBlockWeight = 40_000 // room for a coinbase and some payments
	maxOutputs     = 10_000 // allocations
	// maxOutputScript is Bitcoin's limit of a script in bytes.
	maxOutputScript = 10_000
	maxBootstrap    = 1000 // entries of a kind
	maxPeerLength   = 512  // bytes of one
)

// Check refuses values that make no network, with the name of their field: those with
// which a rule could overflow, divide by zero or never be kept. It does not ask for the
// genesis block's work, which a new network has yet to find.
func Check(p *consensus.Params) error {
	if err := checkNames(p); err != nil {
		return err
	}
	if err := checkGenesis(p); err != nil {
		return err
	}
	_, enough := leftOf(p, p.MaxMoney)
	switch {
	case p.TargetSpacing < 1 || p.TargetSpacing > maxSpacing:
		return badField("target_spacing", "%d seconds: want 1 to %d", p.TargetSpacing, maxSpacing)
	case p.Difficulty.Algorithm != consensus.DifficultyASERT && p.Difficulty.Algorithm != consensus.DifficultyFixed:
		return badField("difficulty.algorithm", "%q: want %q or %q", p.Difficulty.Algorithm, consensus.DifficultyASERT, consensus.DifficultyFixed)
	case p.Difficulty.Algorithm == consensus.DifficultyASERT && p.Difficulty.HalfLife == 0:
		return badField("difficulty.half_life", "want a number of seconds")
	case p.Difficulty.Algorithm == consensus.DifficultyFixed && p.Difficulty.HalfLife != 0:
		return badField("difficulty.half_life", "a fixed difficulty has none")
	case p.HalvingInterval == 0:
		return badField("halving_interval", "want a number of blocks")
	case p.MaxMoney < 1 || p.MaxMoney > maxMoneyLimit:
		return badField("max_money", "%s: want 0.00000001 to %s", p.MaxMoney, maxMoneyLimit)
	case !enough:
		return badField("max_money", "%s is less than the allocations and all subsidies together", p.MaxMoney)
	case p.MaxBlockWeight < minBlockWeight || p.MaxBlockWeight > types.MaxBlockWeight:
		return badField("max_block_weight", "%d: want %d to %d", p.MaxBlockWeight, minBlockWeight, types.MaxBlockWeight)
	case p.GenesisBlock().Weight > p.MaxBlockWeight:
		return badField("genesis.outputs", "the genesis block is heavier than max_block_weight")
	}
	if err := checkPeers("bootstrap.nodes", p.Bootstrap.Nodes); err != nil {
		return err
	}
	return checkPeers("bootstrap.dns", p.Bootstrap.DNS)
}

// checkPeers checks what all names of peers have in common. What they mean is known to
// the package that dials them, and this one must not import it.
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

// CheckName checks the name of a network. It becomes that of a folder, so it can hold
// no dots or slashes, and a word of command lines, so it does not begin as a flag. Errors are
// those of Check.
func CheckName(name string) error {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if name == "" || len(name) > maxNameLength || strings.Trim(name, characters) != "" || name[0] == '-' {
		return badField("name", "%.80q: want 1 to %d lower-case letters, digits and dashes, and no dash at the beginning", name, maxNameLength)
	}
	return nil
}

// checkNames checks what a network and its addresses are called.
func checkNames(p *consensus.Params) error {
	if err := CheckName(p.Name); err != nil {
		return err
	}
	// A P2TR address must fit in 90 characters: 59 besides the prefix and "1".
	if _, err := taproot.EncodeAddress(p.HRP, taproot.OutputScript([32]byte{})); err != nil {
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

// checkGenesis checks the genesis block but for its work. Its bits have the shortest
// form, because the difficulty algorithm gives them back in that form.
func checkGenesis(p *consensus.Params) error {
	g := &p.Genesis
	target, negative, overflow := consensus.ExpandBits(g.Bits)
	switch {
	case p.PowLimit.IsZero():
		return badField("pow_limit", "must not be zero")
	case negative || overflow || target.IsZero() || consensus.CompactBits(target) != g.Bits:
		return badField("genesis.bits", "%08x is not the shortest form of a target", g.Bits)
	case target.Cmp(p.PowLimit) > 0:
		return badField("genesis.bits", "%08x is easier than pow_limit", g.Bits)
	case len(g.Message) < 1 || len(g.Message) > consensus.MaxGenesisMessage:
		return badField("genesis.message", "%d bytes: want 1 to %d", len(g.Message), consensus.MaxGenesisMessage)
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
