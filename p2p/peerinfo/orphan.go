package peerinfo

import "github.com/karatcoin/karat/chain/types"

// Orphan is a transaction that waits for what it spends.
type Orphan struct {
	Tx    *types.Tx // which is not to be changed
	WTxID types.Hash
	From  []int // numbers of the peers that have it (Info), in the order in which they told of it
}
