package consensus

import (
	"sort"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// judgedTogether is how many claims JudgeScripts checks at once.
const judgedTogether = 4096

// JudgeScripts gives the final verdict on the scripts of a whole block: that of
// CheckScripts with nil claims, to the letter, for a third of the work. For signatures are
// checked together here too. So a block whose last signature is wrong costs a node
// little more than one that is valid.
func JudgeScripts(b *HashedBlock, prevouts []types.TxOut) error {
	var ctx taproot.Context
	var j judge
	for i := 1; i < len(b.Block.Txs); i++ {
		tx := &b.Block.Txs[i]
		spent := prevouts[:len(tx.Inputs)]
		prevouts = prevouts[len(tx.Inputs):]
		ctx.Reset(tx, spent)
		for input := range tx.Inputs {
			fault := ctx.VerifyInput(input, taproot.Consensus, &j.batch)
			j.inputs = append(j.inputs, judged{b.TxIDs[i], input, j.batch.Len()})
			if fault == nil && j.batch.Len() < judgedTogether {
				continue
			}
			// What was put off comes first in the order of the block.
			if err := j.settle(); err != nil {
				return err
			}
			if fault != nil {
				return scriptError(fault, b.TxIDs[i], input)
			}
		}
	}
	return j.settle()
}

// judge holds claims that were put off, and the inputs that made them.
type judge struct {
	batch  secp.Batch
	inputs []judged
}

// judged is an input whose script has run.
type judged struct {
	txid  types.Hash
	input int
	end   int // of its claims in the batch
}

// settle checks the claims, and forgets them.
func (j *judge) settle() error {
	if offender := j.batch.Offender(); offender >= 0 {
		at := sort.Search(len(j.inputs), func(i int) bool { return j.inputs[i].end > offender })
		return scriptError(taproot.FalseClaim(j.batch.IsTweak(offender)), j.inputs[at].txid, j.inputs[at].input)
	}
	j.batch.Reset()
	j.inputs = j.inputs[:0]
	return nil
}
