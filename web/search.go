package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const (
	maxQuery    = 4096  // characters
	leastPrefix = 4     // digits of a hash that are looked for
	leastSuffix = 8     // the same, of its end
	maxSearched = 20000 // blocks of the best chain that are compared with a prefix
	maxFound    = 20
)

// search finds what a visitor has typed. A sure hit is gone to at once.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimSpace(r.URL.Query().Get("q"))
	if len(text) > maxQuery {
		text = text[:maxQuery]
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	leave, err := s.enter(ctx, s.guard.visitorOf(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	path, err := s.lookUp(ctx, text)
	leave()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, path, http.StatusSeeOther)
}

// lookUp returns the path of what a text names.
func (s *Server) lookUp(ctx context.Context, text string) (string, error) {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ,.'_\u202f\u00a0", r) {
			return -1
		}
		return r
	}, text)
	lower := strings.ToLower(digits)
	switch n, err := strconv.ParseUint(digits, 10, 32); {
	case text == "":
		return "", notFound("Search", "Type a block's height or hash, a transaction's id, an address, or the beginning of a hash.", hint{"The latest block", s.to("block", "latest")})
	case lower == "latest" || lower == "tip":
		return s.to("block", "latest"), nil
	case lower == "genesis":
		return s.to("block", 0), nil
	case err == nil && len(digits) <= 10:
		if _, err := s.findBlock(digits); err != nil {
			if len(digits) >= leastPrefix {
				return oneOf(s.byPrefix(lower), err)
			}
			return "", err
		}
		return s.to("block", n), nil
	}
	if isHex(lower) {
		return s.lookUpHash(ctx, lower)
	}
	if strings.Contains(text, "(") {
		return s.to("descriptor") + "?d=" + url.QueryEscape(text), nil
	}
	if i := strings.LastIndexByte(lower, ':'); i == 2*types.HashSize { // an outpoint
		if _, err := strconv.ParseUint(lower[i+1:], 10, 32); err == nil && isHex(lower[:i]) {
			return s.lookUpHash(ctx, lower[:i])
		}
	}
	return s.lookUpAddress(text)
}

// lookUpAddress finds an address, or says what is wrong with it.
func (s *Server) lookUpAddress(text string) (string, error) {
	hrp := s.Params.HRP
	_, err := taproot.DecodeAddress(hrp, text)
	if err == nil {
		return s.to("address", url.PathEscape(strings.ToLower(text))), nil
	}
	shown := Printable(text, 100)
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, hrp+"1"):
		return "", notFound("Not an address", "“"+shown+"” begins as an address of this network, and is none: "+Printable(err.Error(), 200)+". Look for a character that is missing or wrong.")
	case strings.HasPrefix(lower, "bc1"), strings.HasPrefix(lower, "tb1"), strings.HasPrefix(lower, "bcrt1"), strings.HasPrefix(lower, "krt"):
		return "", notFound("An address of another network", "“"+shown+"” looks like an address of another network. Those of "+s.Params.Name+" begin with "+hrp+"1.")
	}
	return "", notFound("Nothing found", "“"+shown+"” is no height, no hash, no transaction and no address of this network (those begin with "+hrp+"1).")
}

// lookUpHash finds a block or a transaction by its name, or by the beginning of it.
func (s *Server) lookUpHash(ctx context.Context, digits string) (string, error) {
	switch {
	case len(digits) < leastPrefix:
		return "", notFound("Too short", "Type at least "+strconv.Itoa(leastPrefix)+" digits of a hash.")
	case len(digits) > 2*types.HashSize:
		return "", notFound("Too long", "A hash has 64 digits; these are "+strconv.Itoa(len(digits))+".", hint{"Its first 64", s.to("search") + "?q=" + digits[:2*types.HashSize]})
	case len(digits) < 2*types.HashSize:
		return oneOf(s.byPrefix(digits), notFound("Nothing found", "No recent block and no transaction that waits has a name that begins or ends with “"+digits+
			"”. A whole name has 64 digits; these are "+strconv.Itoa(len(digits))+"."))
	}
	hash, err := types.ParseHash(digits)
	if err != nil {
		return "", err
	}
	if _, ok := s.Headers.Info(hash); ok {
		return s.to("block", hash), nil
	}
	_, err = s.findTx(ctx, hash)
	if err == nil {
		return s.to("tx", hash), nil
	}
	turned := hash
	for i, j := 0, len(turned)-1; i < j; i, j = i+1, j-1 {
		turned[i], turned[j] = turned[j], turned[i]
	}
	if _, ok := s.Headers.Info(turned); ok {
		return "", notFound("Turned around", "That is a block's hash with its bytes in the other order.", hint{"The block", s.to("block", turned)})
	}
	if f, ok := s.byTurned(ctx, turned); ok {
		return "", notFound("Turned around", "That is a transaction's id with its bytes in the other order.", hint{"The transaction", f})
	}
	return "", err
}

func (s *Server) byTurned(ctx context.Context, txid types.Hash) (string, bool) {
	_, err := s.findTx(ctx, txid)
	return s.to("tx", txid), err == nil
}

// byPrefix looks for names that begin or end so, among the blocks of the best chain that
// came last and the transactions that would be mined next.
func (s *Server) byPrefix(digits string) (found []hint) {
	fits := func(h types.Hash) bool {
		text := h.String()
		return strings.HasPrefix(text, digits) || strings.HasPrefix(strings.TrimLeft(text, "0"), digits) ||
			len(digits) >= leastSuffix && strings.HasSuffix(text, digits)
	}
	info, ok := s.Headers.Info(s.Headers.Tip().Hash)
	for n := 0; n < maxSearched && ok && len(found) < maxFound; n++ {
		if fits(info.Hash) {
			found = append(found, hint{"Block " + uint64Text(info.Height) + ", " + info.Hash.String(), s.to("block", info.Hash)})
		}
		info, ok = s.Headers.Info(info.Header.PrevBlock)
	}
	for _, e := range s.pool.get().Next {
		if len(found) < maxFound && fits(e.TxID) {
			found = append(found, hint{"Transaction " + e.TxID.String(), s.to("tx", e.TxID)})
		}
	}
	return found
}

// oneOf returns where to go for what was found: to what is alone, else to a list.
func oneOf(found []hint, otherwise error) (string, error) {
	switch len(found) {
	case 0:
		return "", otherwise
	case 1:
		return found[0].Path, nil
	}
	return "", &failure{http.StatusMultipleChoices, "More than one", "These have names like that:", found}
}

func isHex(text string) bool {
	return text != "" && strings.Trim(text, "0123456789abcdef") == ""
}
