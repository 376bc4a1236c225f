package p2p

import (
	"errors"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// FetchBlock asks the peer of a number (peerinfo.Info) for a block of which the header
// is known, wherever in the tree it is. It does not wait for the block. The errors have
// Bitcoin Core's words (getblockfrompeer), with a small letter first.
func (m *Manager) FetchBlock(number int, hash types.Hash) error {
	for _, p := range m.slots.all() {
		if p.number == number {
			return m.sync.fetch(p, hash)
		}
	}
	if err := m.sync.fetchable(hash); err != nil {
		return err
	}
	return errors.New("peer does not exist")
}

// UploadTarget returns how much is sent in a day at most, and how much was.
func (m *Manager) UploadTarget() peerinfo.UploadTarget { return m.sync.uploads.state() }

// fetchable says why a block is not to be fetched.
func (s *syncer) fetchable(hash types.Hash) error {
	info, ok := s.tree.Info(hash)
	switch {
	case !ok:
		return errors.New("block header missing")
	case s.pruned && info.Height > s.tree.Tip().Height: // it would keep files from being pruned
		return errors.New("in prune mode, only blocks that the node has already synced previously can be fetched from a peer")
	case info.Status.Has(header.StatusBody):
		return errors.New("block already downloaded")
	}
	return nil
}

// fetch asks a peer for a block. If others were asked before, the first that comes is
// taken.
func (s *syncer) fetch(p *peer, hash types.Hash) error {
	if err := s.fetchable(hash); err != nil {
		return err
	}
	info, _ := s.tree.Info(hash)
	s.blocks.Want(hash)
	s.mu.Lock()
	sp := s.peers[p]
	there, asked := sp != nil, sp != nil && sp.flying[hash] != nil
	if there && !asked {
		s.fly(p, types.Index{Height: info.Height, Hash: hash}, s.now()).whole = true
	}
	s.mu.Unlock()
	switch {
	case !there:
		return errors.New("peer not fully connected")
	case asked:
		return errors.New("already requested from this peer")
	}
	p.send(&wire.GetBlocks{Hashes: []types.Hash{hash}})
	return nil
}
