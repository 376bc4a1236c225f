package rpc

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// amount writes grains as a number of coins with eight decimals, as Bitcoin Core
// does.
func amount(a types.Amount) json.Number { return json.Number(a.String()) }

// feeRate writes a feerate as coins per 1000 virtual bytes.
func feeRate(r types.FeeRate) json.Number { return amount(types.Amount(r)) }

// scriptJSON is a scriptPubKey.
type scriptJSON struct {
	Asm     string `json:"asm"`
	Desc    string `json:"desc"`
	Hex     string `json:"hex,omitempty"`
	Address string `json:"address,omitempty"`
	Type    string `json:"type"`
	P2SH    string `json:"p2sh,omitempty"`
}

func (s *Server) scriptJSON(script []byte) scriptJSON {
	j := scriptJSON{Asm: disassemble(script), Hex: hex.EncodeToString(script), Type: scriptType(script)}
	j.Desc = s.descriptor(script, j.Type)
	if address, err := taproot.EncodeAddress(s.Params.HRP, script); err == nil {
		j.Address = address
	}
	return j
}

const (
	opReturn    = 0x6a
	opCheckSig  = 0xac
	opPushData1 = 0x4c
	opPushData4 = 0x4e
	op1Negate   = 0x4f
	op1         = 0x51
	op16        = 0x60
)

// scriptType names a script as Bitcoin Core does. Outputs are witness programs of
// version 1 to 16 or data; the genesis block may have a public key.
func scriptType(script []byte) string {
	version, program, ok := types.WitnessProgram(script)
	switch {
	case ok && version == 1 && len(program) == 32:
		return "witness_v1_taproot"
	case ok && version == 1 && string(program) == "\x4e\x73":
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
// says how long it is.
func publicKey(script []byte) []byte {
	if len(script) < 35 || int(script[0]) != len(script)-2 || script[len(script)-1] != opCheckSig {
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

// descriptor returns the output descriptor of a script, with its checksum
// (BIP380).
func (s *Server) descriptor(script []byte, kind string) string {
	text := "raw(" + hex.EncodeToString(script) + ")"
	switch kind {
	case "witness_v1_taproot":
		if secp.IsPublicKey((*[32]byte)(script[2:])) {
			text = "rawtr(" + hex.EncodeToString(script[2:]) + ")"
		} else if address, err := taproot.EncodeAddress(s.Params.HRP, script); err == nil {
			text = "addr(" + address + ")"
		}
	case "witness_unknown", "anchor":
		if address, err := taproot.EncodeAddress(s.Params.HRP, script); err == nil {
			text = "addr(" + address + ")"
		}
	case "pubkey":
		if key := publicKey(script); key[0] < 6 { // hybrid ones have no descriptor
			text = "pk(" + hex.EncodeToString(key) + ")"
		}
	}
	return text + "#" + descriptorChecksum(text)
}

// disassemble writes a script in words, as Bitcoin Core does: pushes of up to
// four bytes as numbers, longer ones in hexadecimal.
func disassemble(script []byte) string {
	var words []string
	for len(script) > 0 {
		op, data, rest, ok := nextOp(script)
		if !ok {
			words = append(words, "[error]")
			break
		}
		switch {
		case op <= opPushData4 && len(data) <= 4:
			words = append(words, strconv.FormatInt(scriptNumber(data), 10))
		case op <= opPushData4:
			words = append(words, hex.EncodeToString(data))
		default:
			words = append(words, opName(op))
		}
		script = rest
	}
	return strings.Join(words, " ")
}

// nextOp splits a script behind its first instruction.
func nextOp(script []byte) (op byte, data, rest []byte, ok bool) {
	op, rest = script[0], script[1:]
	size, width := 0, 0
	switch {
	case op < opPushData1:
		size = int(op)
	case op <= opPushData4:
		width = 1 << (op - opPushData1)
	}
	if len(rest) < width {
		return op, nil, nil, false
	}
	for i := range width {
		size |= int(rest[i]) << (8 * i)
	}
	rest = rest[width:]
	if size < 0 || size > len(rest) {
		return op, nil, nil, false
	}
	return op, rest[:size], rest[size:], true
}

// scriptNumber reads a number of up to four bytes: little-endian, with a sign
// bit.
func scriptNumber(b []byte) int64 {
	n := int64(0)
	for i := range b {
		n |= int64(b[i]) << (8 * i)
	}
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		return -(n &^ (0x80 << (8 * (len(b) - 1))))
	}
	return n
}

// inputJSON is an input.
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

// txJSON is a transaction, in a block or alone.
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
		j.Inputs[i].ScriptSig = &sigJSON{Asm: disassemble(in.ScriptSig), Hex: hex.EncodeToString(in.ScriptSig)}
	}
	for i := range tx.Outputs {
		j.Outputs[i] = outputJSON{Value: amount(tx.Outputs[i].Value), N: i, ScriptPubKey: s.scriptJSON(tx.Outputs[i].ScriptPubKey)}
	}
	if withHex {
		j.Hex = hex.EncodeToString(tx.AppendTo(nil))
	}
	return j
}

// addSpent adds the fee, and if wanted the outputs that are spent. spent are the
// coins of the inputs, none for a coinbase.
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

// opName names an opcode.
func opName(op byte) string {
	switch {
	case op == op1Negate:
		return "-1"
	case op >= op1 && op <= op16:
		return strconv.Itoa(int(op) - op1 + 1)
	}
	if name, ok := opNames[op]; ok {
		return "OP_" + name
	}
	return "OP_UNKNOWN"
}

// descriptorChecksum is BIP380's: eight characters that find any typing error of
// up to three.
func descriptorChecksum(text string) string {
	const (
		inputs  = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
		outputs = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	)
	generator := [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd}
	c := uint64(1)
	feed := func(value int) {
		top := c >> 35
		c = c&0x7ffffffff<<5 ^ uint64(value)
		for i, g := range generator {
			if top>>i&1 == 1 {
				c ^= g
			}
		}
	}
	class, count := 0, 0
	for _, r := range text {
		at := strings.IndexRune(inputs, r)
		if at < 0 {
			return ""
		}
		feed(at & 31)
		class = class*3 + at>>5
		if count++; count == 3 {
			feed(class)
			class, count = 0, 0
		}
	}
	if count > 0 {
		feed(class)
	}
	for range 8 {
		feed(0)
	}
	c ^= 1
	var sum [8]byte
	for i := range sum {
		sum[i] = outputs[c>>(5*(7-i))&31]
	}
	return string(sum[:])
}

// opNames are the names of opcodes without the OP_ before them.
var opNames = map[byte]string{
	0x50: "RESERVED", 0x61: "NOP", 0x62: "VER", 0x63: "IF", 0x64: "NOTIF", 0x65: "VERIF", 0x66: "VERNOTIF", 0x67: "ELSE",
	0x68: "ENDIF", 0x69: "VERIFY", 0x6a: "RETURN", 0x6b: "TOALTSTACK", 0x6c: "FROMALTSTACK", 0x6d: "2DROP", 0x6e: "2DUP",
	0x6f: "3DUP", 0x70: "2OVER", 0x71: "2ROT", 0x72: "2SWAP", 0x73: "IFDUP", 0x74: "DEPTH", 0x75: "DROP", 0x76: "DUP",
	0x77: "NIP", 0x78: "OVER", 0x79: "PICK", 0x7a: "ROLL", 0x7b: "ROT", 0x7c: "SWAP", 0x7d: "TUCK", 0x7e: "CAT",
	0x7f: "SUBSTR", 0x80: "LEFT", 0x81: "RIGHT", 0x82: "SIZE", 0x83: "INVERT", 0x84: "AND", 0x85: "OR", 0x86: "XOR",
	0x87: "EQUAL", 0x88: "EQUALVERIFY", 0x89: "RESERVED1", 0x8a: "RESERVED2", 0x8b: "1ADD", 0x8c: "1SUB", 0x8d: "2MUL",
	0x8e: "2DIV", 0x8f: "NEGATE", 0x90: "ABS", 0x91: "NOT", 0x92: "0NOTEQUAL", 0x93: "ADD", 0x94: "SUB", 0x95: "MUL",
	0x96: "DIV", 0x97: "MOD", 0x98: "LSHIFT", 0x99: "RSHIFT", 0x9a: "BOOLAND", 0x9b: "BOOLOR", 0x9c: "NUMEQUAL",
	0x9d: "NUMEQUALVERIFY", 0x9e: "NUMNOTEQUAL", 0x9f: "LESSTHAN", 0xa0: "GREATERTHAN", 0xa1: "LESSTHANOREQUAL",
	0xa2: "GREATERTHANOREQUAL", 0xa3: "MIN", 0xa4: "MAX", 0xa5: "WITHIN", 0xa6: "RIPEMD160", 0xa7: "SHA1", 0xa8: "SHA256",
	0xa9: "HASH160", 0xaa: "HASH256", 0xab: "CODESEPARATOR", 0xac: "CHECKSIG", 0xad: "CHECKSIGVERIFY", 0xae: "CHECKMULTISIG",
	0xaf: "CHECKMULTISIGVERIFY", 0xb0: "NOP1", 0xb1: "CHECKLOCKTIMEVERIFY", 0xb2: "CHECKSEQUENCEVERIFY", 0xb3: "NOP4",
	0xb4: "NOP5", 0xb5: "NOP6", 0xb6: "NOP7", 0xb7: "NOP8", 0xb8: "NOP9", 0xb9: "NOP10", 0xba: "CHECKSIGADD",
	0xff: "INVALIDOPCODE",
}

// versionHex writes a block's version as Bitcoin Core does.
func versionHex(version int32) string { return fmt.Sprintf("%08x", uint32(version)) }
