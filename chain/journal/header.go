package journal

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// The names of headers.
const (
	HeaderID      = "Nats-Msg-Id"  // every message has it, see ID
	HeaderPart    = "Karat-Part"   // "2/5": this is the second of five messages that make one
	HeaderWriter  = "Karat-Writer" // every message has it: who has written it, by which a node knows what it has written itself
	HeaderVersion = "Karat-Version"
	HeaderNetwork = "Karat-Network"
	HeaderBlock   = "Karat-Block"  // height, hash
	HeaderParent  = "Karat-Parent" // hash
	HeaderTxs     = "Karat-Txs"    // how many
	HeaderAt      = "Karat-At"     // height, hash
	HeaderWork    = "Karat-Work"   // of the chain up to At, 64 hexadecimal digits
	HeaderGoal    = "Karat-Goal"   // hash, work
)

// PartSize is how many bytes a message has at most. A transaction that takes more is told
// in several, and all but the last have just so many. It is well below what a server takes
// by default (1 MiB).
const PartSize = 256 << 10

// blockMark stands in the place of a transaction's position in the ids of blocks.
const blockMark = "b"

// ID names a message. It is the same whoever writes the message, and is there only once in
// a journal. Its text is "number.direction.hash.position", or with ".part" behind it:
// "1042.c.00…8f.17" is the transaction 17 of the block 00…8f, which comes as step 1042;
// "1042.c.00…8f.b" is the block.
type ID struct {
	Number    uint64
	Direction Direction
	Hash      types.Hash // of the block
	IsBlock   bool       // the message ends the step
	Position  int        // of the transaction in the block
	Part      int        // from 1 on; 0: the transaction is whole
	Parts     int
}

// String returns the text.
func (d *ID) String() string {
	s := fmt.Sprintf("%d.%s.%s.", d.Number, d.Direction.letter(), d.Hash)
	switch {
	case d.IsBlock:
		return s + blockMark
	case d.Part > 0:
		return s + strconv.Itoa(d.Position) + "." + strconv.Itoa(d.Part)
	}
	return s + strconv.Itoa(d.Position)
}

// ID reads the id of a message. The error is ErrForeign.
func (m *Message) ID() (ID, error) {
	text := m.get(HeaderID)
	fields := strings.Split(text, ".")
	if len(fields) != 4 && len(fields) != 5 {
		return ID{}, foreign("a message on %.80q has the id %.100q", m.Subject, text)
	}
	var d ID
	var ok bool
	var err [4]error
	d.Number, err[0] = strconv.ParseUint(fields[0], 10, 63)
	d.Direction, ok = direction(fields[1])
	d.Hash, err[1] = types.ParseHash(fields[2])
	if d.IsBlock = fields[3] == blockMark; !d.IsBlock {
		d.Position, err[2] = number(fields[3], types.MaxBlockWeight)
	}
	if len(fields) == 5 {
		part, parts, cut := strings.Cut(m.get(HeaderPart), "/")
		d.Part, err[2] = number(part, types.MaxBlockWeight)
		d.Parts, err[3] = number(parts, types.MaxBlockWeight)
		ok = ok && cut && d.Part >= 1 && d.Part <= d.Parts
	}
	kind := ".tx."
	if d.IsBlock {
		kind = "." + block
	}
	ok = ok && err == [4]error{} && d.String() == text && strings.HasSuffix(m.Subject, kind+string(d.Direction))
	if !ok || d.Direction == Abandoned && !d.IsBlock {
		return ID{}, foreign("a message on %.80q has the id %.100q", m.Subject, text)
	}
	return d, nil
}

// Head reads what the message that ends a step says of it. The error is ErrForeign.
func (m *Message) Head() (*Head, error) {
	d, err := m.ID()
	if err != nil {
		return nil, err
	}
	if !d.IsBlock {
		return nil, foreign("%s is no message of a block", m.get(HeaderID))
	}
	h := &Head{Number: d.Number, Direction: d.Direction}
	r := headReader{m: m}
	if v, _ := r.take(HeaderVersion); r.err == nil && v != strconv.Itoa(Version) {
		return nil, foreign("it is of version %.10q, and this program is of %d", v, Version)
	}
	h.Network, _ = r.hash(HeaderNetwork)
	h.Block = r.index(HeaderBlock)
	h.At = r.index(HeaderAt)
	work, _ := r.hash(HeaderWork)
	h.Work = consensus.Uint256FromHash(work)
	var goal string
	h.Goal.Hash, goal = r.hash(HeaderGoal)
	goalWork, err := types.ParseHash(goal)
	h.Goal.Work = consensus.Uint256FromHash(goalWork)
	if r.err == nil && (err != nil || h.Block.Hash != d.Hash) {
		r.err = foreign("%s has headers that are not of it", m.get(HeaderID))
	}
	if d.Direction != Abandoned {
		h.Parent, _ = r.hash(HeaderParent)
		txs, rest := r.take(HeaderTxs)
		if h.Txs, err = number(txs, types.MaxBlockWeight); r.err == nil && (err != nil || rest != "" || h.Txs == 0) {
			r.err = foreign("%s has %s: %.80q", m.get(HeaderID), HeaderTxs, txs)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return h, nil
}

// get returns the one value of a header.
func (m *Message) get(name string) string {
	if v := m.Header[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// headReader reads headers up to the first that is wrong.
type headReader struct {
	m   *Message
	err error
}

// take returns the first word of a header and the rest.
func (r *headReader) take(name string) (word, rest string) {
	word, rest, _ = strings.Cut(r.m.get(name), " ")
	if word == "" && r.err == nil {
		r.err = foreign("%s lacks the header %s", r.m.get(HeaderID), name)
	}
	return word, rest
}

func (r *headReader) hash(name string) (h types.Hash, rest string) {
	word, rest := r.take(name)
	h, err := types.ParseHash(word)
	if err != nil && r.err == nil {
		r.err = foreign("%s has %s: %.80q", r.m.get(HeaderID), name, word)
	}
	return h, rest
}

func (r *headReader) index(name string) (i types.Index) {
	height, hash := r.take(name)
	n, err := strconv.ParseUint(height, 10, 32)
	i.Height = uint32(n)
	if err == nil {
		i.Hash, err = types.ParseHash(hash)
	}
	if err != nil && r.err == nil {
		r.err = foreign("%s has %s: %.80q", r.m.get(HeaderID), name, r.m.get(name))
	}
	return i
}

// headers are those of the message that ends a step.
func (h *Head) headers(writer string) map[string][]string {
	index := func(i types.Index) string { return fmt.Sprintf("%d %s", i.Height, i.Hash) }
	id := ID{Number: h.Number, Direction: h.Direction, Hash: h.Block.Hash, IsBlock: true}
	m := map[string][]string{
		HeaderID: {id.String()}, HeaderWriter: {writer}, HeaderVersion: {strconv.Itoa(Version)}, HeaderNetwork: {h.Network.String()}, HeaderBlock: {index(h.Block)},
		HeaderAt: {index(h.At)}, HeaderWork: {h.Work.String()}, HeaderGoal: {h.Goal.Hash.String() + " " + h.Goal.Work.String()},
	}
	if h.Direction != Abandoned {
		m[HeaderParent], m[HeaderTxs] = []string{h.Parent.String()}, []string{strconv.Itoa(h.Txs)}
	}
	return m
}

// number reads a decimal number of at most so much.
func number(s string, most int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err == nil && n > uint64(most) {
		err = strconv.ErrRange
	}
	return int(n), err
}

func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrForeign}, args...)...)
}

func gap(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrGap}, args...)...)
}
