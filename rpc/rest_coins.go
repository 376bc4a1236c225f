package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// restTx answers with a transaction of the mempool, or with the index of a block.
func restTx(s *Server, q *restQuery) (answer restAnswer, err error) {
	txid, err := q.hash(q.rest)
	if err != nil {
		return answer, err
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return answer, err
	}
	if e := s.Pool.Get(txid); e != nil {
		return restAnswer{binary: e.Raw, json: s.txJSON(e.Tx, true)}, nil
	}
	notFound := restErrorf(http.StatusNotFound, "%s not found", txid)
	if s.isUnspendableGenesis(txid) {
		return answer, notFound
	}
	place, info, ok := s.placeOf(q.ctx, txid)
	if !ok {
		return answer, notFound
	}
	j := s.txAt(&place, txid)
	if j == nil { // to read the block tells precisely why
		mined, err := s.minedTx(q.ctx, &info, txid, 1, false)
		if err != nil {
			return answer, restErrorf(http.StatusNotFound, "%s not found: %s", txid, asError(err).Message)
		}
		j = mined.(*txJSON)
	}
	j.place = &txPlaceJSON{block: info, hashAlone: true}
	return restAnswer{binary: j.raw, json: j}, nil
}

// restMempool tells of waiting transactions.
func restMempool(s *Server, q *restQuery) (answer restAnswer, err error) {
	if q.rest != "contents" && q.rest != "info" {
		return answer, restErrorf(http.StatusBadRequest, "Invalid URI format. Expected /rest/mempool/<info|contents>.json")
	}
	if err := q.has(formatJSON); err != nil {
		return answer, err
	}
	if q.rest == "info" {
		answer.json, err = s.methodResult(q.ctx, "getmempoolinfo")
		return answer, err
	}
	var flags [2]bool
	for i, p := range []struct{ name, otherwise string }{{"verbose", "true"}, {"mempool_sequence", "false"}} {
		text := q.value(p.name, p.otherwise)
		if text != "true" && text != "false" {
			return answer, restErrorf(http.StatusBadRequest, "The \"%s\" query parameter must be either \"true\" or \"false\".", p.name)
		}
		flags[i] = text == "true"
	}
	if flags[0] && flags[1] {
		return answer, restErrorf(http.StatusBadRequest, "Verbose results cannot contain mempool sequence values. (hint: set \"verbose=false\")")
	}
	const entryBytes = 512 // about what is known of a transaction takes
	if err := q.grow(int64(s.Pool.Info().Count) * entryBytes); err != nil {
		return answer, err
	}
	answer.json, err = s.methodResult(q.ctx, "getrawmempool", flags[0], flags[1])
	return answer, err
}

// maxRESTCoins is how many outputs may be asked for at once, as in Core.
const maxRESTCoins = 15

var errRESTParse = restErrorf(http.StatusBadRequest, "Parse error")

// readOutPoints reads which outputs are asked for: in the path, or in the body in the
// format of the answer.
func readOutPoints(q *restQuery) (list []types.OutPoint, withPool bool, err error) {
	var path []string
	if len(q.rest) > 1 {
		path = strings.Split(q.rest[1:], "/")
	}
	empty := restErrorf(http.StatusBadRequest, "Error: empty request")
	if len(path) == 0 && len(q.body) == 0 {
		return nil, false, empty
	}
	inPath := len(path) > 0
	if inPath && path[0] == "checkmempool" {
		withPool, path = true, path[1:]
	}
	if inPath && len(path) == 0 || !inPath && q.format == formatJSON {
		return nil, false, empty
	}
	for _, text := range path {
		p, ok := parseOutPoint(text)
		if !ok {
			return nil, false, errRESTParse
		}
		list = append(list, p)
	}
	if err := q.has(formatBinary, formatHex, formatJSON); err != nil {
		return nil, false, err
	}
	if len(q.body) > 0 && q.format != formatJSON {
		if inPath {
			return nil, false, restErrorf(http.StatusBadRequest, "Combination of URI scheme inputs and raw post data is not allowed")
		}
		if list, withPool, err = decodeOutPoints(q); err != nil {
			return nil, false, err
		}
	}
	if len(list) > maxRESTCoins {
		return nil, false, restErrorf(http.StatusBadRequest, "Error: max outpoints exceeded (max: %d, tried: %d)", maxRESTCoins, len(list))
	}
	return list, withPool, nil
}

// parseOutPoint reads TXID-N.
func parseOutPoint(text string) (p types.OutPoint, ok bool) {
	txid, n, ok := strings.Cut(text, "-")
	if !ok {
		return p, false
	}
	hash, err := types.ParseHash(txid)
	if err != nil {
		return p, false
	}
	index, err := strconv.ParseUint(n, 10, 32)
	return types.OutPoint{TxID: hash, Index: uint32(index)}, err == nil
}

// decodeOutPoints reads a body: whether the mempool counts, and outpoints (BIP64).
func decodeOutPoints(q *restQuery) (list []types.OutPoint, withPool bool, err error) {
	body := q.body
	if q.format == formatHex {
		if body = hexBytes(bytes.TrimSpace(body)); len(body) == 0 {
			return nil, false, nil
		}
	}
	d := types.NewDecoder(body)
	withPool = d.Uint8() != 0
	for n := d.Count(types.HashSize + 4); len(list) < n && d.Err() == nil; {
		list = append(list, types.OutPoint{TxID: d.Hash(), Index: d.Uint32()})
	}
	if d.Err() != nil {
		return nil, false, errRESTParse
	}
	return list, withPool, nil
}

// heightInPool is the height that a coin of a waiting transaction is told with (BIP64).
const heightInPool = math.MaxInt32

// restCoin is one unspent output.
type restCoin struct {
	height uint32
	out    types.TxOut
}

// restCoins answers which outputs are unspent (BIP64).
func restCoins(s *Server, q *restQuery) (answer restAnswer, err error) {
	outPoints, withPool, err := readOutPoints(q)
	if err != nil {
		return answer, err
	}
	state, found, coins, err := s.lookUpCoins(q.ctx, outPoints, withPool)
	if err != nil {
		return answer, err
	}
	bitmap, digits := make([]byte, (len(found)+7)/8), make([]byte, len(found))
	for i, is := range found {
		digits[i] = '0'
		if is {
			digits[i] = '1'
			bitmap[i/8] |= 1 << (i % 8)
		}
	}
	if q.format == formatJSON {
		answer.json = coinsJSON(s, state.Index, string(digits), coins)
		return answer, nil
	}
	b := binary.LittleEndian.AppendUint32(nil, state.Index.Height)
	b = types.AppendVarBytes(append(b, state.Index.Hash[:]...), bitmap)
	b = types.AppendCompactSize(b, uint64(len(coins)))
	for i := range coins {
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, 0), coins[i].height) // the version of a transaction, once
		b = coins[i].out.AppendTo(b)
	}
	answer.binary = b
	return answer, nil
}

func coinsJSON(s *Server, at types.Index, bitmap string, coins []restCoin) any {
	type coin struct {
		Height       uint32     `json:"height"`
		Value        any        `json:"value"`
		ScriptPubKey scriptJSON `json:"scriptPubKey"`
	}
	list := make([]coin, len(coins))
	for i := range coins {
		list[i] = coin{coins[i].height, amount(coins[i].out.Value), s.scriptJSON(coins[i].out.ScriptPubKey)}
	}
	return struct {
		Height uint32     `json:"chainHeight"`
		Hash   types.Hash `json:"chaintipHash"`
		Bitmap string     `json:"bitmap"`
		Coins  []coin     `json:"utxos"`
	}{at.Height, at.Hash, bitmap, list}
}

// lookUpCoins tells which outputs are unspent, and what these are. With the pool, what
// waiting transactions spend is spent, and what they make is there.
func (s *Server) lookUpCoins(ctx context.Context, outPoints []types.OutPoint, withPool bool) (state consensus.State, found []bool, coins []restCoin, err error) {
	fetched, state, err := s.Blocks.Coins(ctx, outPoints)
	if err != nil {
		return state, nil, nil, err
	}
	for i, p := range outPoints {
		there := fetched[i].Found
		coin := restCoin{fetched[i].Coin.Height, types.TxOut{Value: fetched[i].Coin.Value}}
		if there {
			coin.out.ScriptPubKey = fetched[i].Coin.ScriptPubKey()
		}
		if withPool {
			if e := s.Pool.Get(p.TxID); !there && e != nil && int64(p.Index) < int64(len(e.Tx.Outputs)) {
				there, coin = true, restCoin{heightInPool, e.Tx.Outputs[p.Index]}
			}
			there = there && s.Pool.SpentBy(p) == nil
		}
		if found = append(found, there); there {
			coins = append(coins, coin)
		}
	}
	return state, found, coins, nil
}
