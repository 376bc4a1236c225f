package chain

import (
	"math"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// AddHeaders adds headers to the tree, each the child of one that is known or
// stands before it in the list. It ends at the first that is refused, with an
// ErrInvalid, or with an ErrNotYet for an unknown parent or a time in the future;
// those before it stay. Headers that are known already are passed over.
//
// It takes no turn: a header changes no coins, and peers must be able to tell of
// headers while a long import goes on.
func (c *Chain) AddHeaders(headers []types.Header) error {
	now := c.now().Unix()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range headers {
		if _, err := c.addHeader(&headers[i], headers[i].Hash(), now); err != nil {
			return err
		}
	}
	return nil
}

// errKnownInvalid is for a header that is in the tree and was refused.
func errKnownInvalid(n *blockNode) error {
	return &consensus.RuleError{Kind: consensus.ErrInvalid, Reason: consensus.ReasonDuplicateInvalid, Detail: n.index().String()}
}

// addHeader returns the blockNode of a header that is in the tree or can be. For one
// that is in the tree and was refused it returns an error beside it. It assumes mu.
func (c *Chain) addHeader(header *types.Header, hash types.Hash, now int64) (*blockNode, error) {
	if n := c.tree[hash]; n != nil {
		if n.refused() {
			return n, errKnownInvalid(n)
		}
		return n, nil
	}
	// Proof of work comes first: what costs nothing to make must cost little to refuse.
	if err := consensus.CheckHeader(c.params, header, hash); err != nil {
		return nil, err
	}
	parent := c.tree[header.PrevBlock]
	if parent == nil {
		return nil, &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: consensus.ReasonParentUnknown, Detail: header.PrevBlock.String()}
	}
	if parent.refused() {
		return nil, &consensus.RuleError{Kind: consensus.ErrInvalid, Reason: consensus.ReasonParentInvalid, Detail: parent.index().String()}
	}
	state := parent.state()
	if err := consensus.ValidateHeader(c.params, &state, header, now); err != nil {
		return nil, err
	}
	n := newBlockNode(parent, *header, hash)
	n.order = headerOrder
	c.tree[hash] = n
	c.dirty[n] = struct{}{}
	if n.better(c.bestHeader) {
		c.bestHeader = n
	}
	return n, nil
}

// headerOrder is the order of a header without a body: it is later than any block's.
const headerOrder = math.MaxInt64
