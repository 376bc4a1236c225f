package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rsc.io/qr"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const (
	listedHistory = 25
	listedUnspent = 25
	plotted       = 400  // transactions of a plot
	maxScripts    = 200  // of a descriptor that are looked up
	maxKeys       = 20   // of a descriptor
	maxKeyWork    = 2000 // keys that are derived for a page
	maxAddress    = 130  // characters
)

type addressView struct {
	Frame
	What      string // the address or the descriptor
	Script    *Output
	QR        template.HTML
	On        bool // the index is kept
	Behind    string
	Stats     indexed.ScriptStats
	Balance   types.Amount
	History   []indexed.ScriptTx
	Next      string
	Paged     bool
	Unspent   []unspent
	NextCoins string
	Waiting   []txRow
	Course    template.HTML
	Scripts   int // of a descriptor
	Ranged    bool
	Addresses []string
}

// unspent is a coin that nothing on the chain spends.
type unspent struct {
	indexed.ScriptCoin
	Spender types.Hash // that waits for a block; zero: none does
}

// addressPage is an address.
func (s *Server) addressPage(r *http.Request) (*page, error) {
	text := r.PathValue("address")
	var script []byte
	err := errors.New("it is too long")
	if len(text) <= maxAddress {
		script, err = taproot.DecodeAddress(s.Params.HRP, text)
	}
	if err != nil {
		_, err = s.lookUpAddress(text)
		return nil, err
	}
	out := s.describeOutput(script)
	v := addressView{Frame: s.frame("Address", ""), What: out.Address, Script: &out, QR: qrCode(out.Address)}
	return s.history(r, v, func(*addressView) ([][]byte, error) { return [][]byte{script}, nil })
}

// descriptorPage is all addresses of a descriptor.
func (s *Server) descriptorPage(r *http.Request) (*page, error) {
	text := strings.TrimSpace(r.URL.Query().Get("d"))
	if len(text) > maxQuery {
		return nil, notFound("Too long", "A descriptor here has at most "+groups(fmt.Sprint(maxQuery))+" characters.")
	}
	d, err := descriptor.Parse(text, descriptor.KeysOf(s.Params.Name, s.Params.HRP))
	if err != nil {
		return nil, notFound("Not a descriptor", "“"+Printable(text, 100)+"” cannot be read: "+Printable(err.Error(), 200)+".")
	}
	if d.HasPrivateKeys() {
		return nil, &failure{http.StatusBadRequest, "A private key", "There is a private key in that descriptor. Nobody needs it to look at a balance, and who has it has the coins: " +
			"take the descriptor with the public key instead, and if this page is not your own node's, move the coins.", nil}
	}
	if d.KeyCount() > maxKeys {
		return nil, notFound("Too many keys", fmt.Sprintf("A descriptor here has at most %d keys.", maxKeys))
	}
	v := addressView{Frame: s.frame("Descriptor", ""), What: d.String(), Ranged: d.Ranged()}
	return s.history(r, v, func(v *addressView) ([][]byte, error) {
		scripts, err := scriptsOf(d) // takes a while
		if err != nil {
			return nil, notFound("No scripts", "That descriptor makes no outputs here: "+Printable(err.Error(), 200)+".")
		}
		v.Scripts = len(scripts)
		for _, script := range scripts {
			if address, err := taproot.EncodeAddress(s.Params.HRP, script); err == nil && len(v.Addresses) < 20 {
				v.Addresses = append(v.Addresses, address)
			}
		}
		return scripts, nil
	})
}

// scriptsOf returns the first scripts of a descriptor, of all its branches.
func scriptsOf(d *descriptor.Descriptor) (scripts [][]byte, err error) {
	for index := uint32(0); len(scripts) < maxScripts && int(index)*max(d.KeyCount(), 1) < maxKeyWork; index++ {
		more, err := d.Scripts(index)
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, more...)
		if !d.Ranged() {
			break
		}
	}
	return scripts, nil
}

// history fills the page of some scripts, which are made with the page.
func (s *Server) history(r *http.Request, v addressView, scriptsOf func(v *addressView) ([][]byte, error)) (*page, error) {
	query := r.URL.Query()
	after, err := cursorOf(query, "after")
	afterCoins, err2 := cursorOf(query, "coins")
	if err != nil || err2 != nil {
		return nil, notFound("Not found", "That page of the list is none.")
	}
	self := s.to("address", v.What)
	if v.Script == nil {
		self = s.to("descriptor") + "?d=" + url.QueryEscape(v.What)
	}
	at := ""
	if v.On = s.Scripts != nil && s.keeps(indexed.Scripts); v.On {
		s.Index.Wait(r.Context(), indexed.Scripts)
		for _, st := range s.Index.States() {
			if st.Name == indexed.Scripts {
				if at = st.At.String(); !st.Synced {
					v.Behind = groups(uint64Text(st.At.Height))
				}
			}
		}
	}
	v.Paged = after != nil || afterCoins != nil
	if v.Frame = v.Frame.live("block pool"); v.Paged {
		v.Frame = v.Frame.live("")
	}
	version := fmt.Sprint(sha256.Sum256([]byte(v.What)), query.Get("after"), query.Get("coins"), at, s.pool.get().version())
	return &page{version: version, view: "address", make: func(ctx context.Context) (any, error) {
		v := v // it may be made again
		scripts, err := scriptsOf(&v)
		if err != nil {
			return nil, err
		}
		hashes := make([]indexed.ScriptHash, len(scripts))
		for i := range scripts {
			hashes[i] = indexed.HashScript(scripts[i])
		}
		if v.Waiting, err = s.waitingFor(ctx, hashes); err != nil {
			return nil, err
		}
		if !v.On {
			return v, nil
		}
		return v, s.fillHistory(ctx, &v, hashes, after, afterCoins, self)
	}}, nil
}

func cursorOf(query url.Values, name string) (*indexed.Cursor, error) {
	text := query.Get(name)
	if text == "" {
		return nil, nil
	}
	return indexed.ParseCursor(text)
}

func (s *Server) fillHistory(_ context.Context, v *addressView, hashes []indexed.ScriptHash, after, afterCoins *indexed.Cursor, self string) error {
	balances, err := s.Scripts.ScriptBalances(hashes)
	if err != nil {
		return indexFailure(err)
	}
	for i := range balances.Stats {
		v.Stats.Add(&balances.Stats[i])
	}
	v.Balance = v.Stats.Balance()
	most := listedHistory
	if !v.Paged {
		most = plotted
	}
	history, err := s.Scripts.ScriptHistory(hashes, indexed.Page{After: after, Limit: most, Bare: true})
	if err != nil {
		return indexFailure(err)
	}
	if !v.Paged {
		v.Course = balancePlot(history.Txs, &v.Stats)
	}
	if len(history.Txs) > listedHistory {
		last := &history.Txs[listedHistory-1]
		history.Next = &indexed.Cursor{Height: last.Height, N: last.Place.N}
		history.Next.Block, _ = s.Headers.HashAt(last.Height) // if that has just changed, so has the list
		history.Txs = history.Txs[:listedHistory]
	}
	coins, err := s.Scripts.ScriptCoins(hashes, indexed.Page{After: afterCoins, Limit: listedUnspent})
	if err != nil {
		return indexFailure(err)
	}
	with := func(name string, c *indexed.Cursor) string {
		if c == nil {
			return ""
		}
		join := "?"
		if strings.Contains(self, "?") {
			join = "&"
		}
		return self + join + name + "=" + c.String()
	}
	v.History, v.Next, v.NextCoins = history.Txs, with("after", history.Next), with("coins", coins.Next)
	for _, c := range coins.Coins {
		u := unspent{ScriptCoin: c}
		if e := s.Pool.SpentBy(c.OutPoint); e != nil {
			u.Spender = e.TxID
		}
		v.Unspent = append(v.Unspent, u)
	}
	return nil
}

// indexFailure says in words why the index has no answer.
func indexFailure(err error) error {
	switch {
	case errors.Is(err, indexed.ErrCursor):
		return notFound("The list has changed", "A reorganisation has changed the list below this page. Begin at its first page.")
	case errors.Is(err, indexed.ErrBehind):
		return &failure{http.StatusServiceUnavailable, "Not yet", "The index of scripts is being made. Try again later.", nil}
	}
	return err
}

// balancePlot draws the balance after each transaction, and what was received and sent up to
// then, back from what they are now.
func balancePlot(txs []indexed.ScriptTx, now *indexed.ScriptStats) template.HTML {
	received, sent := now.FundedSum, now.SpentSum
	lines := []series{{Class: "s3", Name: "received", Steps: true}, {Class: "s2", Name: "sent", Steps: true}, {Class: "s1", Name: "balance", Steps: true}}
	for i := range txs { // the newest first
		for n, amount := range []types.Amount{received, sent, received - sent} {
			lines[n].Points = append(lines[n].Points, point{X: float64(txs[i].Height), Y: float64(amount) / types.GrainsPerCoin})
		}
		received -= txs[i].Received
		sent -= txs[i].Sent
	}
	for n := range lines {
		slices.Reverse(lines[n].Points)
	}
	p := plot{
		Label: fmt.Sprintf("Balance, and what was received and sent, after each of the last %d transactions, by height", len(txs)), Series: lines, Zero: true,
		X: func(f float64) string { return groups(fmt.Sprintf("%.0f", f)) }, Y: brief,
	}
	return p.SVG()
}

// waitingFor lists transactions that wait and pay to one of some scripts, or spend from it.
func (s *Server) waitingFor(ctx context.Context, scripts []indexed.ScriptHash) (rows []txRow, err error) {
	seen := map[types.Hash]bool{}
	for _, script := range scripts {
		waiting, err := s.touching.of(ctx, script)
		if err != nil {
			return nil, err
		}
		for _, w := range waiting {
			if !seen[w.entry.TxID] && len(rows) < listedHistory {
				seen[w.entry.TxID] = true
				rows = append(rows, rowOfEntry(w.entry))
			}
		}
	}
	return rows, nil
}

// qrCode draws an address for a camera. Capital letters make it smaller, and mean the same.
func qrCode(address string) template.HTML {
	code, err := qr.Encode(strings.ToUpper(address), qr.M)
	if err != nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="qr" viewBox="0 0 %d %d" role="img" aria-label="The address as a QR code" shape-rendering="crispEdges"><path fill="#000" d="`, code.Size, code.Size)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String())
}
