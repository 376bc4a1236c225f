// Package message verifies signed messages: proofs that whoever can spend an address has
// said something (BIP322).
//
// The proof is a transaction that can never be in a block. It spends an output of another
// one like that, which commits to the message and pays to the address:
//
//	toSpend := message.ToSpend(scriptPubKey, []byte("hello"))
//	toSign := message.ToSign(toSpend) // is signed as any transaction is
//	proof, err := message.Verify(scriptPubKey, []byte("hello"), signature)
//
// So all that can spend can also sign, leaves of a tree too, and no signature of a message
// is one of a payment. Simple, Full and Funds write what was signed. With further inputs it
// is a proof of funds: that one person can spend all of some coins.
package message

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// The kinds of errors of Verify.
var (
	// ErrMalformed says that the signature is no encoding of one.
	ErrMalformed = errors.New("the signature is malformed")
	// ErrInvalid says that the signature is wrong.
	ErrInvalid = errors.New("the signature is invalid")
	// ErrInconclusive says that the signature may be right by rules that are not known here.
	ErrInconclusive = errors.New("the signature cannot be judged")
)

// The prefixes of a signature say how it is encoded.
const (
	prefixSimple = "smp"
	prefixFull   = "ful"
	prefixFunds  = "pof"
)

// MaxSize is the most bytes of a signature: as many as a block can hold.
const MaxSize = 4_000_000

// maxElements is more than a script can take on its stack, with all that is beside it.
const maxElements = 1100

const messageTag = "BIP0322-signed-message"

// Proof is what is proven. A signature may depend on locks, as the script of the address
// does: it is valid for whoever believes that the lock time is over, and that a coin has
// the age.
type Proof struct {
	LockTime uint32 // see types.Tx
	Age      uint32 // the sequence of the input: a relative lock (BIP68)
}

// Hash returns the hash of a message to which ToSpend commits.
func Hash(message []byte) [32]byte { return taproot.TaggedHash(messageTag, message) }

// ToSpend returns the transaction whose output a signature spends.
func ToSpend(scriptPubKey, message []byte) *types.Tx {
	hash := Hash(message)
	return &types.Tx{
		Inputs: []types.TxIn{{
			PreviousOutPoint: types.OutPoint{Index: types.NullIndex},
			ScriptSig:        append([]byte{taproot.Op0, byte(len(hash))}, hash[:]...),
		}},
		Outputs: []types.TxOut{{ScriptPubKey: scriptPubKey}},
	}
}

// ToSign returns the transaction that is signed, of version 0 and without locks. Whoever
// signs by a script with locks sets its version, sequence and lock time.
func ToSign(toSpend *types.Tx) *types.Tx {
	return &types.Tx{
		Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: toSpend.TxID()}}},
		Outputs: []types.TxOut{{ScriptPubKey: []byte{taproot.OpReturn}}},
	}
}

// Coin is a coin that a proof of funds is about, as the proof tells it. Only the coins of
// the chain say whether there is such a coin: its script may be invented.
type Coin struct {
	types.OutPoint
	types.TxOut
	Age uint32 // as in Proof
}

// Verify verifies a signature of a message by whoever can spend a script, in the simple or
// in the full form; without a prefix it is a simple one. Proofs of funds are inconclusive:
// they are about coins.
func Verify(scriptPubKey, message []byte, signature string) (Proof, error) {
	if strings.HasPrefix(signature, prefixFunds) {
		return Proof{}, fmt.Errorf("%w: it is a proof of funds", ErrInconclusive)
	}
	proof, _, err := VerifyFunds(scriptPubKey, message, signature)
	return proof, err
}

// VerifyFunds is Verify for proofs of funds too, and returns the coins of one. What holds
// is that whoever signed can spend outputs such as these. Whether they exist and are unspent
// is for the caller to find out.
func VerifyFunds(scriptPubKey, message []byte, signature string) (Proof, []Coin, error) {
	toSpend := ToSpend(scriptPubKey, message)
	tx, spent, err := decode(toSpend, signature)
	if err != nil {
		return Proof{}, nil, err
	}
	proof := Proof{LockTime: tx.LockTime, Age: tx.Inputs[0].Sequence}
	ctx := taproot.NewContext(tx, spent)
	var coins []Coin
	for i := range spent {
		if err := verify(ctx, tx, spent, i); err != nil {
			if i > 0 {
				err = fmt.Errorf("coin %s: %w", tx.Inputs[i].PreviousOutPoint, err)
			}
			return Proof{}, nil, err
		}
		if i > 0 {
			coins = append(coins, Coin{tx.Inputs[i].PreviousOutPoint, spent[i], tx.Inputs[i].Sequence})
		}
	}
	return proof, coins, nil
}

// decode returns the transaction that was signed, and what its inputs spend.
func decode(toSpend *types.Tx, signature string) (*types.Tx, []types.TxOut, error) {
	prefix := prefixSimple
	for _, known := range []string{prefixSimple, prefixFull, prefixFunds} {
		if rest, ok := strings.CutPrefix(signature, known); ok {
			prefix, signature = known, rest
			break
		}
	}
	if base64.StdEncoding.DecodedLen(len(signature)) > MaxSize {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxSize)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil || base64.StdEncoding.EncodedLen(len(raw)) != len(signature) { // line breaks are passed over
		return nil, nil, fmt.Errorf("%w: not base64", ErrMalformed)
	}
	switch prefix {
	case prefixFunds:
		return decodeFunds(toSpend, raw)
	case prefixFull:
		tx, err := types.DecodeTx(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if len(tx.Inputs) != 1 {
			return nil, nil, fmt.Errorf("%w: it has %d inputs", ErrInvalid, len(tx.Inputs))
		}
		return tx, toSpend.Outputs, checkForm(tx, toSpend)
	}
	tx := ToSign(toSpend)
	d := types.NewDecoder(raw)
	elements := d.Count(1)
	if elements > maxElements {
		return nil, nil, fmt.Errorf("%w: its witness has %d elements", ErrInvalid, elements)
	}
	for range elements {
		tx.Inputs[0].Witness = append(tx.Inputs[0].Witness, d.VarBytes())
	}
	if err := d.Finish(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return tx, toSpend.Outputs, nil
}

// checkForm checks what a signature that is not simple could have otherwise. There is at
// least one input.
func checkForm(tx, toSpend *types.Tx) error {
	switch {
	case tx.Inputs[0].PreviousOutPoint != types.OutPoint{TxID: toSpend.TxID()}:
		return fmt.Errorf("%w: it is of another message or another address", ErrInvalid)
	case len(tx.Outputs) != 1 || tx.Outputs[0].Value != 0 || string(tx.Outputs[0].ScriptPubKey) != string([]byte{taproot.OpReturn}):
		return fmt.Errorf("%w: it has other outputs than one OP_RETURN", ErrInvalid)
	case tx.Version != 0 && tx.Version != 2:
		return fmt.Errorf("%w: it has version %d", ErrInconclusive, tx.Version)
	}
	return nil
}

// verify runs the script of an input. What must hold comes first, then what may get a
// meaning, then what the signatures in it sign.
func verify(ctx *taproot.Context, tx *types.Tx, spent []types.TxOut, i int) error {
	if version, program, ok := types.WitnessProgram(spent[i].ScriptPubKey); !ok || version != 1 || len(program) != 32 {
		return fmt.Errorf("%w: only taproot outputs have a meaning here", ErrInconclusive)
	}
	if err := ctx.VerifyInput(i, taproot.MinimalData, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := ctx.VerifyInput(i, taproot.Standard, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrInconclusive, err)
	}
	stack := tx.Inputs[i].Witness
	if n := len(stack); n >= 2 && len(stack[n-1]) > 0 && stack[n-1][0] == taproot.AnnexTag {
		return fmt.Errorf("%w: there is an annex", ErrInconclusive)
	}
	var path *taproot.ScriptPath
	if n := len(stack); n >= 2 {
		script := stack[n-2]
		if usesCodeSeparator(script) {
			return fmt.Errorf("%w: its script has OP_CODESEPARATOR", ErrInvalid)
		}
		path = &taproot.ScriptPath{LeafHash: taproot.LeafHash(stack[n-1][0]&taproot.LeafVersionMask, script), CodeSeparator: taproot.NoCodeSeparator}
	}
	var allowed allowedMessages
	for k, hashType := range []byte{taproot.SigHashDefault, taproot.SigHashAll} {
		var err error
		if allowed.messages[k], err = ctx.SignatureHash(i, hashType, nil, path); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	if err := ctx.VerifyInput(i, taproot.Consensus, &allowed); err != nil || allowed.other {
		return fmt.Errorf("%w: a signature does not sign everything", ErrInvalid)
	}
	return nil
}

// allowedMessages sees what the signatures of a script sign: all of the transaction, or
// something else. Whether they are right was verified before.
type allowedMessages struct {
	messages [2][32]byte
	other    bool
}

// AddSignature implements taproot.Claims.
func (a *allowedMessages) AddSignature(_, message *[32]byte, _ *[64]byte) {
	a.other = a.other || *message != a.messages[0] && *message != a.messages[1]
}

// AddTweak implements taproot.Claims.
func (a *allowedMessages) AddTweak(*[32]byte, byte, *[32]byte, *[32]byte) {}

func usesCodeSeparator(script []byte) bool {
	for at := 0; at < len(script); {
		op, _, next, ok := taproot.NextOp(script, at)
		if !ok || op == taproot.OpCodeSeparator {
			return true
		}
		at = next
	}
	return false
}
