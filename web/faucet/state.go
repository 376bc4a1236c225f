package faucet

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/wholefile"
)

// What was promised and given is in a file, so that a node that is started again pays what
// waits, once, and gives nobody more than before. It is written before a request is
// answered, and before a payment is sent.

// payment is a transaction that pays requests. It is kept until a block has it.
type payment struct {
	tx      *types.Tx
	txid    types.Hash
	scripts [][]byte
}

// spends reports whether the payment spends an output.
func (p *payment) spends(o types.OutPoint) bool {
	for i := range p.tx.Inputs {
		if p.tx.Inputs[i].PreviousOutPoint == o {
			return true
		}
	}
	return false
}

// stateJSON is the file.
type stateJSON struct {
	Version  int           `json:"version"`
	Height   uint32        `json:"height"` // of the tip up to which payments are looked for
	Block    types.Hash    `json:"block"`
	Given    []giftJSON    `json:"given"`    // in the last hour
	Queue    []string      `json:"queue"`    // scripts that are paid next
	Payments []paymentJSON `json:"payments"` // that no block has yet
}

type giftJSON struct {
	At     time.Time    `json:"at"`
	Amount types.Amount `json:"amount"` // grains
	Script string       `json:"script"`
	Group  string       `json:"group,omitempty"` // network of who asked; empty: none
}

type paymentJSON struct {
	Tx      string   `json:"tx"`
	Scripts []string `json:"scripts"`
}

const stateVersion = 1

// maxState bounds the file that is read: twice what maxKnown gifts and a queue take.
const maxState = 16 << 20

// encode writes down what must not be forgotten. It assumes mu.
func (f *Faucet) encode() []byte {
	s := stateJSON{Version: stateVersion, Height: f.at.Height, Block: f.at.Hash, Given: []giftJSON{}, Queue: hexes(f.queue), Payments: []paymentJSON{}}
	f.limits.left(f.o.Now()) // forgets what was given long ago
	for i := range f.limits.given {
		g := &f.limits.given[i]
		j := giftJSON{At: g.at, Amount: g.amount, Script: hex.EncodeToString([]byte(g.script))}
		if g.group.IsValid() {
			j.Group = g.group.String()
		}
		s.Given = append(s.Given, j)
	}
	for _, p := range f.payments {
		s.Payments = append(s.Payments, paymentJSON{hex.EncodeToString(p.tx.AppendTo(nil)), hexes(p.scripts)})
	}
	text, _ := json.Marshal(s) // of texts and numbers
	return append(text, '\n')
}

// save makes what was promised and given durable. It waits for the disk, and so is called
// without mu. Who comes while another writes is written with the next.
func (f *Faucet) save() error {
	f.mu.Lock()
	f.changes++
	mine := f.changes
	f.mu.Unlock()
	f.saving <- struct{}{}
	defer func() { <-f.saving }()
	f.mu.Lock()
	if f.saved >= mine {
		f.mu.Unlock()
		return nil
	}
	text, upTo := f.encode(), f.changes
	f.mu.Unlock()
	if err := wholefile.ReplaceBytes(f.o.StateFile, text); err != nil {
		return fmt.Errorf("what the faucet owes could not be written: %w", err)
	}
	f.mu.Lock()
	f.saved = max(f.saved, upTo)
	f.mu.Unlock()
	return nil
}

// load reads what an earlier run has written. Without a file there is nothing.
func (f *Faucet) load() error {
	info, err := os.Stat(f.o.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() > maxState {
		return fmt.Errorf("%s has %d bytes, which the faucet has not written", f.o.StateFile, info.Size())
	}
	text, err := os.ReadFile(f.o.StateFile)
	if err != nil {
		return err
	}
	if err := f.decode(text); err != nil {
		return fmt.Errorf("%s is damaged: %w; move it away, and who waits for coins must ask again", f.o.StateFile, err)
	}
	return nil
}

func (f *Faucet) decode(text []byte) error {
	var s stateJSON
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if s.Version != stateVersion {
		return fmt.Errorf("version %d is not known", s.Version)
	}
	f.since = types.Index{Height: s.Height, Hash: s.Block}
	now := f.o.Now()
	for _, j := range s.Given {
		script, err := hex.DecodeString(j.Script)
		if err != nil {
			return err
		}
		var group netip.Prefix
		if j.Group != "" {
			if group, err = netip.ParsePrefix(j.Group); err != nil {
				return err
			}
		}
		if j.Amount < 0 {
			return fmt.Errorf("%d grains were given", j.Amount)
		}
		if j.At.After(now) { // the clock was set back: nobody waits longer than an hour
			j.At = now
		}
		f.limits.note(gift{j.At, j.Amount, string(script), group})
	}
	var err error
	if f.queue, err = unhexes(s.Queue); err != nil {
		return err
	}
	for _, j := range s.Payments {
		raw, err := hex.DecodeString(j.Tx)
		if err != nil {
			return err
		}
		tx, err := types.DecodeTx(raw)
		if err != nil {
			return err
		}
		scripts, err := unhexes(j.Scripts)
		if err != nil {
			return err
		}
		f.payments = append(f.payments, &payment{tx, tx.TxID(), scripts})
	}
	return nil
}

func hexes(list [][]byte) []string {
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = hex.EncodeToString(list[i])
	}
	return texts
}

// unhexes reads scripts.
func unhexes(texts []string) (list [][]byte, err error) {
	for _, text := range texts {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		if !isPaid(b) { // one such would keep all others from being paid
			return nil, fmt.Errorf("%.100q is no script that a faucet pays", text)
		}
		list = append(list, b)
	}
	return list, nil
}
