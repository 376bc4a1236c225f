package mempool

import (
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// The tests of this file are tricks by which a stranger who shares an output of a
// transaction, or who sees it, keeps its owner from paying more for it (pinning).

// The stranger's child is as large as it may be, so that it is dear to outbid by BIP125's
// rules 3 and 4. Version 3 bounds that: ten times the owner's own child at most.
func TestPinningByALargeChild(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(10)
	shared := h.truc(h.Pay(1000, 2, coins[0]))
	h.accept(shared)
	const rate = types.FeeRate(2000)
	h.refuse(h.padded(MaxTRUCChildVSize+1, 90_000, chaintest.Output(shared, 1)), consensus.ErrPolicy, ReasonTRUC)
	pin := h.padded(MaxTRUCChildVSize, rate.Fee(MaxTRUCChildVSize), chaintest.Output(shared, 1))
	h.accept(pin)
	h.refuse(h.truc(h.Pay(90_000, 1, chaintest.Output(pin, 0))), consensus.ErrPolicy, ReasonTRUC) // no further weight
	own := h.truc(h.Pay(rate.Fee(MaxTRUCChildVSize)+20, 1, chaintest.Output(shared, 0)))
	h.accept(own)
	h.expect(shared, own)
}

// The stranger fills the cluster, so that there is no place for the owner's child. The
// owner of a version 3 transaction has a place; another one can replace what is pinned,
// alone or by a parent and a child, whatever hangs on it: all that is one cluster.
func TestPinningByAFullCluster(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(10)
	fill := func(parent *types.Tx) (all []*types.Tx) {
		last := chaintest.Output(parent, 1)
		for range MaxClusterCount - 1 {
			tx := h.Pay(20, 1, last)
			h.accept(tx)
			all, last = append(all, tx), chaintest.Output(tx, 0)
		}
		return all
	}
	pinned := h.Pay(1000, 2, coins[0])
	h.accept(pinned)
	fill(pinned)
	h.refuse(h.Pay(9000, 1, chaintest.Output(pinned, 0)), consensus.ErrPolicy, ReasonClusterTooLarge)
	better := h.Pay(4000, 2, coins[0])
	h.accept(better)
	h.expect(better)

	fill(better)
	parent := h.Pay(0, 1, coins[0])
	child := h.Pay(9000, 1, chaintest.Output(parent, 0))
	if result := h.acceptPackage(parent, child); len(result.Replaced) != MaxClusterCount {
		t.Errorf("%d are replaced", len(result.Replaced))
	}

	safe := h.truc(h.Pay(1000, 2, coins[1]))
	h.accept(safe, h.truc(h.Pay(20, 1, chaintest.Output(safe, 1))))
	own := h.truc(h.Pay(9000, 1, chaintest.Output(safe, 0)))
	h.accept(own)
	h.expect(parent, child, safe, own)
}

// Rule 5 bounds the clusters that a replacement touches, alone and by a package. Who is
// pinned by more can replace them in parts.
func TestPinningByManyConflicts(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(MaxReplacedClusters + 1)
	var old []*types.Tx
	for _, coin := range coins {
		old = append(old, h.Pay(20, 1, coin))
	}
	h.accept(old...)
	parent := h.Pay(0, 1, coins...)
	child := h.Pay(90_000, 1, chaintest.Output(parent, 0))
	h.refusePackage(0, consensus.ErrPolicy, pending.ReasonMinRelayFee, h.Pay(0, 1, coins...)) // alone its fee is looked at first
	h.refusePackage(-1, consensus.ErrPolicy, ReasonPackageTooManyReplaced, parent, child)
	parent = h.Pay(0, 1, coins[1:]...)
	child = h.Pay(90_000, 1, chaintest.Output(parent, 0))
	if result := h.acceptPackage(parent, child); len(result.Replaced) != MaxReplacedClusters {
		t.Errorf("%d are replaced", len(result.Replaced))
	}
	h.expect(old[0], parent, child)
}

// A package that replaces must pay for the relay of all of it, each time again, and must
// not be worse for a miner because its parent pays for its child.
func TestPinningByCheapPackages(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(5)
	pair := func(fees ...types.Amount) []*types.Tx {
		parent := h.Pay(fees[0], 1, coins[0])
		return []*types.Tx{parent, h.Pay(fees[1], 1, chaintest.Output(parent, 0))}
	}
	first := pair(0, 2000)
	h.acceptPackage(first...)
	h.refusePackage(-1, consensus.ErrPolicy, ReasonPackageInsufficientFee, pair(0, 2000)...)
	h.refusePackage(-1, consensus.ErrPolicy, ReasonPackageInsufficientFee, pair(0, 2001)...)
	least := DefaultIncrementalRelay.Fee(first[0].VirtualSize() + first[1].VirtualSize())
	h.acceptPackage(pair(0, 2000+least)...)
	// The parent alone would replace them, if the child took nothing from it.
	rich := pair(1500+least, 1000)
	h.refusePackage(-1, consensus.ErrPolicy, ReasonPackageParentRate, rich...)
	if h.pool.Info().Count != 2 {
		t.Error("a part of what was refused is in")
	}
}

// Whoever sees a parent can give it another witness, under the same id. One that is wrong
// spoils nothing; one that is right and was faster is taken for it.
func TestPinningByAnotherWitness(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	h.sync()
	parent := h.Sign(h.Pay(0, 2, h.keyCoins(1)[0]))
	child := h.Pay(2000, 1, chaintest.Output(parent, 0))
	witness := func(items ...[]byte) *types.Tx {
		tx := *parent
		tx.Inputs = slices.Clone(parent.Inputs)
		tx.Inputs[0].Witness = items
		return &tx
	}
	wrong := witness(slices.Clone(parent.Inputs[0].Witness[0]))
	wrong.Inputs[0].Witness[0][63] ^= 1
	h.refusePackage(0, consensus.ErrInvalid, "mempool-script-verify-flag-failed (Invalid Schnorr signature)", wrong, child)
	stuffed := witness(parent.Inputs[0].Witness[0], []byte{taproot.AnnexTag, 1, 2, 3})
	h.refusePackage(0, consensus.ErrPolicy, ReasonWitnessStandard, stuffed, child)

	spent := []types.TxOut{h.Outputs[parent.Inputs[0].PreviousOutPoint]}
	message, err := taproot.NewContext(parent, spent).SignatureHash(0, taproot.SigHashDefault, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := schnorr.Sign(chaintest.Key(), message[:], schnorr.CustomNonce([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	other := witness(signature.Serialize())
	strangers := h.Pay(2000, 1, chaintest.Output(parent, 1))
	if other.WTxID() == parent.WTxID() {
		t.Fatal("it is the same witness")
	}
	h.acceptPackage(other, strangers)
	result := h.acceptPackage(parent, child)
	if v := result.Verdicts[0]; !v.Present || v.Entry.WTxID != other.WTxID() {
		t.Errorf("%+v", v)
	}
	h.expect(other, strangers, child)
	if _, err := h.pool.Accept(t.Context(), parent, 0); !errors.Is(err, ReasonSameTxID) {
		t.Errorf("alone: %v", err)
	}
}
