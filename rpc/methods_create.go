package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const (
	sequenceFinal       = math.MaxUint32
	sequenceReplaceable = sequenceFinal - 2 // the highest that says so (BIP125)
	// maxCreated bounds the inputs and the outputs that are read: more of them fit in
	// no transaction that a node takes.
	maxCreated = 10_000
)

func createMethods() []method {
	return []method{
		{name: "createrawtransaction", read: createRawTransaction, about: "Makes a transaction of inputs and outputs, without witnesses. It is given to nobody.", params: createParams()},
		{name: "combinerawtransaction", slow: true, read: combineRawTransaction, about: "Brings copies of one transaction together of which each has some witnesses. Of each input it takes the first that is valid.", params: []param{
			{name: "txs", kind: kindArray, sample: `'["HEX", "HEX"]'`, about: "The transactions in hexadecimal"}}},
	}
}

// createParams are what a transaction is made of.
func createParams() []param {
	return []param{
		{name: "inputs", kind: kindArray, sample: `'[{"txid": "TXID", "vout": 0}]'`, about: "What it spends: objects with txid, vout, and perhaps sequence"},
		{name: "outputs", kind: kindArray, loose: true, sample: `'[{"ADDRESS": 0.5}]'`, about: "What it pays: objects of an address and an amount in coins, or of \"data\" and hexadecimal; or one object of all"},
		{name: "locktime", kind: kindNumber, optional: "0", about: "The height or time before which no block may have it"},
		{name: "replaceable", kind: kindBool, optional: "true", about: "Say in its inputs that it may be replaced (BIP125); false does not"},
		{name: "version", kind: kindNumber, optional: "2", about: "Its version"},
	}
}

// createRawTransaction is Core's createrawtransaction.
func createRawTransaction(s *Server, a *args) work {
	tx := a.constructed(s)
	return func(context.Context) (any, error) { return hex.EncodeToString(tx.AppendTo(nil)), nil }
}

// constructed makes a transaction of createParams. It knows no coins: what is spent need
// not be there, and what is paid need not be covered.
func (a *args) constructed(s *Server) types.Tx {
	const minVersion, maxVersion = 1, 3 // that nodes take
	lockTime, replaceable, version := a.integer(2, 0), a.flag(3, true), a.bounded(4, 2, 0, math.MaxUint32)
	switch {
	case lockTime < 0 || lockTime > math.MaxUint32:
		a.fail(failf(CodeInvalidParam, "Invalid parameter, locktime out of range"))
	case version < minVersion || version > maxVersion:
		a.fail(failf(CodeInvalidParam, "Invalid parameter, version out of range(%d~%d)", minVersion, maxVersion))
	}
	sequence := uint32(sequenceFinal)
	switch {
	case replaceable:
		sequence = sequenceReplaceable
	case lockTime != 0: // with final sequences it would mean nothing
		sequence--
	}
	tx := types.Tx{Version: uint32(version), LockTime: uint32(lockTime)}
	signals := false
	for _, raw := range a.list(0, maxCreated) {
		in := a.createdInput(raw, sequence)
		signals = signals || in.Sequence <= sequenceReplaceable
		tx.Inputs = append(tx.Inputs, in)
	}
	tx.Outputs = a.createdOutputs(1, s.Params)
	if a.given(3) && replaceable && len(tx.Inputs) > 0 && !signals {
		a.fail(failf(CodeInvalidParam, "Invalid parameter combination: Sequence number(s) contradict replaceable option"))
	}
	return tx
}

// createdInput reads an input, which has a sequence of its own or the usual one. Other
// members are passed over, as in Core.
func (a *args) createdInput(raw json.RawMessage, sequence uint32) (in types.TxIn) {
	if raw[0] != '{' {
		a.fail(failf(CodeType, "JSON value of type %s is not of expected type object", jsonType(raw)))
		return in
	}
	given := map[string]json.RawMessage{"txid": nil, "vout": nil, "sequence": nil}
	eachMember(raw, func(name string, value json.RawMessage) bool {
		if first, wanted := given[name]; wanted && first == nil {
			given[name] = value
		}
		return true
	})
	txid := json.RawMessage("null")
	if given["txid"] != nil {
		txid = given["txid"]
	}
	in.PreviousOutPoint.TxID = a.parseHash("txid", a.element(txid))
	if vout := given["vout"]; !isNumber(vout) {
		a.fail(failf(CodeInvalidParam, "Invalid parameter, missing vout key"))
	} else if n, err := strconv.ParseInt(string(vout), 10, 32); err != nil {
		a.fail(errRange)
	} else if n < 0 {
		a.fail(failf(CodeInvalidParam, "Invalid parameter, vout cannot be negative"))
	} else {
		in.PreviousOutPoint.Index = uint32(n)
	}
	in.Sequence = sequence
	if own := given["sequence"]; isNumber(own) {
		n, err := strconv.ParseInt(string(own), 10, 64)
		if err != nil {
			a.fail(errRange)
		} else if n < 0 || n > sequenceFinal {
			a.fail(failf(CodeInvalidParam, "Invalid parameter, sequence number is out of range"))
		}
		in.Sequence = uint32(n)
	}
	return in
}

func isNumber(raw json.RawMessage) bool { return len(raw) > 0 && jsonType(raw) == "number" }

// createdOutputs reads the outputs, in the order in which they stand.
func (a *args) createdOutputs(i int, p *consensus.Params) (outputs []types.TxOut) {
	seen := map[string]bool{}
	for _, m := range a.pairs(i) {
		var output types.TxOut
		var twice string
		if m.name == "data" {
			output.ScriptPubKey = a.dataScript(m.value)
			twice = "duplicate key: data"
		} else {
			var err error
			output.Value = a.amount(m.value, p.MaxMoney)
			if output.ScriptPubKey, err = taproot.DecodeAddress(p.HRP, m.name); err != nil {
				a.fail(failf(CodeAddressOrKey, "Invalid Bitcoin address: %.100s", m.name))
			}
			twice = "duplicated address: " + m.name
		}
		key := string(output.ScriptPubKey)
		if m.name == "data" {
			key = m.name
		}
		if seen[key] {
			a.fail(failf(CodeInvalidParam, "Invalid parameter, %s", twice))
		}
		seen[key] = true
		outputs = append(outputs, output)
	}
	return outputs
}

// pairs reads an array of objects that have one member each, or, as was once the
// only way, the members of one object.
func (a *args) pairs(i int) (pairs members) {
	if raw := a.values[i]; raw[0] == '{' {
		if elements(raw) > maxCreated {
			a.fail(failf(CodeInvalidParam, "outputs is no object of at most %d members", maxCreated))
			return nil
		}
		pairs, err := readPairs(raw)
		a.fail(err)
		return pairs
	}
	for _, element := range a.list(i, maxCreated) {
		switch {
		case element[0] != '{':
			a.fail(failf(CodeInvalidParam, "Invalid parameter, key-value pair not an object as expected"))
			return nil
		case elements(element) != 1:
			a.fail(failf(CodeInvalidParam, "Invalid parameter, key-value pair must contain exactly one key"))
			return nil
		}
		pair, err := readPairs(element)
		a.fail(err)
		pairs = append(pairs, pair...)
	}
	return pairs
}

// dataScript returns the script of an output that holds data.
func (a *args) dataScript(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	const opReturn, pushData1, pushData2, pushData4 = 0x6a, 0x4c, 0x4d, 0x4e
	data := a.bytes(text, failf(CodeInvalidParam, "Data must be hexadecimal string (not '%.100s')", text))
	script := []byte{opReturn}
	switch n := len(data); {
	case n < pushData1:
		script = append(script, byte(n))
	case n <= math.MaxUint8:
		script = append(script, pushData1, byte(n))
	case n <= math.MaxUint16:
		script = binary.LittleEndian.AppendUint16(append(script, pushData2), uint16(n))
	default:
		script = binary.LittleEndian.AppendUint32(append(script, pushData4), uint32(n))
	}
	return append(script, data...)
}

// jsonType names the type of a value as Core does.
func jsonType(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "null"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '[':
		return "array"
	case '{':
		return "object"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}
