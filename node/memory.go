package node

import (
	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/web"
)

// MemoryBeside is about how many bytes the node takes beside its coin cache and what is on its
// way: the header tree, which grows with the chain, and the pages that were made.
func (n *Node) MemoryBeside() int64 {
	beside := int64(n.chain.BestHeader().Height) * chain.HeaderMemory
	if n.config.Web != "" {
		beside += web.Memory
	}
	return beside
}
