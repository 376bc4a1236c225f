package consensus

import (
	"encoding/binary"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// The difficulty algorithms of a network.
const (
	DifficultyASERT = "asert" // aserti3-2d, adjusted at every block
	DifficultyFixed = "fixed" // every block has the genesis block's bits
)

// Params are what distinguishes a network, read from its genesis.json. They are
// not changed once the network runs.
type Params struct {
	Name  string  // lower-case letters, digits and dashes
	HRP   string  // prefix of addresses (BIP173)
	Magic [4]byte // begins each block in files
	Ports Ports

	Genesis          Genesis
	TargetSpacing    uint32 // seconds between blocks that difficulty aims at
	Difficulty       Difficulty
	PowLimit         Uint256 // the easiest target
	InitialSubsidy   types.Amount
	HalvingInterval  uint32 // blocks
	MaxMoney         types.Amount
	CoinbaseMaturity uint32 // blocks before a coinbase can be spent
	MaxBlockWeight   int    // weight units

	Bootstrap        Bootstrap
	MinimumChainWork Uint256    // of a chain that is worth following
	AssumeValid      types.Hash // scripts up to this block need no check; zero for none
}

// Ports are a network's default TCP ports.
type Ports struct{ P2P, RPC uint16 }

// Difficulty is a network's difficulty algorithm.
type Difficulty struct {
	Algorithm string
	HalfLife  uint32 // seconds, of DifficultyASERT
}

// Bootstrap is where a node finds its first peers.
type Bootstrap struct {
	Nodes []string // node-id@host:port
	DNS   []string // names whose addresses are peers
}

// Genesis is the content of the genesis block, whose one transaction is
// Bitcoin's genesis coinbase with another message and other outputs.
type Genesis struct {
	Timestamp uint32 // seconds since 1970
	Bits      uint32
	Nonce     uint32
	Version   int32
	Message   string
	Outputs   []types.TxOut // allocations; those that are no witness program of version 1 to 16 cannot be spent
}

// MaxGenesisMessage is the longest message of a genesis block in bytes: it keeps the coinbase script within its 100 bytes.
const MaxGenesisMessage = maxCoinbaseScript - 5 - 2 - 2

// coinbaseScript is that of Bitcoin's genesis block: a push of the number
// 0x1d00ffff, a push of 4, a push of the message.
func (g *Genesis) coinbaseScript() []byte {
	script := []byte{4, 0xff, 0xff, 0x00, 0x1d, 1, 4}
	if len(g.Message) >= taproot.OpPushData1 {
		script = append(script, taproot.OpPushData1)
	}
	return append(append(script, byte(len(g.Message))), g.Message...)
}

// GenesisBlock returns the genesis block.
func (p *Params) GenesisBlock() *HashedBlock {
	g := &p.Genesis
	coinbase := types.Tx{
		Version: 1,
		Inputs: []types.TxIn{{
			PreviousOutPoint: types.OutPoint{Index: types.NullIndex},
			ScriptSig:        g.coinbaseScript(),
			Sequence:         types.SequenceFinal,
		}},
		Outputs: g.Outputs,
	}
	return HashBlock(&types.Block{
		Header: types.Header{
			Version: g.Version, MerkleRoot: coinbase.TxID(), Timestamp: g.Timestamp, Bits: g.Bits, Nonce: g.Nonce,
		},
		Txs: []types.Tx{coinbase},
	})
}

// GenesisCoins returns the coins that the genesis block makes: its outputs that
// are witness programs of version 1 to 16. They can be spent from block 1 on.
func (p *Params) GenesisCoins() []CoinEntry {
	genesis := p.GenesisBlock()
	coins := genesis.created(0)
	for i := range coins {
		coins[i].Coin.IsCoinbase = false // allocations do not have to mature
	}
	return coins
}

// Identity returns the hash by which nodes know that they are of the same
// network: BIP340's tagged hash, under "karat/network", of everything that
// decides which blocks are valid. Names, ports and peers are not part of it.
func (p *Params) Identity() types.Hash {
	b := p.GenesisBlock().Raw
	b = binary.LittleEndian.AppendUint32(b, p.TargetSpacing)
	b = types.AppendVarBytes(b, []byte(p.Difficulty.Algorithm))
	b = binary.LittleEndian.AppendUint32(b, p.Difficulty.HalfLife)
	for _, limb := range p.PowLimit {
		b = binary.LittleEndian.AppendUint64(b, limb)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(p.InitialSubsidy))
	b = binary.LittleEndian.AppendUint32(b, p.HalvingInterval)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.MaxMoney))
	b = binary.LittleEndian.AppendUint32(b, p.CoinbaseMaturity)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.MaxBlockWeight))
	return taproot.TaggedHash("karat/network", b)
}
