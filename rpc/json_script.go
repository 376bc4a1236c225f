package rpc

import (
	"bytes"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// scriptJSON is a scriptPubKey. Here and in all that is made by hand keys stand in Core's
// order, in which clients print them.
type scriptJSON struct {
	hrp        string
	script     []byte
	key        keyStatus
	withoutHex bool
}

// coinJSON is what gettxout tells of an output. One of a waiting transaction has no
// confirmations.
type coinJSON struct {
	bestBlock     types.Hash
	confirmations uint32
	value         types.Amount
	script        scriptJSON
	coinbase      bool
}

func (j coinJSON) writeJSON(w *jsonWriter) error {
	w.raw(`{"bestblock":"`)
	w.hash(j.bestBlock)
	w.raw(`","confirmations":`)
	w.uint(uint64(j.confirmations))
	w.raw(`,"value":`)
	w.amount(j.value)
	w.raw(`,"scriptPubKey":`)
	if err := j.script.writeJSON(w); err != nil {
		return err
	}
	w.raw(`,"coinbase":`)
	w.bool(j.coinbase)
	w.raw("}")
	return w.spill()
}

// keyStatus is whether the 32 bytes of a taproot output are a public key. To find out
// takes longer than all else about a script, so those who know tell.
type keyStatus uint8

const (
	keyUnknown keyStatus = iota
	keyValid
	keyInvalid
)

func keyStatusOf(valid bool) keyStatus {
	if valid {
		return keyValid
	}
	return keyInvalid
}

func (s *Server) scriptJSON(script []byte) scriptJSON {
	return scriptJSON{hrp: s.Params.HRP, script: script}
}

func (j scriptJSON) appendJSON(b []byte) []byte { return written(b, j) }

// MarshalJSON implements json.Marshaler.
func (j scriptJSON) MarshalJSON() ([]byte, error) { return j.appendJSON(nil), nil }

func (j scriptJSON) writeJSON(w *jsonWriter) error {
	kind := scriptType(j.script)
	w.raw(`{"asm":"`)
	w.asm(j.script, false)
	w.raw(`","desc":"`)
	w.descriptor(&j, kind)
	if !j.withoutHex {
		w.raw(`","hex":"`)
		w.hex(j.script)
	}
	w.addressMember(j.hrp, j.script)
	w.raw(`","type":"`)
	w.raw(kind)
	w.raw(`"}`)
	return w.spill()
}

// addressMember writes the address of a script as the next member, if it has one.
func (w *jsonWriter) addressMember(hrp string, script []byte) {
	const member = `","address":"`
	start := len(w.b)
	w.raw(member)
	if !w.address(hrp, script) {
		w.b = w.b[:start]
	}
}

// address writes the address of a script, if it has one.
func (w *jsonWriter) address(hrp string, script []byte) bool {
	start := len(w.b)
	b, ok := taproot.AppendAddress(w.b, hrp, script)
	w.b = escaped(b, start)
	return ok
}

// escaped makes the characters from a position on part of a JSON text. They are printable
// ASCII. Nearly always there is nothing to do: the prefix of addresses may hold such signs.
func escaped(b []byte, start int) []byte {
	if bytes.IndexByte(b[start:], '"') < 0 && bytes.IndexByte(b[start:], '\\') < 0 {
		return b
	}
	text := bytes.Clone(b[start:])
	b = b[:start]
	for _, c := range text {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b
}

// asm writes a script in words. Of a scriptSig, as Core's, it shows the hash type of what
// looks like a signature.
func (w *jsonWriter) asm(script []byte, scriptSig bool) {
	scriptSig = scriptSig && len(script) > 0 && script[0] != taproot.OpReturn
	for at := 0; at < len(script) && w.spill() == nil; {
		if at > 0 {
			w.b = append(w.b, ' ')
		}
		op, data, next, ok := taproot.NextOp(script, at)
		switch {
		case !ok:
			w.raw("[error]")
			return
		case len(data) > 4 && scriptSig && psbt.IsECDSASignature(data):
			last := len(data) - 1
			w.hex(data[:last])
			w.raw("[" + sighashName(data[last]) + "]")
		case len(data) > 4:
			w.hex(data)
		default:
			w.b = taproot.AppendWord(w.b, op, data)
		}
		at = next
	}
}

// descriptor writes the output descriptor of a script, with its checksum (BIP380). As
// Core's, it says as much as the script shows: the key if there is one, else the
// address, else the bytes.
func (w *jsonWriter) descriptor(j *scriptJSON, kind string) {
	switch key := publicKey(j.script); {
	case kind == "pubkey" && key[0] < 6: // hybrid keys have no descriptor
		w.describe("pk(", key)
	case kind == "witness_v1_taproot" && j.isKey():
		w.describe("rawtr(", j.script[2:])
	default:
		if b, ok := taproot.AppendAddress(append(w.b, "addr("...), j.hrp, j.script); ok {
			start := len(w.b)
			var sum descriptor.Sum
			b = append(b, ')')
			sum.Add(b[start:])
			w.b = sum.AppendTo(append(escaped(b, start), '#'))
			return
		}
		w.describe("raw(", j.script)
	}
}

func (j *scriptJSON) isKey() bool {
	return j.key == keyValid || j.key == keyUnknown && secp.IsPublicKey((*[32]byte)(j.script[2:]))
}

// describe writes a descriptor that has bytes in parentheses. Long ones go in pieces.
func (w *jsonWriter) describe(before string, data []byte) {
	const checksum = 8
	if w.count {
		w.sent += int64(len(before) + 2*len(data) + len(")#") + checksum)
		return
	}
	var sum descriptor.Sum
	add := func(do func()) {
		start := len(w.b)
		do()
		sum.Add(w.b[start:])
	}
	add(func() { w.raw(before) })
	for len(data) > 0 && w.spill() == nil {
		part := data[:min(len(data), pieceBytes/4)]
		data = data[len(part):]
		add(func() { w.hex(part) })
	}
	add(func() { w.raw(")") })
	w.b = sum.AppendTo(append(w.b, '#'))
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
	return olderType(script)
}

// olderType names the scripts that are no outputs here.
func olderType(script []byte) string {
	switch n := len(script); {
	case n == 23 && script[0] == taproot.OpHash160 && script[1] == 20 && script[22] == taproot.OpEqual:
		return "scripthash"
	case n == 25 && string(script[:3]) == "\x76\xa9\x14" && string(script[23:]) == "\x88\xac": // DUP HASH160 20 bytes EQUALVERIFY CHECKSIG
		return "pubkeyhash"
	case isMultisig(script):
		return "multisig"
	}
	return "nonstandard"
}

// isMultisig reports whether a script is a number of signatures, keys, their number, and
// OP_CHECKMULTISIG.
func isMultisig(script []byte) bool {
	const most = 20
	if len(script) < 3 || script[len(script)-1] != taproot.OpCheckMultiSig {
		return false
	}
	number := func(op byte, data []byte) int {
		if op >= taproot.Op1 && op <= taproot.Op16 {
			return int(op) - taproot.Op1 + 1
		}
		if len(data) == 1 && data[0] > 16 && data[0] <= most {
			return int(data[0])
		}
		return 0
	}
	op, data, at, ok := taproot.NextOp(script, 0)
	required, keys := number(op, data), 0
	for ok && at < len(script) {
		if op, data, at, ok = taproot.NextOp(script, at); !isKeySize(data) {
			break
		}
		keys++
	}
	n := number(op, data)
	return ok && required > 0 && n >= required && keys == n && at == len(script)-1
}

// isKeySize reports whether bytes have the length of a public key with their first byte.
func isKeySize(key []byte) bool {
	switch {
	case len(key) == 33:
		return key[0] == 2 || key[0] == 3
	case len(key) == 65:
		return key[0] == 4 || key[0] == 6 || key[0] == 7
	}
	return false
}

// publicKey returns the key of a script that pays to one, or nil. Its first byte
// says how long it is: compressed, uncompressed or, from long ago, hybrid.
func publicKey(script []byte) []byte {
	if len(script) < 35 || int(script[0]) != len(script)-2 || script[len(script)-1] != taproot.OpCheckSig {
		return nil
	}
	if key := script[1 : len(script)-1]; isKeySize(key) {
		return key
	}
	return nil
}
