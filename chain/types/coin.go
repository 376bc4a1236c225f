package types

// MaxCoinScriptSize is the longest script in bytes that a coin can have: a witness
// program of 40 bytes behind its version and its length. Under the output rule (R1)
// nothing longer can be spent.
const MaxCoinScriptSize = 42

// Coin is an unspent output and where it was made. It holds no pointer, so the garbage
// collector never looks at the millions of them in a map. For that the script is an
// array, though it is mostly shorter. Coins can be compared with ==.
type Coin struct {
	Value      Amount
	Height     uint32 // of the block that made it
	IsCoinbase bool
	scriptLen  uint8
	script     [MaxCoinScriptSize]byte
}

// NewCoin makes the coin of an output in a block at the given height. It reports
// false if the script is longer than MaxCoinScriptSize: such an output makes no coin.
func NewCoin(out *TxOut, height uint32, isCoinbase bool) (Coin, bool) {
	if len(out.ScriptPubKey) > MaxCoinScriptSize {
		return Coin{}, false
	}
	c := Coin{Value: out.Value, Height: height, IsCoinbase: isCoinbase, scriptLen: uint8(len(out.ScriptPubKey))}
	copy(c.script[:], out.ScriptPubKey)
	return c, true
}

// ScriptPubKey returns the script, which is a part of the coin and must not be
// changed.
func (c *Coin) ScriptPubKey() []byte { return c.script[:c.scriptLen:c.scriptLen] }

// Output returns the output that the coin is. Its script is a part of the coin.
func (c *Coin) Output() TxOut { return TxOut{Value: c.Value, ScriptPubKey: c.ScriptPubKey()} }

// WitnessProgram splits a script that is a witness program into its version and its
// program (BIP141): OP_0 or OP_1 to OP_16, then one push of 2 to 40 bytes.
func WitnessProgram(script []byte) (version int, program []byte, ok bool) {
	if len(script) < 4 || len(script) > MaxCoinScriptSize || int(script[1]) != len(script)-2 {
		return 0, nil, false
	}
	switch op := script[0]; {
	case op == 0x00:
		return 0, script[2:], true
	case op >= 0x51 && op <= 0x60:
		return int(op - 0x50), script[2:], true
	}
	return 0, nil, false
}
