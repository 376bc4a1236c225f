package rpc

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// amount writes grains as a number of coins with eight decimals, as Bitcoin Core
// does. A float would be written as 1e-8.
func amount(a types.Amount) json.Number { return json.Number(a.String()) }

// feeRate writes a feerate as coins per 1000 virtual bytes.
func feeRate(r types.FeeRate) json.Number { return amount(types.Amount(r)) }

// The types of this file have their fields in Core's order, in which clients print
// them. A pointer is a field that can be missing, which says something other than
// its zero value.

// scriptJSON is a scriptPubKey.
type scriptJSON struct {
	Asm     string `json:"asm"`
	Desc    string `json:"desc"`
	Hex     string `json:"hex,omitempty"`
	Address string `json:"address,omitempty"`
	Type    string `json:"type"`
}

func (s *Server) scriptJSON(script []byte) scriptJSON {
	kind := scriptType(script)
	address, _ := taproot.EncodeAddress(s.Params.HRP, script) // most scripts that have none are data
	return scriptJSON{
		Asm: taproot.Disassemble(script), Desc: descriptorOf(script, kind, address), Hex: hex.EncodeToString(script), Address: address, Type: kind,
	}
}

// scriptType names a script as Bitcoin Core does. Outputs are witness programs of
// version 1 to 16 or data. The others occur too: the genesis block may pay to a
// public key, and decodescript is given anything.
func scriptType(script []byte) string {
	version, program, ok := types.WitnessProgram(script)
	switch {
	case ok && version == 1 && len(program) == 32:
		return "witness_v1_taproot"
	case ok && taproot.IsPayToAnchor(version, program):
		return "anchor"
	case ok && version == 0 && len(program) == 20:
		return "witness_v0_keyhash"
	case ok && version == 0 && len(program) == 32:
		return "witness_v0_scripthash"
	case ok && version > 0:
		return "witness_unknown"
	case consensus.IsAllowedOutput(script):
		return "nulldata"
	case publicKey(script) != nil:
		return "pubkey"
	}
	return "nonstandard"
}

// publicKey returns the key of a script that pays to one, or nil. Its first byte
// says how long it is: compressed, uncompressed or, from long ago, hybrid.
func publicKey(script []byte) []byte {
	if len(script) < 35 || int(script[0]) != len(script)-2 || script[len(script)-1] != taproot.OpCheckSig {
		return nil
	}
	key := script[1 : len(script)-1]
	switch key[0] {
	case 2, 3:
		if len(key) == 33 {
			return key
		}
	case 4, 6, 7:
		if len(key) == 65 {
			return key
		}
	}
	return nil
}

// descriptorOf returns the output descriptor of a script, with its checksum
// (BIP380). As Core's, it says as much as the script shows: the key if there is one,
// else the address, else the bytes.
func descriptorOf(script []byte, kind, address string) string {
	text := "raw(" + hex.EncodeToString(script) + ")"
	switch {
	case kind == "pubkey" && publicKey(script)[0] < 6: // hybrid keys have no descriptor
		text = "pk(" + hex.EncodeToString(publicKey(script)) + ")"
	case kind == "witness_v1_taproot" && secp.IsPublicKey((*[32]byte)(script[2:])):
		text = "rawtr(" + hex.EncodeToString(script[2:]) + ")"
	case address != "":
		text = "addr(" + address + ")"
	}
	return text + "#" + descriptor.Checksum(text)
}

// inputJSON is an input: a coinbase's, or one that spends.
type inputJSON struct {
	Coinbase  string       `json:"coinbase,omitempty"`
	TxID      *types.Hash  `json:"txid,omitempty"`
	Vout      *uint32      `json:"vout,omitempty"`
	ScriptSig *sigJSON     `json:"scriptSig,omitempty"`
	Witness   []string     `json:"txinwitness,omitempty"`
	Prevout   *prevoutJSON `json:"prevout,omitempty"`
	Sequence  uint32       `json:"sequence"`
}

type sigJSON struct {
	Asm string `json:"asm"`
	Hex string `json:"hex"`
}

// prevoutJSON is an output that an input spends, with the height of its block.
type prevoutJSON struct {
	Generated    bool        `json:"generated"`
	Height       uint32      `json:"height"`
	Value        json.Number `json:"value"`
	ScriptPubKey scriptJSON  `json:"scriptPubKey"`
}

// outputJSON is an output.
type outputJSON struct {
	Value        json.Number `json:"value"`
	N            int         `json:"n"`
	ScriptPubKey scriptJSON  `json:"scriptPubKey"`
}

// txJSON is a transaction, in a block or alone. txid leaves the witnesses out and does
// not change with them; hash covers them (BIP141).
type txJSON struct {
	TxID          types.Hash   `json:"txid"`
	Hash          types.Hash   `json:"hash"`
	Version       uint32       `json:"version"`
	Size          int          `json:"size"`
	VSize         int          `json:"vsize"`
	Weight        int          `json:"weight"`
	LockTime      uint32       `json:"locktime"`
	Inputs        []inputJSON  `json:"vin"`
	Outputs       []outputJSON `json:"vout"`
	Fee           *json.Number `json:"fee,omitempty"`
	Hex           string       `json:"hex,omitempty"`
	InActiveChain *bool        `json:"in_active_chain,omitempty"`
	BlockHash     *types.Hash  `json:"blockhash,omitempty"`
	Confirmations *int64       `json:"confirmations,omitempty"`
	Time          uint32       `json:"time,omitempty"`
	BlockTime     uint32       `json:"blocktime,omitempty"`
}

// txJSON tells of a transaction what itself shows.
func (s *Server) txJSON(tx *types.Tx, withHex bool) *txJSON {
	j := &txJSON{
		TxID: tx.TxID(), Hash: tx.WTxID(), Version: tx.Version, Size: tx.Size(), VSize: tx.VirtualSize(),
		Weight: tx.Weight(), LockTime: tx.LockTime,
		Inputs: make([]inputJSON, len(tx.Inputs)), Outputs: make([]outputJSON, len(tx.Outputs)),
	}
	for i := range tx.Inputs {
		in := &tx.Inputs[i]
		j.Inputs[i].Sequence = in.Sequence
		for _, item := range in.Witness {
			j.Inputs[i].Witness = append(j.Inputs[i].Witness, hex.EncodeToString(item))
		}
		if tx.IsCoinbase() {
			j.Inputs[i].Coinbase = hex.EncodeToString(in.ScriptSig)
			continue
		}
		j.Inputs[i].TxID, j.Inputs[i].Vout = &in.PreviousOutPoint.TxID, &in.PreviousOutPoint.Index
		j.Inputs[i].ScriptSig = &sigJSON{Asm: taproot.Disassemble(in.ScriptSig), Hex: hex.EncodeToString(in.ScriptSig)}
	}
	for i := range tx.Outputs {
		j.Outputs[i] = outputJSON{Value: amount(tx.Outputs[i].Value), N: i, ScriptPubKey: s.scriptJSON(tx.Outputs[i].ScriptPubKey)}
	}
	if withHex {
		j.Hex = hex.EncodeToString(tx.AppendTo(nil))
	}
	return j
}

// addSpent adds what a transaction alone does not show: the fee, and if wanted the
// outputs that are spent. spent are the coins of the inputs, none for a coinbase.
func (s *Server) addSpent(j *txJSON, tx *types.Tx, spent []types.Coin, prevouts bool) {
	if tx.IsCoinbase() || len(spent) != len(tx.Inputs) {
		return
	}
	fee := types.Amount(0)
	for i := range spent {
		fee += spent[i].Value
		if prevouts {
			j.Inputs[i].Prevout = &prevoutJSON{
				Generated: spent[i].IsCoinbase, Height: spent[i].Height, Value: amount(spent[i].Value),
				ScriptPubKey: s.scriptJSON(spent[i].ScriptPubKey()),
			}
		}
	}
	for i := range tx.Outputs {
		fee -= tx.Outputs[i].Value
	}
	number := amount(fee)
	j.Fee = &number
}

// versionHex writes a block's version as Bitcoin Core does.
func versionHex(version int32) string { return fmt.Sprintf("%08x", uint32(version)) }
