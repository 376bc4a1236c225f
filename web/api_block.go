package web

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// blockJSON is a block as Esplora writes it.
type blockJSON struct {
	ID         types.Hash  `json:"id"`
	Height     uint32      `json:"height"`
	Version    uint32      `json:"version"`
	Timestamp  uint32      `json:"timestamp"`
	TxCount    int         `json:"tx_count"`
	Size       int         `json:"size"`
	Weight     int         `json:"weight"`
	MerkleRoot types.Hash  `json:"merkle_root"`
	Previous   *types.Hash `json:"previousblockhash"`
	MedianTime uint32      `json:"mediantime"`
	Nonce      uint32      `json:"nonce"`
	Bits       uint32      `json:"bits"`
	Difficulty float64     `json:"difficulty"`
}

func (s *Server) blockJSON(ctx context.Context, info header.Info) (blockJSON, error) {
	b, err := s.blocks.get(ctx, info.Hash)
	if err != nil {
		return blockJSON{}, err
	}
	h := &info.Header
	j := blockJSON{
		ID: info.Hash, Height: info.Height, Version: uint32(h.Version), Timestamp: h.Timestamp, TxCount: len(b.TxIDs), Size: len(b.Raw), Weight: b.Weight,
		MerkleRoot: h.MerkleRoot, MedianTime: info.MedianTime, Nonce: h.Nonce, Bits: h.Bits, Difficulty: difficulty(h.Bits),
	}
	if info.Height > 0 {
		j.Previous = &h.PrevBlock
	}
	return j, nil
}

// apiNamedBlock finds the block of the path.
func (s *Server) apiNamedBlock(r *http.Request) (header.Info, error) {
	hash, err := pathHash(r, "hash")
	if err != nil {
		return header.Info{}, err
	}
	info, ok := s.Headers.Info(hash)
	if !ok {
		return header.Info{}, notFound("Not found", "Block not found")
	}
	return info, nil
}

// ofBlock is what is told of the block of the path, and never changes.
func (s *Server) ofBlock(r *http.Request, what func(ctx context.Context, info header.Info, b *body) (any, error)) (*page, error) {
	info, err := s.apiNamedBlock(r)
	if err != nil {
		return nil, err
	}
	return asJSON("", forever, func(ctx context.Context) (any, error) {
		b, err := s.blocks.get(ctx, info.Hash)
		if err != nil {
			return nil, err
		}
		return what(ctx, info, b)
	}), nil
}

func (s *Server) apiBlock(r *http.Request) (*page, error) {
	return s.ofBlock(r, func(ctx context.Context, info header.Info, _ *body) (any, error) { return s.blockJSON(ctx, info) })
}

func (s *Server) apiBlockHeader(r *http.Request) (*page, error) {
	info, err := s.apiNamedBlock(r)
	if err != nil {
		return nil, err
	}
	return asText("", forever, hex.EncodeToString(info.Header.AppendTo(nil))), nil
}

// blockStatusJSON is where a block is.
type blockStatusJSON struct {
	OnBestChain bool        `json:"in_best_chain"`
	Height      *uint32     `json:"height,omitempty"`
	Next        *types.Hash `json:"next_best,omitempty"`
}

// apiBlockStatus says of a block that nobody knows that it is not on the best chain, as Esplora
// does: its clients ask for what a reorganisation has left.
func (s *Server) apiBlockStatus(r *http.Request) (*page, error) {
	info, err := s.apiNamedBlock(r)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	status := blockStatusJSON{OnBestChain: info.OnBestChain}
	if info.OnBestChain {
		status.Height = &info.Height
		if !info.Next.IsZero() {
			status.Next = &info.Next
		}
	}
	return asJSON(fmt.Sprint(info.OnBestChain, info.Next), 0, func(context.Context) (any, error) { return status, nil }), nil
}

func (s *Server) apiBlockTxs(r *http.Request) (*page, error) {
	start, err := pathNumber(r, "start")
	if err != nil {
		return nil, err
	}
	if start%nextPage != 0 {
		return nil, badRequest(fmt.Sprintf("start index must be a multipication of %d", nextPage)) // Esplora's own words
	}
	info, err := s.apiNamedBlock(r)
	if err != nil {
		return nil, err
	}
	// What a block spends is known for sure once it was connected.
	return asJSON(fmt.Sprint(info.OnBestChain, info.Status), 0, func(ctx context.Context) (any, error) {
		b, err := s.blocks.get(ctx, info.Hash)
		if err != nil {
			return nil, err
		}
		if int64(start) >= int64(len(b.TxIDs)) {
			return nil, notFound("Not found", "start index out of range")
		}
		list := []txJSON{}
		for n := int(start); n < len(b.TxIDs) && len(list) < nextPage; n++ {
			j, err := s.foundJSON(ctx, foundTx{txid: b.TxIDs[n], info: info, n: n})
			if err != nil {
				return nil, err
			}
			list = append(list, j)
		}
		return list, nil
	}), nil
}

func (s *Server) apiBlockTxIDs(r *http.Request) (*page, error) {
	return s.ofBlock(r, func(_ context.Context, _ header.Info, b *body) (any, error) { return b.TxIDs, nil })
}

func (s *Server) apiBlockTxID(r *http.Request) (*page, error) {
	info, err := s.apiNamedBlock(r)
	if err != nil {
		return nil, err
	}
	n, err := pathNumber(r, "n")
	if err != nil {
		return nil, err
	}
	return &page{keep: forever, kind: "text/plain; charset=utf-8", make: func(ctx context.Context) (any, error) {
		b, err := s.blocks.get(ctx, info.Hash)
		if err != nil {
			return nil, err
		}
		if int64(n) >= int64(len(b.TxIDs)) {
			return nil, notFound("Not found", "tx index out of range")
		}
		return []byte(b.TxIDs[n].String()), nil
	}}, nil
}

func (s *Server) apiBlockRaw(r *http.Request) (*page, error) {
	info, err := s.apiNamedBlock(r)
	if err != nil {
		return nil, err
	}
	return &page{keep: forever, kind: "application/octet-stream", make: func(ctx context.Context) (any, error) {
		b, err := s.blocks.get(ctx, info.Hash)
		if err != nil {
			return nil, err
		}
		return b.Raw, nil
	}}, nil
}

func (s *Server) apiBlockAt(r *http.Request) (*page, error) {
	height, err := pathNumber(r, "height")
	if err != nil {
		return nil, err
	}
	hash, ok := s.Headers.HashAt(height)
	if !ok {
		return nil, notFound("Not found", "Block not found")
	}
	return asText(hash.String(), 0, hash.String()), nil
}

// apiBlocks is the ten newest blocks, or those below a height.
func (s *Server) apiBlocks(r *http.Request) (*page, error) {
	const most = 10
	tip := s.Headers.Tip()
	start := tip.Height
	if r.PathValue("start") != "" {
		given, err := pathNumber(r, "start")
		if err != nil {
			return nil, err
		}
		start = min(start, given)
	}
	return asJSON(tip.Hash.String(), 0, func(ctx context.Context) (any, error) {
		list := []blockJSON{}
		for height := int64(start); height >= 0 && len(list) < most; height-- {
			info, ok := s.at(uint32(height))
			if !ok {
				break // a reorganisation has just made the chain shorter
			}
			j, err := s.blockJSON(ctx, info)
			if err != nil {
				return nil, err
			}
			list = append(list, j)
		}
		return list, nil
	}), nil
}

func (s *Server) apiTipHeight(*http.Request) (*page, error) {
	tip := s.Headers.Tip()
	return asText(tip.Hash.String(), 0, strconv.FormatUint(uint64(tip.Height), 10)), nil
}

func (s *Server) apiTipHash(*http.Request) (*page, error) {
	tip := s.Headers.Tip()
	return asText(tip.Hash.String(), 0, tip.Hash.String()), nil
}
