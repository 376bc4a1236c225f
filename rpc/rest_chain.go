package rpc

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// restInfo finds the block whose hash is all of the path.
func (s *Server) restInfo(q *restQuery) (info header.Info, err error) {
	hash, err := q.hash(q.rest)
	if err != nil {
		return info, err
	}
	info, ok := s.Headers.Info(hash)
	if !ok {
		return info, restErrorf(http.StatusNotFound, "%s not found", hash)
	}
	return info, nil
}

// restBodyError says why a block could not be read.
func restBodyError(info *header.Info, err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, consensus.ErrNotFound):
		return restErrorf(http.StatusInternalServerError, "I/O error reading %s", info.Hash)
	case info.Status.Has(header.StatusValid):
		return restErrorf(http.StatusNotFound, "%s not available (pruned data)", info.Hash)
	}
	return restErrorf(http.StatusNotFound, "%s not available (not fully downloaded)", info.Hash)
}

func restBlock(s *Server, q *restQuery) (restAnswer, error)    { return s.restBlock(q, 3) }
func restBlockIDs(s *Server, q *restQuery) (restAnswer, error) { return s.restBlock(q, 1) }

func (s *Server) restBlock(q *restQuery, verbosity int) (answer restAnswer, err error) {
	info, err := s.restInfo(q)
	if err != nil {
		return answer, err
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	if q.format == formatJSON {
		if !info.Status.Has(header.StatusBody) {
			return answer, restBodyError(&info, consensus.ErrNotFound)
		}
		answer.json, err = s.methodResult(q.ctx, "getblock", info.Hash, verbosity)
		return answer, err
	}
	answer.block, err = s.restBytes(q, &info)
	answer.immutable = true
	return answer, err
}

// restBytes returns all of a block's encoding.
func (s *Server) restBytes(q *restQuery, info *header.Info) (*blockPart, error) {
	if !info.Status.Has(header.StatusBody) {
		return nil, restBodyError(info, consensus.ErrNotFound)
	}
	l := &lease{cache: s.blocks, key: blockKey{info.Hash, viewBytes}}
	v, err := l.view(q.ctx)
	if err != nil {
		return nil, restBodyError(info, err)
	}
	return &blockPart{l, 0, len(v.raw)}, nil
}

// restBlockPart answers with some bytes of a block.
func restBlockPart(s *Server, q *restQuery) (answer restAnswer, err error) {
	offset, err := strconv.ParseUint(q.value("offset", ""), 10, 64)
	if err != nil {
		return answer, restErrorf(http.StatusBadRequest, "Block part offset missing or invalid")
	}
	size, err := strconv.ParseUint(q.value("size", ""), 10, 64)
	if err != nil {
		return answer, restErrorf(http.StatusBadRequest, "Block part size missing or invalid")
	}
	info, err := s.restInfo(q)
	if err != nil {
		return answer, err
	}
	if q.format == formatJSON {
		return answer, restErrorf(http.StatusBadRequest, "JSON output is not supported for this request type")
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	part, err := s.restBytes(q, &info)
	if err != nil {
		return answer, err
	}
	if length := uint64(part.size); size == 0 || offset > length || size > length-offset {
		part.giveBack()
		return answer, restErrorf(http.StatusBadRequest, "Bad block part offset/size %d/%d for %s", offset, size, info.Hash)
	}
	part.offset, part.size = int(offset), int(size)
	return restAnswer{block: part, immutable: true}, nil
}

// restSpentOutputs answers with what a block spends, for each transaction.
func restSpentOutputs(s *Server, q *restQuery) (answer restAnswer, err error) {
	if strings.Contains(q.rest, "/") {
		return answer, restErrorf(http.StatusBadRequest, "Invalid URI format. Expected /rest/spenttxouts/<hash>.<ext>")
	}
	info, err := s.restInfo(q)
	if err != nil {
		return answer, err
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	answer.immutable = true
	j := &spentOutputsJSON{&lease{cache: s.blocks, key: blockKey{info.Hash, viewSpent}}, info.Height == 0, s.Params.HRP}
	defer j.lease.giveBack()
	spent, err := j.coins(q.ctx)
	if err != nil {
		return answer, restErrorf(http.StatusNotFound, "%s undo not available", info.Hash)
	}
	if q.format == formatJSON {
		answer.json = j
		return answer, nil
	}
	answer.binary = types.AppendCompactSize(nil, uint64(len(spent)))
	for _, coins := range spent {
		answer.binary = types.AppendCompactSize(answer.binary, uint64(len(coins)))
		for i := range coins {
			out := types.TxOut{Value: coins[i].Value, ScriptPubKey: coins[i].ScriptPubKey()}
			answer.binary = out.AppendTo(answer.binary)
		}
	}
	return answer, nil
}

// spentOutputsJSON is what each transaction of a block spends.
type spentOutputsJSON struct {
	lease   *lease
	genesis bool // it spends nothing
	hrp     string
}

// coins returns the coins of each transaction.
func (j *spentOutputsJSON) coins(ctx context.Context) ([][]types.Coin, error) {
	if j.genesis {
		return [][]types.Coin{nil}, nil
	}
	v, err := j.lease.view(ctx)
	if err == nil && v.spent == nil {
		err = consensus.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return v.spent, nil
}

func (j *spentOutputsJSON) writeJSON(w *jsonWriter) error {
	again := *j // it is written twice, the first time within the second
	again.lease = &lease{cache: j.lease.cache, key: j.lease.key}
	defer w.use(again.lease)()
	spent, err := again.coins(w.ctx)
	if err != nil {
		return err
	}
	w.raw("[")
	for i := range len(spent) {
		if i > 0 {
			w.raw(",")
		}
		if spent, err = again.coins(w.ctx); err != nil { // the same, or read once more
			return err
		}
		w.raw("[")
		for k := range spent[i] {
			if k > 0 {
				w.raw(",")
			}
			w.raw(`{"value":`)
			w.amount(spent[i][k].Value)
			w.raw(`,"scriptPubKey":`)
			_ = scriptJSON{hrp: j.hrp, script: spent[i][k].ScriptPubKey(), key: keyValid}.writeJSON(w)
			w.raw("}")
		}
		w.raw("]")
		if err := w.spill(); err != nil {
			return err
		}
	}
	w.raw("]")
	return w.spill()
}

// restHeaders answers with headers of the best chain, from a block on.
func restHeaders(s *Server, q *restQuery) (answer restAnswer, err error) {
	hash, count, err := restRange(q, strings.Split(q.rest, "/"), "/rest/headers/<hash>.<ext>?count=<count>")
	if err != nil {
		return answer, err
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	headers := []headerJSON{}
	for _, info := range s.chainFrom(hash, count) {
		answer.binary = info.Header.AppendTo(answer.binary)
		headers = append(headers, s.headerJSON(&info))
	}
	answer.json = headers
	return answer, nil
}

// restRange reads a block and how many headers are wanted from there on. The count may
// stand before the hash, as it once did.
func restRange(q *restQuery, path []string, form string) (hash types.Hash, count int, err error) {
	countText := q.value("count", "5")
	if len(path) == 2 {
		countText, path = path[0], path[1:]
	}
	if len(path) != 1 {
		return hash, 0, restErrorf(http.StatusBadRequest, "Invalid URI format. Expected %s", form)
	}
	if count, err = q.count(countText); err != nil {
		return hash, 0, err
	}
	hash, err = q.hash(path[0])
	return hash, count, err
}

// chainFrom returns blocks of the best chain from one on; none if that is not on it.
func (s *Server) chainFrom(hash types.Hash, count int) (list []header.Info) {
	for info, ok := s.Headers.Info(hash); ok && info.OnBestChain; info, ok = s.Headers.Info(info.Next) {
		list = append(list, info)
		if len(list) == count || info.Next.IsZero() {
			break
		}
	}
	return list
}

func restBlockHash(s *Server, q *restQuery) (answer restAnswer, err error) {
	height, err := strconv.ParseUint(q.rest, 10, 31)
	if err != nil {
		return answer, restErrorf(http.StatusBadRequest, "Invalid height: %s", printable(q.rest))
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	hash, ok := s.Headers.HashAt(uint32(height))
	if !ok {
		return answer, restErrorf(http.StatusNotFound, "Block height out of range")
	}
	answer.json = struct {
		Hash types.Hash `json:"blockhash"`
	}{hash}
	if q.format == formatHex { // as hashes are shown, which is not the binary order
		return restAnswer{hex: hash.String()}, nil
	}
	answer.binary = hash[:]
	return answer, nil
}

// restFilterType refuses what is not the filter index that is kept.
func (s *Server) restFilterType(name string) error {
	switch {
	case name != "basic":
		return restErrorf(http.StatusBadRequest, "Unknown filtertype %s", printable(name))
	case !s.indexed(indexed.Filters):
		return restErrorf(http.StatusBadRequest, "Index is not enabled for filtertype %s", name)
	}
	return nil
}

// errNoFilter says why there is no filter of a block.
func (s *Server) errNoFilter(connected bool) error {
	why := "Block filters are still in the process of being indexed."
	if !connected {
		why = "Block was not connected to active chain."
	} else if s.indexState(indexed.Filters).Synced {
		why = "This error is unexpected and indicates index corruption."
	}
	return restErrorf(http.StatusNotFound, "Filter not found. %s", why)
}

func restFilterHeaders(s *Server, q *restQuery) (answer restAnswer, err error) {
	const form = "/rest/blockfilterheaders/<filtertype>/<blockhash>.<ext>?count=<count>"
	path := strings.Split(q.rest, "/")
	if len(path) < 2 {
		return answer, restErrorf(http.StatusBadRequest, "Invalid URI format. Expected %s", form)
	}
	hash, count, err := restRange(q, path[1:], form)
	if err != nil {
		return answer, err
	}
	if err := s.restFilterType(path[0]); err != nil {
		return answer, err
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	s.Index.Wait(q.ctx, indexed.Filters)
	headers := []types.Hash{}
	for _, info := range s.chainFrom(hash, count) {
		_, filterHeader, err := s.Index.Filter(info.Hash)
		if err != nil {
			return answer, s.errNoFilter(true)
		}
		answer.binary = append(answer.binary, filterHeader[:]...)
		headers = append(headers, filterHeader)
	}
	answer.json = headers
	return answer, nil
}

// restFilter answers with a filter, in binary with its type, its block and its length
// before it (BIP157).
func restFilter(s *Server, q *restQuery) (answer restAnswer, err error) {
	path := strings.Split(q.rest, "/")
	if len(path) != 2 {
		return answer, restErrorf(http.StatusBadRequest, "Invalid URI format. Expected /rest/blockfilter/<filtertype>/<blockhash>")
	}
	hash, err := q.hash(path[1])
	if err != nil {
		return answer, err
	}
	if err := s.restFilterType(path[0]); err != nil {
		return answer, err
	}
	info, ok := s.Headers.Info(hash)
	if !ok {
		return answer, restErrorf(http.StatusNotFound, "%s not found", hash)
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	s.Index.Wait(q.ctx, indexed.Filters)
	filter, _, err := s.Index.Filter(hash)
	if err != nil {
		return answer, s.errNoFilter(info.Status.Has(header.StatusValid))
	}
	const basic = 0
	answer.binary = types.AppendVarBytes(append([]byte{basic}, hash[:]...), filter)
	answer.json = struct {
		Filter string `json:"filter"`
	}{hex.EncodeToString(filter)}
	answer.immutable = true
	return answer, nil
}

func restChainInfo(s *Server, q *restQuery) (answer restAnswer, err error) {
	if q.rest != "" {
		return answer, restErrorf(http.StatusNotFound, "there is nothing here")
	}
	if err := q.has(formatJSON); err != nil {
		return answer, err
	}
	answer.json, err = s.methodResult(q.ctx, "getblockchaininfo")
	return answer, err
}

func restDeployments(s *Server, q *restQuery) (answer restAnswer, err error) {
	if err := q.has(formatJSON); err != nil {
		return answer, err
	}
	if q.rest == "" {
		answer.json, err = s.methodResult(q.ctx, "getdeploymentinfo")
		return answer, err
	}
	hash, err := q.hash(q.rest)
	if err != nil {
		return answer, err
	}
	if _, ok := s.Headers.Info(hash); !ok {
		return answer, restErrorf(http.StatusBadRequest, "Block not found")
	}
	answer.json, err = s.methodResult(q.ctx, "getdeploymentinfo", hash)
	answer.immutable = true
	return answer, err
}
