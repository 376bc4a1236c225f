package journal

import (
	"encoding/hex"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Hex is bytes whose text is hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// Block is a block that came or went, or was given up, in JSON. Of one that was given up only
// the first four fields are known.
type Block struct {
	Event      Direction    `json:"event"`
	Step       uint64       `json:"step"` // Head's Number
	Height     uint32       `json:"height"`
	Hash       types.Hash   `json:"hash"`
	Parent     types.Hash   `json:"parent,omitzero"`
	Version    int32        `json:"version"`
	MerkleRoot types.Hash   `json:"merkleroot,omitzero"`
	Time       uint32       `json:"time"` // seconds since 1970
	Bits       uint32       `json:"bits"` // compact form of the target
	Nonce      uint32       `json:"nonce"`
	Work       string       `json:"work,omitempty"` // of the chain up to where the journal stands behind the step, 64 hexadecimal digits
	Size       int          `json:"size"`           // bytes
	Weight     int          `json:"weight"`         // weight units
	Txs        int          `json:"txs"`
	Fees       types.Amount `json:"fees"` // grains
}

// Tx is a transaction of a block that came or went, in JSON. Amounts are whole numbers of grains.
type Tx struct {
	Event    Direction    `json:"event"`
	Step     uint64       `json:"step"`
	Height   uint32       `json:"height"`   // of the block
	Block    types.Hash   `json:"block"`    // its hash
	Time     uint32       `json:"time"`     // of the block
	Position int          `json:"position"` // in the block
	TxID     types.Hash   `json:"txid"`
	WTxID    types.Hash   `json:"wtxid"`
	Version  uint32       `json:"version"`
	LockTime uint32       `json:"locktime"`
	Size     int          `json:"size"`   // bytes
	Weight   int          `json:"weight"` // weight units
	Coinbase bool         `json:"coinbase,omitempty"`
	Fee      types.Amount `json:"fee"` // 0 for a coinbase
	Inputs   []Input      `json:"inputs"`
	Outputs  []Output     `json:"outputs"`
}

// Input is an input of a Tx.
type Input struct {
	TxID      types.Hash `json:"txid"` // zero and 4294967295 in a coinbase
	Index     uint32     `json:"vout"`
	Sequence  uint32     `json:"sequence"`
	ScriptSig Hex        `json:"scriptsig,omitempty"` // a coinbase's only
	Witness   []Hex      `json:"witness,omitempty"`
	Coin      *Coin      `json:"coin,omitempty"` // that it spends; none in a coinbase
}

// Coin is a coin that an input spends.
type Coin struct {
	Value        types.Amount `json:"value"` // grains
	ScriptPubKey Hex          `json:"scriptpubkey"`
	Address      string       `json:"address,omitempty"`
	Height       uint32       `json:"height"` // of the block that made it
	Coinbase     bool         `json:"coinbase,omitempty"`
}

// Output is an output of a Tx.
type Output struct {
	Value        types.Amount `json:"value"` // grains
	ScriptPubKey Hex          `json:"scriptpubkey"`
	Address      string       `json:"address,omitempty"`
	// Unspendable says that the output makes no coin: it is data, or of a genesis block that
	// has another kind of script.
	Unspendable bool `json:"unspendable,omitempty"`
}

// jsonBlock is the block of a step. fees are those of all its transactions.
func jsonBlock(h *Head, u *consensus.BlockUpdate, fees types.Amount) *Block {
	header := &u.Block.Block.Header
	return &Block{
		Event: h.Direction, Step: h.Number, Height: h.Block.Height, Hash: h.Block.Hash, Parent: h.Parent, Version: header.Version, MerkleRoot: header.MerkleRoot,
		Time: header.Timestamp, Bits: header.Bits, Nonce: header.Nonce, Work: h.Work.String(), Size: len(u.Block.Raw), Weight: u.Block.Weight, Txs: h.Txs, Fees: fees,
	}
}

// jsonTx is a transaction of a block, which spends these coins.
func jsonTx(h *Head, hrp string, b *consensus.HashedBlock, position int, spent []types.Coin) *Tx {
	tx := &b.Block.Txs[position]
	t := &Tx{
		Event: h.Direction, Step: h.Number, Height: h.Block.Height, Block: h.Block.Hash, Time: b.Block.Header.Timestamp, Position: position,
		TxID: b.TxIDs[position], WTxID: b.WTxIDs[position], Version: tx.Version, LockTime: tx.LockTime, Size: tx.Size(), Weight: tx.Weight(),
		Coinbase: position == 0, Fee: fee(tx, spent), Inputs: make([]Input, len(tx.Inputs)), Outputs: make([]Output, len(tx.Outputs)),
	}
	if t.Coinbase {
		t.WTxID = tx.WTxID() // BIP141 has zeros in its place
	}
	for i := range tx.Inputs {
		in := &tx.Inputs[i]
		t.Inputs[i] = Input{TxID: in.PreviousOutPoint.TxID, Index: in.PreviousOutPoint.Index, Sequence: in.Sequence, ScriptSig: in.ScriptSig}
		for _, element := range in.Witness {
			t.Inputs[i].Witness = append(t.Inputs[i].Witness, element)
		}
		if i < len(spent) {
			c := &spent[i]
			address, _ := taproot.EncodeAddress(hrp, c.ScriptPubKey())
			t.Inputs[i].Coin = &Coin{c.Value, c.ScriptPubKey(), address, c.Height, c.IsCoinbase}
		}
	}
	for i := range tx.Outputs {
		out := &tx.Outputs[i]
		address, err := taproot.EncodeAddress(hrp, out.ScriptPubKey)
		t.Outputs[i] = Output{out.Value, out.ScriptPubKey, address, err != nil}
	}
	return t
}

// fee is what a transaction pays that spends these coins; 0 for a coinbase, which spends none.
func fee(tx *types.Tx, spent []types.Coin) (fee types.Amount) {
	if len(spent) == 0 {
		return 0
	}
	for i := range spent {
		fee += spent[i].Value
	}
	for i := range tx.Outputs {
		fee -= tx.Outputs[i].Value
	}
	return fee
}

// spentCoins are the coins that each transaction of a block spends.
func spentCoins(u *consensus.BlockUpdate) ([][]types.Coin, error) {
	if u.Update.Block.Height == 0 {
		return make([][]types.Coin, len(u.Block.Block.Txs)), nil
	}
	spent := u.SpentCoins()
	if spent == nil {
		return nil, fmt.Errorf("block %s has undo data of another", u.Update.Block)
	}
	return spent, nil
}
