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

// Params are what distinguishes one network from another. Package network reads them
// from a genesis.json and refuses values with which the rules would not work. They
// never change while a network runs, so they are shared without a lock.
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
	HalvingInterval  uint32       // blocks
	MaxMoney         types.Amount // no amount and no sum of amounts may be more
	CoinbaseMaturity uint32       // blocks before a coinbase can be spent
	MaxBlockWeight   int          // weight units

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

// Genesis is the content of the genesis block. Its one transaction is Bitcoin's
// genesis coinbase with another message and other outputs, so that Bitcoin's own
// genesis blocks can be written in this form.
type Genesis struct {
	Timestamp uint32 // seconds since 1970
	Bits      uint32 // compact target
	Nonce     uint32
	Version   int32
	Message   string
	// Outputs are the allocations. One that is no witness program of version 1 to 16
	// can never be spent.
	Outputs []types.TxOut
}

// MaxGenesisMessage is the longest message of a genesis block in bytes. With two
// numbers before it and the bytes of its push it fills a coinbase script.
const MaxGenesisMessage = maxCoinbaseScript - 5 - 2 - 2

// coinbaseScript returns what Bitcoin's genesis coinbase has: a push of the number
// 0x1d00ffff, a push of 4, a push of the message. The number is the same whatever the
// network's bits are. Read as a height, it lies far ahead of any chain (needsBIP30).
func (g *Genesis) coinbaseScript() []byte {
	script := []byte{4, 0xff, 0xff, 0x00, 0x1d, 1, 4}
	if len(g.Message) >= taproot.OpPushData1 {
		script = append(script, taproot.OpPushData1)
	}
	return append(append(script, byte(len(g.Message))), g.Message...)
}

// GenesisBlock makes the genesis block, anew each time.
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

// GenesisCoins returns the coins that exist from the start: the genesis block's
// outputs that are witness programs of version 1 to 16. They need not mature. In
// Bitcoin the genesis output cannot be spent, and its script makes no coin here
// either.
func (p *Params) GenesisCoins() []CoinEntry {
	genesis := p.GenesisBlock()
	coins := genesis.created(0)
	for i := range coins {
		coins[i].Coin.IsCoinbase = false // allocations do not have to mature
	}
	return coins
}

// Identity returns the hash by which nodes know that they are of the same network. It
// is BIP340's tagged hash, under "karat/network", of everything that decides which
// blocks are valid, and of nothing else: names, ports and peers may differ.
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
