package taproot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// testKey returns a private key and its x-only public key.
func testKey(i byte) (*btcec.PrivateKey, []byte) {
	private, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{i}, 32))
	return private, schnorr.SerializePubKey(public)
}

func sign(t testing.TB, key *btcec.PrivateKey, message [32]byte) []byte {
	t.Helper()
	signature, err := schnorr.Sign(key, message[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature.Serialize()
}

// leafSpend returns a context of one input that spends a tapscript in a tree of
// its own, with the given initial stack.
func leafSpend(t testing.TB, script []byte, stack ...[]byte) (*Context, *types.Tx, [32]byte) {
	t.Helper()
	_, internal := testKey(9)
	control := controlBlock{LeafVersion: LeafVersionTapscript, InternalKey: [32]byte(internal)}
	leaf := control.merkleRoot(script)
	output, parity, err := OutputKey(control.InternalKey, leaf[:])
	if err != nil {
		t.Fatal(err)
	}
	control.Parity = parity
	witness := append(append([][]byte(nil), stack...), script, control.encode())
	tx := &types.Tx{Version: 2, LockTime: 600, Inputs: []types.TxIn{{Sequence: 10, Witness: witness}},
		Outputs: []types.TxOut{{Value: 1, ScriptPubKey: []byte{0x6a}}}}
	prevouts := []types.TxOut{{Value: 5, ScriptPubKey: append([]byte{Op1, 32}, output[:]...)}}
	return NewContext(tx, prevouts), tx, leaf
}

// expect verifies input 0 at once and deferred.
func expect(t *testing.T, c *Context, flags Flags, want, label string) {
	t.Helper()
	if got := verdictOf(t, c.VerifyInput(0, flags, nil)); got != want {
		t.Errorf("%s: %s, want %s", label, got, want)
	}
	var batch secp.Batch
	err := c.VerifyInput(0, flags, &batch)
	if ok := err == nil && batch.Verify(); ok != (want == "OK") {
		t.Errorf("%s: deferred %v, want %s", label, err, want)
	}
}

// asm is a script and its initial stack in hexadecimal, elements by spaces.
func asm(t *testing.T, script, stack string) ([]byte, [][]byte) {
	t.Helper()
	var elements [][]byte
	for _, s := range strings.Fields(stack) {
		elements = append(elements, vectors.Hex(t, strings.TrimPrefix(s, "-")))
	}
	return vectors.Hex(t, strings.ReplaceAll(script, " ", "")), elements
}

// TestOpcodes has the result that each opcode should leave compared in the
// script itself: by 87 (OP_EQUAL), or by 9c (OP_NUMEQUAL). A lone "-" in the stack
// is the empty element.
func TestOpcodes(t *testing.T) {
	const numbers4 = "ffffff7f" // the greatest operand
	for _, tc := range []struct{ name, script, stack, want string }{
		{"pushes", "4f 0181 87", "", "OK"},
		{"OP_16", "60 0110 87", "", "OK"},
		{"PUSHDATA1", "4c02abcd 02abcd 87", "", "OK"},
		{"PUSHDATA2", "4d0200abcd 02abcd 87", "", "OK"},
		{"PUSHDATA4", "4e02000000abcd 02abcd 87", "", "OK"},
		{"push cut off", "51 02ab", "", "BAD_OPCODE"},
		{"PUSHDATA1 cut off", "51 4c", "", "BAD_OPCODE"},
		{"PUSHDATA2 cut off", "51 4dff", "", "BAD_OPCODE"},
		{"PUSHDATA4 cut off", "51 4effffffff00", "", "BAD_OPCODE"},
		{"NOP", "61 51", "", "OK"},
		{"NOP1, NOP4 to NOP10", "b0 b3 b4 b5 b6 b7 b8 b9 51", "", "OK"},
		{"IF true", "63 51 67 00 68", "01", "OK"},
		{"IF false", "63 00 67 51 68", "-", "OK"},
		{"NOTIF", "64 51 67 00 68", "-", "OK"},
		{"two ELSE", "63 51 67 00 67 52 68 93 53 87", "01", "OK"},
		{"nested, outer false", "63 63 6a 67 6a 68 67 51 68", "-", "OK"},
		{"IF of 2", "63 51 67 51 68", "02", "TAPSCRIPT_MINIMALIF"},
		{"IF of 0100", "63 51 67 51 68", "0100", "TAPSCRIPT_MINIMALIF"},
		{"NOTIF of 00", "64 51 67 51 68", "00", "TAPSCRIPT_MINIMALIF"},
		{"IF of nothing", "63 68", "", "INVALID_STACK_OPERATION"},
		{"open IF", "51 63 51", "", "UNBALANCED_CONDITIONAL"},
		{"ELSE alone", "51 67", "", "UNBALANCED_CONDITIONAL"},
		{"ENDIF alone", "51 68", "", "UNBALANCED_CONDITIONAL"},
		{"VERIF not executed", "51 00 63 65 68", "", "BAD_OPCODE"},
		{"VERNOTIF not executed", "51 00 63 66 68", "", "BAD_OPCODE"},
		{"CHECKMULTISIG not executed", "51 00 63 ae af 68", "", "OK"},
		{"INVALIDOPCODE not executed", "51 00 63 ff 68", "", "OK"},
		{"INVALIDOPCODE", "51 ff", "", "BAD_OPCODE"},
		{"VERIFY", "69 51", "80ff", "OK"},
		{"VERIFY of negative zero", "69 51", "0080", "VERIFY"},
		{"VERIFY of nothing", "69", "", "INVALID_STACK_OPERATION"},
		{"RETURN", "51 6a", "", "OP_RETURN"},
		{"alt stack", "52 6b 51 6c 93 53 87", "", "OK"},
		{"FROMALTSTACK of nothing", "6c", "", "INVALID_ALTSTACK_OPERATION"},
		{"TOALTSTACK of nothing", "6b", "", "INVALID_STACK_OPERATION"},
		{"what is left on the alt stack does not count", "51 52 6b", "", "OK"},
		{"2DROP", "6d", "01 02 03", "OK"},
		{"2DUP", "6e 93 53 88 93 53 87", "01 02", "OK"},
		{"3DUP", "6f 93 93 56 88 93 93 56 87", "01 02 03", "OK"},
		{"2OVER", "70 52 88 51 88 6d 6d 51", "01 02 03 04", "OK"},
		{"2ROT", "71 52 88 51 88 56 88 55 88 54 88 53 87", "01 02 03 04 05 06", "OK"},
		{"2SWAP", "72 52 88 51 88 54 88 53 87", "01 02 03 04", "OK"},
		{"IFDUP true", "73 87", "05", "OK"},
		{"IFDUP false", "73 74 51 88 91", "-", "OK"},
		{"DEPTH", "74 53 88 6d 75 51", "01 02 03", "OK"},
		{"NIP", "77 52 87", "01 02", "OK"},
		{"OVER", "78 51 88 52 88 51 87", "01 02", "OK"},
		{"PICK", "52 79 51 88 6d 51 87", "01 02 03", "OK"},
		{"PICK of the top", "00 79 87", "07", "OK"},
		{"PICK too deep", "53 79", "01 02 03", "INVALID_STACK_OPERATION"},
		{"PICK negative", "4f 79", "01 02 03", "INVALID_STACK_OPERATION"},
		{"PICK with a long number", "79", "01 0000000001", "SCRIPTNUM"},
		{"ROLL", "52 7a 51 88 53 88 52 87", "01 02 03", "OK"},
		{"ROT", "7b 51 88 53 88 52 87", "01 02 03", "OK"},
		{"SWAP", "7c 51 88 52 87", "01 02", "OK"},
		{"TUCK", "7d 52 88 51 88 52 87", "01 02", "OK"},
		{"SIZE", "82 53 88 75 51", "aabbcc", "OK"},
		{"EQUALVERIFY", "88 51", "01 02", "EQUALVERIFY"},
		{"EQUAL of numbers is by bytes", "87", "0100 01", "EVAL_FALSE"},
		{"1ADD", "8b 05 0000008000 87", numbers4, "OK"},
		{"1ADD of five bytes", "8b", "0000008000", "SCRIPTNUM"},
		{"1SUB", "8c 4f 87", "-", "OK"},
		{"NEGATE", "8f 02 0081 87", "000100", "OK"},
		{"ABS", "90 01 7f 87", "ff", "OK"},
		{"ABS of a positive number", "90 01 7f 87", "7f", "OK"},
		{"NOT", "91", "80", "OK"},
		{"0NOTEQUAL", "92 51 87", "ffff", "OK"},
		{"ADD", "93 05 feffffff00 87", numbers4 + " " + numbers4, "OK"},
		{"SUB", "94 05 feffffff80 87", "ffffffff " + numbers4, "OK"},
		{"ADD of one", "93", "01", "INVALID_STACK_OPERATION"},
		{"BOOLAND", "9a 91", "01 00", "OK"},
		{"BOOLOR", "9b", "01 00", "OK"},
		{"NUMEQUAL", "9c", "0100 01", "OK"},
		{"NUMEQUALVERIFY", "9d 51", "01 02", "NUMEQUALVERIFY"},
		{"NUMNOTEQUAL", "9e", "81 01", "OK"},
		{"LESSTHAN", "9f", "81 01", "OK"},
		{"GREATERTHAN", "a0 91", "81 01", "OK"},
		{"LESSTHANOREQUAL", "a1", "01 01", "OK"},
		{"GREATERTHANOREQUAL", "a2", "01 01", "OK"},
		{"MIN", "a3 0181 87", "81 01", "OK"},
		{"MAX", "a4 51 87", "81 0100", "OK"},
		{"WITHIN low", "a5", "01 01 02", "OK"},
		{"WITHIN high", "a5 91", "02 01 02", "OK"},
		{"WITHIN of two", "a5", "01 02", "INVALID_STACK_OPERATION"},
		{"RIPEMD160", "a6 14 9c1185a5c5e9fc54612808977ee8f548b2258d31 87", "-", "OK"},
		{"SHA1", "a7 14 da39a3ee5e6b4b0d3255bfef95601890afd80709 87", "-", "OK"},
		{"SHA256", "a8 20 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 87", "-", "OK"},
		{"HASH160", "a9 14 b472a266d0bd89c13706a4132ccfb16f7c3b9fcb 87", "-", "OK"},
		{"HASH256", "aa 20 5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456 87", "-", "OK"},
		{"SHA256 of nothing", "a8", "", "INVALID_STACK_OPERATION"},
		{"CHECKMULTISIG", "00 00 00 ae", "", "TAPSCRIPT_CHECKMULTISIG"},
		{"CHECKMULTISIGVERIFY", "00 00 00 af", "", "TAPSCRIPT_CHECKMULTISIG"},
		{"CLTV at the lock time", "02 5802 b1 91 91", "", "OK"},
		{"CLTV beyond it", "02 5902 b1", "", "UNSATISFIED_LOCKTIME"},
		{"CLTV of a time", "04 0065cd1d b1", "", "UNSATISFIED_LOCKTIME"},
		{"CLTV negative", "4f b1", "", "NEGATIVE_LOCKTIME"},
		{"CLTV of five bytes", "05 ffffffff00 b1", "", "UNSATISFIED_LOCKTIME"},
		{"CLTV of six bytes", "06 000000000001 b1", "", "SCRIPTNUM"},
		{"CLTV of nothing", "b1", "", "INVALID_STACK_OPERATION"},
		{"CSV at the sequence", "5a b2", "", "OK"},
		{"CSV beyond it", "5b b2", "", "UNSATISFIED_LOCKTIME"},
		{"CSV of time", "03 000040 b2", "", "UNSATISFIED_LOCKTIME"},
		{"CSV masks", "03 0a0020 b2", "", "OK"},
		{"CSV disabled", "05 0000008000 b2", "", "OK"},
		{"CSV negative", "4f b2", "", "NEGATIVE_LOCKTIME"},
		{"clean stack", "51 51", "", "CLEANSTACK"},
		{"empty stack", "51 75", "", "CLEANSTACK"},
		{"empty script", "", "01", "OK"},
		{"false", "00", "", "EVAL_FALSE"},
		{"empty key", "00 00 ac", "", "TAPSCRIPT_EMPTY_PUBKEY"},
		{"empty key, CHECKSIGADD", "00 51 00 ba", "", "TAPSCRIPT_EMPTY_PUBKEY"},
		{"unknown key, empty signature", "00 52 ac 91", "", "OK"},
		{"unknown key, any signature", "51 52 ac", "", "OK"},
		{"CHECKSIGVERIFY of an empty signature", "00 52 ad 51", "", "CHECKSIGVERIFY"},
		{"CHECKSIGADD counts", "51 55 52 ba 56 87", "", "OK"},
		{"CHECKSIGADD of an empty signature", "00 55 52 ba 55 87", "", "OK"},
		{"CHECKSIGADD of two", "51 52 ba", "", "INVALID_STACK_OPERATION"},
		{"CHECKSIGADD's number is an operand", "51 05 0000008000 52 ba", "", "SCRIPTNUM"},
		{"CHECKSIGADD past an operand", "51 04" + numbers4 + " 52 ba 05 0000008000 87", "", "OK"},
		{"CHECKSIG of one", "52 ac", "", "INVALID_STACK_OPERATION"},
		{"signature of 63 bytes", "3f" + strings.Repeat("07", 63) + "20" + strings.Repeat("02", 32) + "ac", "", "SCHNORR_SIG_SIZE"},
		{"hash type 0 spelled out", "41" + strings.Repeat("07", 64) + "00 20" + strings.Repeat("02", 32) + "ac", "", "SCHNORR_SIG_HASHTYPE"},
		{"hash type 4", "41" + strings.Repeat("07", 64) + "04 20" + strings.Repeat("02", 32) + "ac", "", "SCHNORR_SIG_HASHTYPE"},
		{"hash type 80", "41" + strings.Repeat("07", 64) + "80 20" + strings.Repeat("02", 32) + "ac", "", "SCHNORR_SIG_HASHTYPE"},
	} {
		script, stack := asm(t, tc.script, tc.stack)
		c, _, _ := leafSpend(t, script, stack...)
		expect(t, c, Consensus, tc.want, tc.name)
	}
}

// TestOpSuccess holds the list of BIP342, typed here a second time, and that
// nothing else in the script matters.
func TestOpSuccess(t *testing.T) {
	list := []int{80, 98, 126, 127, 128, 129, 131, 132, 133, 134, 137, 138, 141, 142, 149, 150, 151, 152, 153}
	for op := 187; op <= 254; op++ {
		list = append(list, op)
	}
	success := map[int]bool{}
	for _, op := range list {
		success[op] = true
	}
	for op := range 256 {
		if isOpSuccess(byte(op)) != success[op] {
			t.Errorf("opcode %d: OP_SUCCESS %v", op, !success[op])
		}
		if !success[op] {
			continue
		}
		c, _, _ := leafSpend(t, []byte{OpReturn, byte(op), OpPushData4}, make([]byte, 521))
		expect(t, c, Consensus, "OK", "OP_SUCCESS with an undecodable rest")
		expect(t, c, Standard, "DISCOURAGE_OP_SUCCESS", "OP_SUCCESS by policy")
	}
	c, _, _ := leafSpend(t, []byte{OpPushData1, 5, 80, Op1})
	expect(t, c, Consensus, "BAD_OPCODE", "OP_SUCCESS within a push that is cut off")
	c, _, _ = leafSpend(t, []byte{1, 80})
	expect(t, c, Consensus, "OK", "OP_SUCCESS as data")
	tooMany := make([][]byte, 1001)
	c, _, _ = leafSpend(t, []byte{80}, tooMany...)
	expect(t, c, Consensus, "OK", "OP_SUCCESS with 1001 elements")
}

func TestLimits(t *testing.T) {
	elements := func(n int) [][]byte { return make([][]byte, n) }
	drops := func(n int) []byte { return append(bytes.Repeat([]byte{OpDrop}, n), Op1) }
	for _, tc := range []struct {
		name   string
		script []byte
		stack  [][]byte
		want   string
	}{
		{"1000 initial elements", drops(1000), elements(1000), "OK"},
		{"1001 initial elements", drops(1001), elements(1001), "STACK_SIZE"},
		{"1000 elements and one more", append([]byte{Op1}, drops(1001)...), elements(1000), "STACK_SIZE"},
		{"999 elements and one more", append([]byte{Op1}, drops(1000)...), elements(999), "OK"},
		{"both stacks count", append([]byte{OpToAltStack, Op1}, drops(1000)...), elements(1000), "STACK_SIZE"},
		{"both stacks count, within", append([]byte{OpToAltStack, Op1}, drops(999)...), elements(999), "OK"},
		{"3DUP over the limit", append([]byte{Op3Dup}, drops(1001)...), elements(998), "STACK_SIZE"},
		{"an initial element of 520", drops(1), [][]byte{make([]byte, 520)}, "OK"},
		{"an initial element of 521", drops(1), [][]byte{make([]byte, 521)}, "PUSH_SIZE"},
		{"a push of 520", append(append([]byte{OpPushData2, 8, 2}, make([]byte, 520)...), drops(1)...), nil, "OK"},
		{"a push of 521", append(append([]byte{OpPushData2, 9, 2}, make([]byte, 521)...), drops(1)...), nil, "PUSH_SIZE"},
		{"a push of 521 not executed", append(append([]byte{Op0, OpIf, OpPushData2, 9, 2}, make([]byte, 521)...), OpEndIf, Op1), nil, "PUSH_SIZE"},
		{"a script of more than 10,000 bytes and 201 opcodes", append(bytes.Repeat([]byte{OpNop}, 20_000), Op1), nil, "OK"},
		{"100,000 nested conditions", append(append(bytes.Repeat([]byte{Op1, OpIf}, 100_000), bytes.Repeat([]byte{OpEndIf}, 100_000)...), Op1), nil, "OK"},
		{"a long script of hashes", append(append([]byte{Op1}, bytes.Repeat([]byte{OpSHA256}, 10_000)...), drops(1)...), nil, "OK"},
	} {
		c, _, _ := leafSpend(t, tc.script, tc.stack...)
		expect(t, c, Consensus, tc.want, tc.name)
	}
}

// TestBudget spends the signature budget to its end: 50 and the size of the
// witness, 50 for each signature that is not empty.
func TestBudget(t *testing.T) {
	for checks := 1; checks < 8; checks++ {
		// DUP DUP leaves (signature, key) three times; a check takes four bytes.
		script := bytes.Repeat([]byte{Op1, Op1 + 1, OpCheckSigVerify, OpNop}, checks)
		script = append(script, Op1)
		c, tx, _ := leafSpend(t, script)
		size := tx.Inputs[0].WitnessSize()
		// An annex counts too: make the budget exact, then one short.
		for _, spare := range []int{0, 1} {
			pad := checks*50 - 50 - size - spare - 1 // the annex's length byte
			if pad < 1 {
				continue
			}
			plain := tx.Inputs[0].Witness
			tx.Inputs[0].Witness = append(plain[:len(plain):len(plain)], append([]byte{AnnexTag}, make([]byte, pad-1)...))
			if got := tx.Inputs[0].WitnessSize(); got+50 != checks*50-spare {
				t.Fatalf("budget %d for %d checks", got+50, checks)
			}
			want := "OK"
			if spare == 1 {
				want = "TAPSCRIPT_VALIDATION_WEIGHT"
			}
			expect(t, c, Consensus, want, "budget")
			tx.Inputs[0].Witness = plain
		}
	}
	// Empty signatures are free.
	c, _, _ := leafSpend(t, append(bytes.Repeat([]byte{Op0, Op1 + 1, OpCheckSig, OpDrop}, 500), Op1))
	expect(t, c, Consensus, "OK", "empty signatures")
	// The budget is charged before the key is looked at.
	c, _, _ = leafSpend(t, append(bytes.Repeat([]byte{Op1, Op1, OpCheckSigVerify}, 10), Op1, Op0, OpCheckSig))
	expect(t, c, Consensus, "TAPSCRIPT_VALIDATION_WEIGHT", "an empty key beyond the budget")
}

func TestPolicy(t *testing.T) {
	for _, tc := range []struct{ name, script, stack, want string }{
		{"NOP1", "51 b0", "", "DISCOURAGE_UPGRADABLE_NOPS"},
		{"NOP10", "51 b9", "", "DISCOURAGE_UPGRADABLE_NOPS"},
		{"NOP4 not executed", "51 00 63 b3 68", "", "OK"},
		{"unknown key", "51 52 ac", "", "DISCOURAGE_UPGRADABLE_PUBKEYTYPE"},
		{"unknown key, no signature", "00 52 ac 91", "", "DISCOURAGE_UPGRADABLE_PUBKEYTYPE"},
		{"push of 1", "0101", "", "MINIMALDATA"},
		{"push of -1", "0181", "", "MINIMALDATA"},
		{"push of 16", "0110", "", "MINIMALDATA"},
		{"push of 17", "0111", "", "OK"},
		{"empty push by PUSHDATA1", "51 4c00 91 69", "", "MINIMALDATA"},
		{"PUSHDATA1 of 75", "4c4b" + strings.Repeat("aa", 75), "", "MINIMALDATA"},
		{"PUSHDATA1 of 76", "4c4c" + strings.Repeat("aa", 76), "", "OK"},
		{"PUSHDATA2 of 255", "4dff00" + strings.Repeat("aa", 255), "", "MINIMALDATA"},
		{"PUSHDATA2 of 256", "4d0001" + strings.Repeat("aa", 256), "", "OK"},
		{"PUSHDATA4 of 256", "4e00010000" + strings.Repeat("aa", 256), "", "MINIMALDATA"},
		{"long push not executed", "51 00 63 0101 68", "", "OK"},
		{"number 0100", "8b", "0100", "SCRIPTNUM"},
		{"number 80", "8b", "80", "SCRIPTNUM"},
		{"number ff00", "8b", "ff00", "OK"},
		{"lock time 0a00", "b2", "0a00", "SCRIPTNUM"},
		{"truth 0100 is no number", "", "0100", "OK"},
	} {
		script, stack := asm(t, tc.script, tc.stack)
		c, _, _ := leafSpend(t, script, stack...)
		expect(t, c, Standard, tc.want, tc.name)
	}
}

// TestWitnessPrograms spends programs that have no meaning, or the wrong form.
func TestWitnessPrograms(t *testing.T) {
	zeros := strings.Repeat("00", 31)
	for _, tc := range []struct{ name, script, scriptSig, witness, consensus, standard string }{
		{"version 2", "5220" + zeros + "01", "", "aa", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"version 16, 2 bytes", "60020001", "", "", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"version 1, 31 bytes", "511f" + zeros[2:] + "01", "", "", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"version 1, 33 bytes", "5121" + zeros + "0001", "", "", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"anchor", "51024e73", "", "", "OK", "OK"},
		{"anchor with a witness", "51024e73", "", "aa", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"version 2 with the anchor's program", "52024e73", "", "", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"a program that is false", "60020000", "", "", "EVAL_FALSE", "EVAL_FALSE"},
		{"a program that is a negative zero", "60020080", "", "", "EVAL_FALSE", "EVAL_FALSE"},
		{"a program that is not quite", "60028000", "", "", "OK", "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"},
		{"a key that is false", "5120" + zeros + "80", "", "aa", "EVAL_FALSE", "EVAL_FALSE"},
		{"scriptSig", "60020001", "00", "", "WITNESS_MALLEATED", "WITNESS_MALLEATED"},
		{"scriptSig on taproot", "5120" + zeros + "01", "51", "", "WITNESS_MALLEATED", "WITNESS_MALLEATED"},
		{"no witness", "5120" + zeros + "01", "", "", "WITNESS_PROGRAM_WITNESS_EMPTY", "WITNESS_PROGRAM_WITNESS_EMPTY"},
		{"a lone annex is a signature", "5120" + zeros + "01", "", "50", "SCHNORR_SIG_SIZE", "SCHNORR_SIG_SIZE"},
		{"empty key path signature", "5120" + zeros + "01", "", "-", "SCHNORR_SIG_SIZE", "SCHNORR_SIG_SIZE"},
		{"control block of 32", "5120" + zeros + "01", "", "51 " + zeros + "c0", "TAPROOT_WRONG_CONTROL_SIZE", "TAPROOT_WRONG_CONTROL_SIZE"},
		{"control block of 34", "5120" + zeros + "01", "", "51 c0" + zeros + "0000", "TAPROOT_WRONG_CONTROL_SIZE", "TAPROOT_WRONG_CONTROL_SIZE"},
		{"control block of 129 nodes", "5120" + zeros + "01", "", "51 c0" + strings.Repeat("00", 32*130), "TAPROOT_WRONG_CONTROL_SIZE", "TAPROOT_WRONG_CONTROL_SIZE"},
		{"control block of 128 nodes", "5120" + zeros + "01", "", "51 c0" + strings.Repeat("00", 32*129), "WITNESS_PROGRAM_MISMATCH", "WITNESS_PROGRAM_MISMATCH"},
	} {
		_, witness := asm(t, "", tc.witness)
		tx := &types.Tx{Inputs: []types.TxIn{{ScriptSig: vectors.Hex(t, tc.scriptSig), Witness: witness}}}
		c := NewContext(tx, []types.TxOut{{ScriptPubKey: vectors.Hex(t, tc.script)}})
		expect(t, c, Consensus, tc.consensus, tc.name)
		expect(t, c, Standard, tc.standard, tc.name+", standard")
	}
}

func TestCallerFaults(t *testing.T) {
	tx := &types.Tx{Inputs: make([]types.TxIn, 1)}
	for _, script := range []string{"", "51", "6a", "0014" + strings.Repeat("11", 20), "76a914", "5101aa"} {
		c := NewContext(tx, []types.TxOut{{ScriptPubKey: vectors.Hex(t, script)}})
		if err := c.VerifyInput(0, Consensus, nil); !errors.Is(err, ErrNotSpendable) {
			t.Errorf("prevout %s: %v", script, err)
		}
	}
	for _, c := range []*Context{NewContext(tx, nil), NewContext(tx, make([]types.TxOut, 2)), new(Context)} {
		if err := c.VerifyInput(0, Consensus, nil); !errors.Is(err, ErrContext) {
			t.Error(err)
		}
	}
	c := NewContext(tx, make([]types.TxOut, 1))
	for _, index := range []int{-1, 1} {
		if err := c.VerifyInput(index, Consensus, nil); !errors.Is(err, ErrContext) {
			t.Error(err)
		}
		if _, err := c.SignatureHash(index, 0, nil, nil); !errors.Is(err, ErrContext) {
			t.Error(err)
		}
	}
	if _, err := c.SignatureHash(0, SigHashSingle, nil, nil); verdictOf(t, err) != "SCHNORR_SIG_HASHTYPE" {
		t.Error(err)
	}
}

// TestLockTimes has the fields of the transaction that the opcodes compare with.
func TestLockTimes(t *testing.T) {
	const cltv, csv = "b1", "b2"
	for _, tc := range []struct {
		script                      string
		version, lockTime, sequence uint32
		want                        string
	}{
		{"00" + cltv + "91", 0, 0, 0, "OK"},
		{"00" + cltv + "91", 0, 0, 0xfffffffe, "OK"},
		{"00" + cltv + "91", 0, 0, 0xffffffff, "UNSATISFIED_LOCKTIME"},
		{"00" + cltv + "91", 0, 0, 0x80000000, "OK"},
		{"04ff64cd1d" + cltv, 0, 499_999_999, 0, "OK"},
		{"04ff64cd1d" + cltv, 0, 500_000_000, 0, "UNSATISFIED_LOCKTIME"},
		{"040065cd1d" + cltv, 0, 500_000_000, 0, "OK"},
		{"05ffffffff00" + cltv, 0, 0xffffffff, 0, "OK"},
		{"050000000001" + cltv, 0, 0xffffffff, 0, "UNSATISFIED_LOCKTIME"},
		{"00" + csv + "91", 1, 0, 0, "UNSATISFIED_LOCKTIME"},
		{"00" + csv + "91", 2, 0, 0, "OK"},
		{"00" + csv + "91", 0x80000000, 0, 0, "OK"}, // BIP68's version is unsigned
		{"00" + csv + "91", 2, 0, 1 << 31, "UNSATISFIED_LOCKTIME"},
		{"05ffffffff00" + csv, 0, 0, 1 << 31, "OK"}, // the operand disables itself
		{"050000000001" + csv, 2, 0, 0, "OK"},       // bits beyond 32 mean nothing
		{"03ffff40" + csv, 2, 0, 0x40ffff, "OK"},
		{"03ffff40" + csv, 2, 0, 0x40fffe, "UNSATISFIED_LOCKTIME"},
		{"03ffff00" + csv, 2, 0, 0x40ffff, "UNSATISFIED_LOCKTIME"},
		{"03ffff40" + csv, 2, 0, 0x00ffff, "UNSATISFIED_LOCKTIME"},
		{"02ff7f" + csv, 2, 0, 0x3f7fff, "OK"},
	} {
		script, _ := asm(t, tc.script, "")
		c, tx, _ := leafSpend(t, script)
		tx.Version, tx.LockTime, tx.Inputs[0].Sequence = tc.version, tc.lockTime, tc.sequence
		expect(t, c, Consensus, tc.want, tc.script)
	}
}

// TestUnknownLeafVersions holds that a leaf of another version is not read, but
// that the output must commit to it.
func TestUnknownLeafVersions(t *testing.T) {
	_, internal := testKey(9)
	for version := 0; version < 256; version += 2 {
		if version == LeafVersionTapscript {
			continue
		}
		script := []byte{OpReturn, OpPushData4}
		control := controlBlock{LeafVersion: byte(version), InternalKey: [32]byte(internal)}
		root := control.merkleRoot(script)
		output, parity, err := OutputKey(control.InternalKey, root[:])
		if err != nil {
			t.Fatal(err)
		}
		control.Parity = parity
		tx := &types.Tx{Inputs: []types.TxIn{{Witness: [][]byte{make([]byte, 600), script, control.encode()}}}}
		c := NewContext(tx, []types.TxOut{{ScriptPubKey: append([]byte{Op1, 32}, output[:]...)}})
		if control.encode()[0] == AnnexTag { // the control block is taken for an annex
			expect(t, c, Consensus, "TAPROOT_WRONG_CONTROL_SIZE", "leaf version 50")
			continue
		}
		expect(t, c, Consensus, "OK", "unknown leaf version")
		expect(t, c, Standard, "DISCOURAGE_UPGRADABLE_TAPROOT_VERSION", "unknown leaf version, standard")
		control.Parity ^= 1
		tx.Inputs[0].Witness[2] = control.encode()
		if control.encode()[0] == AnnexTag {
			continue
		}
		expect(t, c, Consensus, "WITNESS_PROGRAM_MISMATCH", "unknown leaf version, wrong parity")
	}
}

// TestCodeSeparator signs at each position of a script with separators, one of
// which is not executed.
func TestCodeSeparator(t *testing.T) {
	key, public := testKey(3)
	push := append([]byte{32}, public...)
	// 0: key, 1: CHECKSIGVERIFY, 2: SEP, 3: 0, 4: IF, 5: SEP, 6: ENDIF, 7: key,
	// 8: CHECKSIGVERIFY, 9: a push, 10: DROP, 11: SEP, 12: key, 13: CHECKSIG
	script := append(append([]byte(nil), push...), OpCheckSigVerify, OpCodeSeparator, Op0, OpIf, OpCodeSeparator, OpEndIf)
	script = append(append(script, push...), OpCheckSigVerify, 2, 0xab, 0xab, OpDrop, OpCodeSeparator)
	script = append(append(script, push...), OpCheckSig)
	c, tx, leaf := leafSpend(t, script, nil, nil, nil)
	set := func(positions [3]uint32) {
		for i, position := range positions {
			message, err := c.SignatureHash(0, SigHashDefault, nil, &ScriptPath{LeafHash: leaf, CodeSeparator: position})
			if err != nil {
				t.Fatal(err)
			}
			tx.Inputs[0].Witness[2-i] = sign(t, key, message)
		}
	}
	set([3]uint32{NoCodeSeparator, 2, 11})
	expect(t, c, Standard, "OK", "code separators")
	set([3]uint32{NoCodeSeparator, 5, 11})
	expect(t, c, Standard, "SCHNORR_SIG", "a separator that was not executed")
	set([3]uint32{NoCodeSeparator, 2, binary.LittleEndian.Uint32([]byte{2, 0, 0, 0})})
	expect(t, c, Standard, "SCHNORR_SIG", "an earlier separator")
}

func TestOutputKeyErrors(t *testing.T) {
	_, public := testKey(3)
	if _, _, err := OutputKey([32]byte(public), make([]byte, 31)); err == nil {
		t.Error("a root of 31 bytes")
	}
	if _, _, err := OutputKey([32]byte(bytes.Repeat([]byte{0xff}, 32)), nil); err == nil {
		t.Error("an x beyond the field")
	}
	if leaf, _ := leafHash(nil, 0xc0, []byte{Op1}); leaf != TaggedHash("TapLeaf", []byte{0xc0}, []byte{1}, []byte{Op1}) {
		t.Error("the tagged hash of the parts is not that of the leaf")
	}
	if a, b := BranchHash([32]byte{1}, [32]byte{2}), BranchHash([32]byte{2}, [32]byte{1}); a != b {
		t.Error("the order of a branch's children matters")
	}
}
