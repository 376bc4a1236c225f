package consensus

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// MedianTimeBlocks is the number of headers whose times make a median time past
// (BIP113). It is odd, so that the median is one of them.
const MedianTimeBlocks = 11

// State is what the rules need to know of the chain below a block: its parent, and
// the times of the last headers. It is a value that shares nothing, so many blocks
// can be checked at once, and a branch is tried by extending a copy.
type State struct {
	Index  types.Index  // of the parent
	Header types.Header // of the parent
	Work   Uint256      // of the chain up to and with the parent

	times [MedianTimeBlocks]uint32 // of the last headers, oldest first
	count int                      // of times
}

// NewState returns the state after a header. The timestamps are those of the last
// headers up to and with this one, oldest first. There are MedianTimeBlocks of them
// unless the chain is shorter.
func NewState(index types.Index, header types.Header, work Uint256, timestamps []uint32) State {
	s := State{Index: index, Header: header, Work: work}
	timestamps = timestamps[max(0, len(timestamps)-MedianTimeBlocks):]
	s.count = copy(s.times[:], timestamps)
	return s
}

// GenesisState returns the state after the genesis block, on which block 1 stands.
func (p *Params) GenesisState() State {
	genesis := p.GenesisBlock()
	header := genesis.Block.Header
	return NewState(types.Index{Hash: genesis.Hash}, header, BlockWork(header.Bits), []uint32{header.Timestamp})
}

// Extend returns the state after a child of the parent. hash is the header's.
func (s *State) Extend(header *types.Header, hash types.Hash) State {
	times := append(s.times[:s.count:s.count], header.Timestamp)
	return NewState(types.Index{Height: s.Index.Height + 1, Hash: hash}, *header, s.Work.Add(BlockWork(header.Bits)), times)
}

// MedianTimePast returns the median of the times of the last eleven headers, in
// seconds since 1970 (BIP113). Each block must be later than it, so unlike the times
// themselves it never goes back, whatever miners write.
func (s *State) MedianTimePast() uint32 {
	var buf [MedianTimeBlocks]uint32
	times := buf[:copy(buf[:], s.times[:s.count])]
	slices.Sort(times)
	return times[len(times)/2]
}
