package psbt

import (
	"encoding/base64"
	"math"

	"github.com/karatcoin/karat/chain/types"
)

// The types of fields, by the BIPs' names without PSBT_GLOBAL_, PSBT_IN_ and PSBT_OUT_.
const (
	globalUnsignedTx       = 0x00
	globalXPub             = 0x01
	globalTxVersion        = 0x02
	globalFallbackLockTime = 0x03
	globalInputCount       = 0x04
	globalOutputCount      = 0x05
	globalModifiable       = 0x06
	globalVersion          = 0xfb

	inNonWitnessUTXO    = 0x00
	inWitnessUTXO       = 0x01
	inPartialSig        = 0x02
	inSighash           = 0x03
	inRedeemScript      = 0x04
	inWitnessScript     = 0x05
	inDerivation        = 0x06
	inScriptSig         = 0x07
	inScriptWitness     = 0x08
	inRIPEMD160         = 0x0a
	inHash256           = 0x0d
	inPreviousTxID      = 0x0e
	inOutputIndex       = 0x0f
	inSequence          = 0x10
	inMinTime           = 0x11
	inMinHeight         = 0x12
	inTapKeySig         = 0x13
	inTapScriptSig      = 0x14
	inTapLeafScript     = 0x15
	inTapDerivation     = 0x16
	inTapInternalKey    = 0x17
	inTapMerkleRoot     = 0x18
	inMuSigParticipants = 0x1a
	inMuSigNonce        = 0x1b
	inMuSigPartialSig   = 0x1c

	outRedeemScript      = 0x00
	outWitnessScript     = 0x01
	outDerivation        = 0x02
	outAmount            = 0x03
	outScript            = 0x04
	outTapInternalKey    = 0x05
	outTapTree           = 0x06
	outTapDerivation     = 0x07
	outMuSigParticipants = 0x08

	typeProprietary = 0xfc
)

const (
	magic         = "psbt\xff"
	latestVersion = 2
)

// DecodeBase64 reads a PSBT in base64, as people pass it on. The errors are those of
// Decode, and ErrBase64.
func DecodeBase64(text string) (*Packet, error) {
	if len(text) > base64.StdEncoding.EncodedLen(MaxSize) {
		return nil, tooLarge(base64.StdEncoding.DecodedLen(len(text)))
	}
	// Bits that are left over must be zero, and there are no line breaks.
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodedLen(len(raw)) != len(text) {
		return nil, ErrBase64
	}
	return Decode(raw)
}

func tooLarge(size int) error {
	r := reader{}
	r.fail("a PSBT of %d bytes is larger than %d", size, MaxSize)
	return r.err
}

// Decode reads a PSBT. All of b must be used, and must not change while the packet is in
// use. Every error wraps ErrFormat. It does not say whether what it has read makes sense:
// signatures, for one, may be of anything.
func Decode(b []byte) (*Packet, error) {
	if len(b) > MaxSize {
		return nil, tooLarge(len(b))
	}
	r := &reader{data: b}
	if m := r.bytes(uint64(len(magic))); r.err == nil && string(m) != magic {
		r.fail("Invalid PSBT magic bytes")
	}
	var g globals
	g.read(r)
	g.check(r)
	if r.err != nil {
		return nil, r.err
	}
	p := &g.Packet
	for i := uint64(0); i < g.inputs && r.err == nil && r.rest() > 0; i++ {
		if i == MaxInputs {
			r.fail("more than %d inputs", MaxInputs)
			break
		}
		var in Input
		if g.tx != nil {
			in.PreviousOutPoint, in.Sequence = g.tx.Inputs[i].PreviousOutPoint, &g.tx.Inputs[i].Sequence
		}
		in.read(r, p.Version)
		p.Inputs = append(p.Inputs, in)
	}
	if r.err == nil && uint64(len(p.Inputs)) != g.inputs {
		r.fail("Inputs provided does not match the number of inputs in transaction.")
	}
	for i := uint64(0); i < g.outputs && r.err == nil && r.rest() > 0; i++ {
		if i == MaxOutputs {
			r.fail("more than %d outputs", MaxOutputs)
			break
		}
		var out Output
		if g.tx != nil {
			out.TxOut = g.tx.Outputs[i]
		}
		out.read(r, p.Version)
		p.Outputs = append(p.Outputs, out)
	}
	if r.err == nil && uint64(len(p.Outputs)) != g.outputs {
		r.fail("Outputs provided does not match the number of outputs in transaction.")
	}
	if r.err == nil && r.rest() > 0 {
		r.err = ErrLeftOver
	}
	if r.err != nil {
		return nil, r.err
	}
	p.sort()
	return p, nil
}

// globals is the global map, of which some fields are not the packet's own.
type globals struct {
	Packet
	tx                    *types.Tx // version 0
	inputs, outputs       uint64
	hasTxVersion          bool
	hasFallback           bool
	hasInputs, hasOutputs bool
}

func (g *globals) read(r *reader) {
	r.fieldMap("global", "the global map", func(kind uint64, key []byte) { g.field(r, kind, key) })
}

func (g *globals) field(r *reader, kind uint64, key []byte) {
	switch kind {
	case globalUnsignedTx:
		if r.keySize(key, 1, "Global Unsigned TX") {
			g.unsignedTx(r)
		}
	case globalTxVersion:
		if r.keySize(key, 1, "Global Transaction Version") {
			g.TxVersion, g.hasTxVersion = valueOr(r.uint32Value(), 0), true
		}
	case globalFallbackLockTime:
		if r.keySize(key, 1, "Global Fallback Locktime") {
			g.FallbackLockTime, g.hasFallback = r.uint32Value(), true
		}
	case globalInputCount:
		if r.keySize(key, 1, "Global Input Count") {
			g.inputs, g.hasInputs = r.count(), true
		}
	case globalOutputCount:
		if r.keySize(key, 1, "Global Output Count") {
			g.outputs, g.hasOutputs = r.count(), true
		}
	case globalModifiable:
		if r.keySize(key, 1, "Global TX Modifiable Flags") {
			if b := r.sized(1); b != nil {
				flags := b[0]
				g.Modifiable = &flags
			}
		}
	case globalXPub:
		g.xpub(r, key)
	case globalVersion:
		if r.keySize(key, 1, "Global PSBT Version") {
			if g.Version = valueOr(r.uint32Value(), 0); g.Version > latestVersion {
				r.fail("Unsupported version number")
			}
		}
	case typeProprietary:
		g.Proprietary = append(g.Proprietary, r.proprietary(key))
	default:
		g.Unknown = append(g.Unknown, r.carried(key))
	}
}

func (r *reader) count() uint64 {
	stated, before := r.compactSize(), r.off
	n := r.compactSize()
	if r.err == nil && uint64(r.off-before) != stated {
		r.fail("Size of value was not the stated size")
	}
	return n
}

func (g *globals) unsignedTx(r *reader) {
	tx := r.txValue((*types.Decoder).StrippedTx)
	if tx == nil {
		return
	}
	for i := range tx.Inputs {
		if len(tx.Inputs[i].ScriptSig) > 0 {
			r.fail("Unsigned tx does not have empty scriptSigs and scriptWitnesses.")
			return
		}
	}
	g.tx, g.TxVersion, g.FallbackLockTime = tx, tx.Version, &tx.LockTime
	g.inputs, g.outputs = uint64(len(tx.Inputs)), uint64(len(tx.Outputs))
}

func (g *globals) xpub(r *reader, key []byte) {
	var x XPub
	if !r.keySize(key, 1+len(x.Key), "Global XPUB") {
		return
	}
	copy(x.Key[:], key[1:])
	if !isPublicKey(x.Key[45:]) {
		r.fail("Invalid pubkey")
		return
	}
	x.Origin = r.origin(r.compactSize())
	g.XPubs = append(g.XPubs, x)
}

// check says which fields a version must have, and which it must not.
func (g *globals) check(r *reader) {
	if r.err != nil {
		return
	}
	type rule struct {
		broken bool
		text   string
	}
	var rules []rule
	switch g.Version {
	case 0:
		rules = []rule{
			{g.tx == nil, "No unsigned transaction was provided"},
			{g.hasTxVersion, "PSBT_GLOBAL_TX_VERSION is not allowed in PSBTv0"},
			{g.hasFallback, "PSBT_GLOBAL_FALLBACK_LOCKTIME is not allowed in PSBTv0"},
			{g.hasInputs, "PSBT_GLOBAL_INPUT_COUNT is not allowed in PSBTv0"},
			{g.hasOutputs, "PSBT_GLOBAL_OUTPUT_COUNT is not allowed in PSBTv0"},
			{g.Modifiable != nil, "PSBT_GLOBAL_TX_MODIFIABLE is not allowed in PSBTv0"},
		}
	case 1:
		rules = []rule{{true, "There is no PSBT version 1"}}
	case 2:
		rules = []rule{
			{!g.hasTxVersion, "PSBT_GLOBAL_TX_VERSION is required in PSBTv2"},
			{!g.hasInputs, "PSBT_GLOBAL_INPUT_COUNT is required in PSBTv2"},
			{!g.hasOutputs, "PSBT_GLOBAL_OUTPUT_COUNT is required in PSBTv2"},
			{g.tx != nil, "PSBT_GLOBAL_UNSIGNED_TX is not allowed in PSBTv2"},
		}
	}
	for _, rule := range rules {
		if rule.broken {
			r.fail("%s", rule.text)
		}
	}
}

// read reads the map of an input. In version 0 the outpoint and the sequence are there.
func (in *Input) read(r *reader, version uint32) {
	hasTxID, hasIndex := false, false
	r.fieldMap("input", "an input map", func(kind uint64, key []byte) {
		switch {
		case kind >= inPreviousTxID && kind <= inMinHeight:
			hasTxID, hasIndex = hasTxID || kind == inPreviousTxID, hasIndex || kind == inOutputIndex
			in.outPointField(r, kind, key, version)
		case kind >= inTapKeySig && kind <= inTapMerkleRoot:
			in.tapField(r, kind, key)
		case kind >= inMuSigParticipants && kind <= inMuSigPartialSig:
			in.muSigField(r, kind, key)
		default:
			in.field(r, kind, key)
		}
	})
	switch tx := in.NonWitnessUTXO; {
	case r.err != nil:
	case version >= 2 && !hasTxID:
		r.fail("Previous TXID is required in PSBTv2")
	case version >= 2 && !hasIndex:
		r.fail("Previous output's index is required in PSBTv2")
	case tx == nil:
	case tx.TxID() != in.PreviousOutPoint.TxID:
		r.fail("Non-witness UTXO does not match outpoint hash")
	case uint64(in.PreviousOutPoint.Index) >= uint64(len(tx.Outputs)):
		r.fail("Input specifies output index that does not exist")
	}
}

// field reads the fields of BIP174.
func (in *Input) field(r *reader, kind uint64, key []byte) {
	switch kind {
	case inNonWitnessUTXO:
		if r.keySize(key, 1, "Input Non-witness UTXO") {
			in.NonWitnessUTXO = r.spentTx()
		}
	case inWitnessUTXO:
		if r.keySize(key, 1, "Input Witness UTXO") {
			in.WitnessUTXO = r.outputValue()
		}
	case inPartialSig:
		in.partialSig(r, key)
	case inSighash:
		if r.keySize(key, 1, "Input Sighash Type") {
			in.SighashType = r.uint32Value()
		}
	case inRedeemScript:
		if r.keySize(key, 1, "Input redeemScript") {
			in.RedeemScript = r.varBytes()
		}
	case inWitnessScript:
		if r.keySize(key, 1, "Input witnessScript") {
			in.WitnessScript = r.varBytes()
		}
	case inDerivation:
		in.Derivations = append(in.Derivations, r.derivation(key))
	case inScriptSig:
		if r.keySize(key, 1, "Input Final scriptSig") {
			in.FinalScriptSig = r.varBytes()
		}
	case inScriptWitness:
		if r.keySize(key, 1, "Input Final scriptWitness") {
			in.FinalWitness = r.witnessValue()
		}
	case inRIPEMD160, inRIPEMD160 + 1, inRIPEMD160 + 2, inHash256:
		which := PreimageKind(kind - inRIPEMD160)
		if r.keySize(key, 1+which.size(), "Input "+which.String()+" Preimage") {
			in.Preimages[which] = append(in.Preimages[which], Preimage{Hash: key[1:], Preimage: r.varBytes()})
		}
	case typeProprietary:
		in.Proprietary = append(in.Proprietary, r.proprietary(key))
	default:
		in.Unknown = append(in.Unknown, r.carried(key))
	}
}

// String returns the name of the hash function, as Bitcoin Core's errors have it.
func (k PreimageKind) String() string {
	return [preimageKinds]string{"RIPEMD160", "SHA256", "Hash160", "Hash256"}[k]
}

// size is the length of the hash in bytes.
func (k PreimageKind) size() int {
	if k == RIPEMD160 || k == Hash160 {
		return 20
	}
	return 32
}

// spentTx reads a transaction whose elements of witnesses count as fields. They are shown,
// but not written again.
func (r *reader) spentTx() *types.Tx {
	tx := r.txValue(func(d *types.Decoder, tx *types.Tx) { d.BoundedTx(tx, MaxFields) })
	if tx == nil {
		return nil
	}
	for i := range tx.Inputs {
		r.fields += len(tx.Inputs[i].Witness)
	}
	if r.fields > MaxFields {
		r.fail("more than %d fields", MaxFields)
	}
	return tx
}

// outputValue reads an output. One with a value of -1 stands for none, as in Core.
func (r *reader) outputValue() *types.TxOut {
	stated, before := r.compactSize(), r.off
	out := &types.TxOut{Value: types.Amount(r.little(8)), ScriptPubKey: r.varBytes()}
	if r.err == nil && uint64(r.off-before) != stated {
		r.fail("Size of value was not the stated size")
	}
	if r.err != nil || out.Value == -1 {
		return nil
	}
	return out
}

// witnessValue reads a stack. Its elements count as fields.
func (r *reader) witnessValue() (stack [][]byte) {
	stated, before := r.compactSize(), r.off
	n := r.compactSize()
	if r.fields += int(min(n, math.MaxInt32)); r.fields > MaxFields {
		r.fail("more than %d fields", MaxFields)
		return nil
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		stack = append(stack, r.varBytes())
	}
	if r.err == nil && uint64(r.off-before) != stated {
		r.fail("Size of value was not the stated size")
	}
	return stack
}

func (in *Input) partialSig(r *reader, key []byte) {
	if len(key) != 1+33 && len(key) != 1+65 {
		r.fail("Size of key was not the expected size for the type partial signature pubkey")
		return
	}
	if !isPublicKey(key[1:]) {
		r.fail("Invalid pubkey")
		return
	}
	sig := r.varBytes()
	if r.err == nil && !IsECDSASignature(sig) {
		r.fail("Signature is not a valid encoding")
	}
	in.PartialSigs = append(in.PartialSigs, PartialSig{PubKey: key[1:], Signature: sig})
}

// outPointField reads the fields of BIP370, which version 0 does not have.
func (in *Input) outPointField(r *reader, kind uint64, key []byte, version uint32) {
	const lockTimeThreshold = types.LockTimeThreshold
	name := map[uint64][2]string{
		inPreviousTxID: {"Input Previous TXID", "Previous txid"},
		inOutputIndex:  {"Input Previous Output's Index", "Previous output's index"},
		inSequence:     {"Input Sequence", "Sequence"},
		inMinTime:      {"Input Required Time Based Locktime", "Required time based locktime"},
		inMinHeight:    {"Input Required Height Based Locktime", "Required height based locktime"},
	}[kind]
	if !r.keySize(key, 1, name[0]) {
		return
	}
	if version < 2 {
		r.fail("%s is not allowed in PSBTv0", name[1])
		return
	}
	switch kind {
	case inPreviousTxID:
		in.PreviousOutPoint.TxID = r.hashValue()
	case inOutputIndex:
		in.PreviousOutPoint.Index = valueOr(r.uint32Value(), 0)
	case inSequence:
		in.Sequence = r.uint32Value()
	case inMinTime:
		if in.MinTime = r.uint32Value(); valueOr(in.MinTime, lockTimeThreshold) < lockTimeThreshold {
			r.fail("Required time based locktime is invalid (less than 500000000)")
		}
	case inMinHeight:
		in.MinHeight = r.uint32Value()
		if height := valueOr(in.MinHeight, 1); height >= lockTimeThreshold {
			r.fail("Required height based locktime is invalid (greater than or equal to 500000000)")
		} else if height == 0 {
			r.fail("Required height based locktime is invalid (0)")
		}
	}
}

// tapField reads the fields of BIP371.
func (in *Input) tapField(r *reader, kind uint64, key []byte) {
	switch kind {
	case inTapKeySig:
		if r.keySize(key, 1, "Input Taproot Key Path Signature") {
			in.TapKeySig = r.tapSignature("key path")
		}
	case inTapScriptSig:
		if r.keySize(key, 1+64, "Input Taproot Script Path Signature") {
			in.TapScriptSigs = append(in.TapScriptSigs, TapScriptSig{
				Key: [32]byte(key[1:33]), LeafHash: [32]byte(key[33:]), Signature: r.tapSignature("script path"),
			})
		}
	case inTapLeafScript:
		in.tapScript(r, key)
	case inTapDerivation:
		in.TapDerivations = append(in.TapDerivations, r.tapDerivation(key, "Input"))
	case inTapInternalKey:
		if r.keySize(key, 1, "Input Taproot Internal Key") {
			in.TapInternalKey = r.keyValue()
		}
	case inTapMerkleRoot:
		if r.keySize(key, 1, "Input Taproot Merkle Root") {
			in.TapMerkleRoot = r.keyValue()
		}
	}
}

func (in *Input) tapScript(r *reader, key []byte) {
	if len(key) < 34 {
		r.fail("Input Taproot leaf script key is not at least 34 bytes")
		return
	}
	if (len(key)-2)%32 != 0 {
		r.fail("Input Taproot leaf script key's control block size is not valid")
		return
	}
	value := r.varBytes()
	if r.err == nil && len(value) == 0 {
		r.fail("Input Taproot leaf script must be at least 1 byte")
	}
	if r.err != nil {
		return
	}
	last := len(value) - 1
	in.TapScripts = append(in.TapScripts, TapScript{Script: value[:last:last], LeafVersion: value[last], ControlBlocks: [][]byte{key[1:]}})
}

// muSigField reads the fields of BIP373.
func (in *Input) muSigField(r *reader, kind uint64, key []byte) {
	switch kind {
	case inMuSigParticipants:
		in.MuSigParticipants = append(in.MuSigParticipants, r.participants(key, "Input"))
	case inMuSigNonce:
		nonce := MuSigNonce{MuSigID: r.muSigID(key, "pubnonce")}
		value := r.varBytes()
		if r.err == nil && len(value) != len(nonce.Nonce) {
			r.fail("Input musig2 pubnonce value is not 66 bytes")
		}
		copy(nonce.Nonce[:], value)
		in.MuSigNonces = append(in.MuSigNonces, nonce)
	case inMuSigPartialSig:
		in.MuSigPartialSigs = append(in.MuSigPartialSigs, MuSigPartialSig{MuSigID: r.muSigID(key, "partial sig"), Signature: r.hashValue()})
	}
}
