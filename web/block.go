package web

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

const (
	listedBlocks = 25 // on a page of the list
	listedTxs    = 25 // of a block
	// deep is the number of confirmations from which on a page does not count them: it
	// never changes again, but for a reorganisation such as no network should see.
	deep     = 100
	deepKeep = 24 * time.Hour

	maxBranches   = 20  // that are shown
	maxBranchWalk = 500 // blocks down from the end of one
)

type blockListView struct {
	Frame
	Blocks   []Summary
	Newer    string // path; empty: there are none
	Older    string
	Now      time.Time
	Branches []branch
	Reorgs   []Reorg
}

// branch is an end of the header tree beside the best chain.
type branch struct {
	header.Tip
	Words string
}

// blockList is a page of the best chain, from ?from= downwards, and what is beside it.
func (s *Server) blockList(r *http.Request) (*page, error) {
	tip := s.Headers.Tip()
	from := tip.Height
	if text := r.URL.Query().Get("from"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, notFound("Not found", "There is no block of that height.")
		}
		from = min(uint32(n), tip.Height)
	}
	beside, reorgs := branches(s.tips.get()), s.feed.seen()
	version := fmt.Sprint(tip, from, len(reorgs))
	for _, b := range beside {
		version += fmt.Sprint(b.Index, b.BranchLength, b.Status)
	}
	if len(reorgs) > 0 { // of which the oldest are forgotten
		version += fmt.Sprint(reorgs[0].From, reorgs[0].To, reorgs[0].Seen.UnixNano())
	}
	return &page{version: version, view: "blocks", make: func(ctx context.Context) (any, error) {
		v := blockListView{Frame: s.frame("Blocks", "blocks"), Now: s.Status.Now()}
		if from == tip.Height {
			v.Frame = v.Frame.live("block")
		}
		for height, left := int64(from), listedBlocks; height >= 0 && left > 0; height, left = height-1, left-1 {
			sum, ok, err := s.summaryAt(ctx, uint32(height))
			if err != nil {
				return nil, err
			}
			if ok {
				v.Blocks = append(v.Blocks, sum)
			}
		}
		if from < tip.Height {
			v.Newer = s.to("blocks") + "?from=" + strconv.Itoa(int(min(from+listedBlocks, tip.Height)))
		}
		if from >= listedBlocks {
			v.Older = s.to("blocks") + "?from=" + strconv.Itoa(int(from-listedBlocks))
		}
		v.Branches, v.Reorgs = beside, reorgs
		return v, nil
	}}, nil
}

// branches are the ends beside the best chain, in words.
func branches(tips []header.Tip) (list []branch) {
	for _, t := range tips {
		words := map[string]string{
			"valid-fork": "a valid branch that was left for one with more work", "valid-headers": "stored, and not checked to its end",
			"headers-only": "its blocks are not here", "invalid": "breaks a rule, or was ruled out by the operator",
		}[t.Status]
		if words != "" && len(list) < maxBranches {
			list = append(list, branch{t, words})
		}
	}
	return list
}

type blockView struct {
	Frame
	Summary
	Deep          bool
	Confirmations uint32
	Difficulty    float64
	Bits, Version string
	Prev          types.Hash
	Subsidy       types.Amount
	Interval      time.Duration // since its parent; negative: its clock was behind
	HasInterval   bool
	Txs           []txRow
	From, To      int // positions of the transactions that are shown, the first is 1
	Newer, Older  string
	Map           template.HTML
	Sizes         template.HTML
	Siblings      []types.Index
	Pruned        bool
	CoinbaseHex   string
	Body          bool
}

// findBlock finds the block that a path names: by hash, by height, or the latest.
func (s *Server) findBlock(text string) (header.Info, error) {
	if text == "latest" || text == "tip" {
		info, _ := s.Headers.Info(s.Headers.Tip().Hash)
		return info, nil
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && len(text) <= 10 {
		if info, ok := s.at(uint32(n)); ok {
			return info, nil
		}
		tip := s.Headers.Tip().Height
		return header.Info{}, notFound("No block of that height yet", fmt.Sprintf("The best chain ends at block %d.", tip), hint{"The latest block", s.to("block", tip)})
	}
	hash, err := types.ParseHash(strings.ToLower(text))
	if err != nil {
		return header.Info{}, notFound("Not found", "A block is named by its height, or by the 64 digits of its hash.", hint{"The latest block", s.to("block", "latest")})
	}
	info, ok := s.Headers.Info(hash)
	if !ok {
		return info, notFound("Unknown block", "This node has heard of no block of that hash.", hint{"The latest block", s.to("block", "latest")})
	}
	return info, nil
}

// pageOf reads a position in a list from a query.
func pageOf(r *http.Request, name string) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

// blockPage is a block with some of its transactions.
func (s *Server) blockPage(r *http.Request) (*page, error) {
	named := r.PathValue("block")
	info, err := s.findBlock(named)
	if err != nil {
		return nil, err
	}
	from := pageOf(r, "tx") / listedTxs * listedTxs
	tip := s.Headers.Tip()
	p := &page{view: "block"}
	isDeep := info.OnBestChain && tip.Height-info.Height >= deep
	switch {
	case isDeep:
		// A block that is not stored any more has another page, and so has one with siblings
		// of which the node hears later.
		p.version = fmt.Sprint(info.Hash, from, info.Status, s.siblings(info))
		if len(named) == 2*types.HashSize {
			p.keep = deepKeep
		}
	default:
		p.version = fmt.Sprint(info.Hash, from, info.Status, tip, s.siblings(info))
	}
	p.make = func(ctx context.Context) (any, error) {
		v := blockView{
			Frame: s.frame(fmt.Sprintf("Block %d", info.Height), "blocks"), Deep: isDeep, Difficulty: difficulty(info.Header.Bits), Prev: info.Header.PrevBlock,
			Bits: fmt.Sprintf("%08x", info.Header.Bits), Version: fmt.Sprintf("%08x", uint32(info.Header.Version)), Subsidy: s.reward(info.Height, 0), Siblings: s.siblings(info),
		}
		if !isDeep {
			v.Frame = v.Frame.live("block")
		}
		if info.OnBestChain {
			v.Confirmations = tip.Height - info.Height + 1
		}
		if parent, ok := s.Headers.Info(info.Header.PrevBlock); ok {
			v.HasInterval = true
			v.Interval = time.Duration(int64(info.Header.Timestamp)-int64(parent.Header.Timestamp)) * time.Second
		}
		v.Summary.Info = info
		if !info.Status.Has(header.StatusBody) {
			v.Pruned = info.Status.Has(header.StatusValid)
			return v, nil
		}
		b, err := s.blocks.get(ctx, info.Hash)
		if err != nil {
			return nil, err
		}
		v.Summary, v.Body = s.sums.add(info, b), true
		v.CoinbaseHex = hexed(b.Block.Txs[0].Inputs[0].ScriptSig, 100)
		if from >= len(b.TxIDs) {
			return nil, notFound("Not found", fmt.Sprintf("The block has %d transactions.", len(b.TxIDs)), hint{"The block", s.to("block", info.Hash)})
		}
		v.Txs = b.rows(from, listedTxs)
		v.From, v.To = from+1, from+len(v.Txs)
		v.Newer, v.Older = pager(s.to("block", info.Hash), "tx", from, listedTxs, len(b.TxIDs))
		if from == 0 {
			v.Map, v.Sizes = s.blockMap(b), sizePlot(b)
		}
		return v, nil
	}
	return p, nil
}

// pager returns the paths of the pages before and behind one.
func pager(path, name string, from, step, all int) (before, after string) {
	if from > 0 {
		before = fmt.Sprintf("%s?%s=%d", path, name, max(from-step, 0))
	}
	if from+step < all {
		after = fmt.Sprintf("%s?%s=%d", path, name, from+step)
	}
	return before, after
}

// rows lists transactions of a block.
func (b *body) rows(from, most int) (rows []txRow) {
	for i := from; i < min(from+most, len(b.TxIDs)); i++ {
		tx := &b.Block.Txs[i]
		row := rowOf(b.TxIDs[i], tx, tx.VirtualSize())
		if row.Fee, row.HasFee = b.fee(i); row.HasFee {
			row.Rate = types.NewFeeRate(row.Fee, row.VSize)
		}
		rows = append(rows, row)
	}
	return rows
}

// siblings are other blocks of the same height, of branches that are known.
func (s *Server) siblings(info header.Info) (list []types.Index) {
	seen := map[types.Hash]bool{info.Hash: true}
	if hash, ok := s.Headers.HashAt(info.Height); ok && !seen[hash] {
		seen[hash] = true
		list = append(list, types.Index{Height: info.Height, Hash: hash})
	}
	ends := s.tips.get()
	for _, r := range s.feed.seen() { // which is known at once
		ends = append(ends[:len(ends):len(ends)], header.Tip{Index: r.From, BranchLength: uint32(r.Depth)})
	}
	for _, t := range ends {
		down := int64(t.Index.Height) - int64(info.Height)
		if len(list) >= maxBranches || down < 0 || down >= int64(t.BranchLength) || down > maxBranchWalk {
			continue
		}
		at, ok := s.Headers.Info(t.Index.Hash)
		for ; ok && at.Height > info.Height; at, ok = s.Headers.Info(at.Header.PrevBlock) {
		}
		if ok && !seen[at.Hash] {
			seen[at.Hash] = true
			list = append(list, types.Index{Height: at.Height, Hash: at.Hash})
		}
	}
	return list
}

// blockMap is a picture of what fills a block.
func (s *Server) blockMap(b *body) template.HTML {
	var tiles []tile
	for i := range b.TxIDs {
		if i == 0 {
			continue
		}
		t := tile{Weight: b.Block.Txs[i].Weight(), Path: s.to("tx", b.TxIDs[i]), Text: b.TxIDs[i].String()}
		if fee, ok := b.fee(i); ok {
			t.Rate = types.NewFeeRate(fee, b.Block.Txs[i].VirtualSize())
			t.Text = fmt.Sprintf("%s: %s grains/vB, %d vB", b.TxIDs[i], t.Rate, b.Block.Txs[i].VirtualSize())
		}
		tiles = append(tiles, t)
	}
	return treemap(fmt.Sprintf("%d payments, as large as their weight", len(tiles)), tiles)
}

// sizePlot counts the transactions of a block by their sizes.
func sizePlot(b *body) template.HTML {
	const bins = 14 // each twice the one before, from 64 virtual bytes on
	counts := make([]int, bins)
	for i := range b.Block.Txs {
		n := 0
		for at := 128; at <= b.Block.Txs[i].VirtualSize() && n < bins-1; at *= 2 {
			n++
		}
		counts[n]++
	}
	if len(b.Block.Txs) < 3 {
		return ""
	}
	bars := series{Class: "s1", Name: "transactions"}
	for n, c := range counts {
		bars.Points = append(bars.Points, point{X: float64(n), Y: float64(c), Text: fmt.Sprintf("%d to %d virtual bytes: %d", 64<<n, 128<<n, c)})
	}
	p := plot{
		Label: "How many transactions have which size", Series: []series{bars}, Bars: true, Zero: true,
		X: func(f float64) string { return brief(float64(int64(64)<<int(f))) + "vB" }, Y: brief,
	}
	return p.SVG()
}

// rawHeader is the 80 bytes of a block's header, in hexadecimal.
func (s *Server) rawHeader(r *http.Request) (*page, error) {
	info, err := s.findBlock(r.PathValue("block"))
	if err != nil {
		return nil, err
	}
	return &page{version: info.Hash.String(), kind: "text/plain; charset=utf-8", make: func(context.Context) (any, error) {
		return []byte(hexed(info.Header.AppendTo(nil), types.HeaderSize) + "\n"), nil
	}}, nil
}
