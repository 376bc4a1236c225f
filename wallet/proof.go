package wallet

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/proof"
	"github.com/karatcoin/karat/chain/types"
)

var (
	// ErrUnknownTransaction is a transaction that the wallet does not have.
	ErrUnknownTransaction = errors.New("the wallet has no such transaction")
	// ErrUndone is a block that is not in the wallet's chain: a reorganisation undid it, or
	// it was never there.
	ErrUndone = errors.New("the block is not in the chain that this wallet knows")
	// ErrAhead is a block above the wallet's headers.
	ErrAhead = errors.New("the wallet has not synced that far")
)

// How many headers a proof takes along if the chain is longer than wholeProof.
const (
	wholeProof     = 2016 // blocks of a chain whose headers all fit in 220 kB of text
	headersOfProof = 144
)

// FindOutput returns the transaction with an output script that the wallet sent, if there is
// one: the confirmed one, where it was replaced, else one that waits.
func (w *Wallet) FindOutput(script []byte) (txid types.Hash, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	best := -1
	for id, t := range w.transactions {
		for i := range t.Tx.Outputs {
			if string(t.Tx.Outputs[i].ScriptPubKey) != string(script) {
				continue
			}
			rank := 1
			if t.confirmed() {
				rank = 2
			} else if w.ledger().conflicts[id] {
				rank = 0
			}
			if rank > best {
				txid, best = id, rank
			}
		}
	}
	return txid, best >= 0
}

// Prove proves that a transaction of the wallet's is in its block, of which it asks the node.
// The proof has some headers on top, or those of the whole chain. While the transaction waits
// it is proof.Pending. Errors: ErrUnknownTransaction, and those of Sync.
func (w *Wallet) Prove(ctx context.Context, node Node, txid types.Hash, whole bool) (*proof.Proof, error) {
	w.mu.Lock()
	t := w.transactions[txid]
	if t == nil || !t.confirmed() {
		w.mu.Unlock()
		if t == nil {
			return nil, fmt.Errorf("%w: %s", ErrUnknownTransaction, txid)
		}
		return proof.Pending(w.params, t.Tx), nil
	}
	header, err := w.headerAt(t.Height)
	var from uint32
	var headers []types.Header
	if err == nil {
		from, headers, err = w.headersFor(t.Height, whole)
	}
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	block, err := w.fetchBlock(ctx, node, types.Index{Height: t.Height, Hash: header.Hash()})
	if err != nil {
		return nil, err
	}
	p, err := proof.New(w.params, block, t.Height, txid)
	if err != nil {
		return nil, lying("%v", err)
	}
	p.From, p.Headers = from, headers
	return p, nil
}

// headersFor returns the headers that go into a proof. It assumes mu.
func (w *Wallet) headersFor(height uint32, whole bool) (from uint32, headers []types.Header, err error) {
	from, end := height+1, min(w.tip.Height, height+headersOfProof)
	if whole || w.tip.Height <= wholeProof {
		from, end = 1, w.tip.Height
	}
	for at := from; at <= end; at++ {
		h, err := w.headerAt(at)
		if err != nil {
			return 0, nil, err
		}
		headers = append(headers, h)
	}
	return from, headers, nil
}

// fetchBlock returns a block of the wallet's chain, from the first node that has it.
func (w *Wallet) fetchBlock(ctx context.Context, node Node, at types.Index) (*types.Block, error) {
	if at.Height == 0 {
		return w.params.GenesisBlock().Block, nil
	}
	err := fmt.Errorf("%w: none is left to ask", ErrUnreachable)
	for _, r := range remotes(node, w.params) {
		block, failed := r.block(ctx, at.Hash)
		if failed == nil {
			return block.Block, nil
		}
		err = r.named(failed)
	}
	return nil, err
}

// Depth returns how many blocks of the wallet's chain confirm a block, itself included, and
// their work. Nobody is asked. Errors: ErrUndone, ErrAhead.
func (w *Wallet) Depth(block types.Index) (confirmations uint32, work consensus.Uint256, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if block.Height > w.tip.Height {
		return 0, work, fmt.Errorf("%w: its last header is %d, and block %d is asked for", ErrAhead, w.tip.Height, block.Height)
	}
	h, err := w.headerAt(block.Height)
	if err != nil {
		return 0, work, err
	}
	if hash := h.Hash(); hash != block.Hash {
		return 0, work, fmt.Errorf("%w: at height %d there is %s", ErrUndone, block.Height, hash)
	}
	tip, err := w.stateAt(w.tip.Height)
	if err != nil {
		return 0, work, err
	}
	work = tip.Work
	if block.Height > 0 {
		below, err := w.stateAt(block.Height - 1)
		if err != nil {
			return 0, work, err
		}
		work = tip.Work.Sub(below.Work)
	}
	return w.tip.Height - block.Height + 1, work, nil
}
