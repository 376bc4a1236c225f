package stratum

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/karatcoin/karat/miner/stratuminfo"
)

// The bounds of what a client says. They are generous: a submitted share takes some
// 150 bytes.
const (
	maxLine   = 16 << 10 // bytes, with the line feed
	maxID     = 64       // bytes of a request's id
	maxParams = 16
	maxText   = 256 // bytes of a text that means something
)

// message is a line of a client: a request, or an answer to one of ours.
type message struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
	Result json.RawMessage   `json:"result"`
}

// errNoMessage is told to nobody: who sends such a line is hung up on.
var errNoMessage = errors.New("a line that is no message")

// parseMessage reads a line. It refuses what no miner sends, before it means anything.
func parseMessage(line []byte) (*message, error) {
	line = bytes.TrimSpace(line)
	if len(line) > maxLine || len(line) == 0 || line[0] != '{' {
		return nil, errNoMessage
	}
	m := &message{}
	if err := json.Unmarshal(line, m); err != nil {
		return nil, errNoMessage
	}
	if len(m.Params) > maxParams || len(m.Method) > maxText || len(m.ID) > maxID {
		return nil, errNoMessage
	}
	if len(m.ID) == 0 || m.ID[0] == '{' || m.ID[0] == '[' {
		m.ID = json.RawMessage("null")
	}
	return m, nil
}

// text returns a parameter that is a text; empty if it is not there, or is no text.
func (m *message) text(i int) string {
	var s string
	if i >= len(m.Params) || json.Unmarshal(m.Params[i], &s) != nil || len(s) > maxText {
		return ""
	}
	return s
}

// number returns a parameter that is a number, or a text that holds one, as some miners
// write it.
func number(raw json.RawMessage) (n float64, ok bool) {
	var s string
	if json.Unmarshal(raw, &n) == nil {
		return n, true
	}
	if json.Unmarshal(raw, &s) != nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// hexWord reads a word of 32 bits from eight hexadecimal digits, most significant first.
func hexWord(s string) (uint32, bool) {
	if len(s) != 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return uint32(n), err == nil
}

// hexBytes reads bytes from exactly as many hexadecimal digits as they take.
func hexBytes(s string, into []byte) bool {
	if len(s) != 2*len(into) {
		return false
	}
	_, err := hex.Decode(into, []byte(s))
	return err == nil
}

// The numbers of errors, which all Stratum servers use.
const (
	codeOther         = 20
	codeNoJob         = 21
	codeDuplicate     = 22
	codeLow           = 23
	codeUnauthorized  = 24
	codeNotSubscribed = 25
)

// fault is why a request is refused. The text is for people.
type fault struct {
	code   int
	text   string
	reason stratuminfo.Reason // if it was a share
}

// refuse returns the fault of a share.
func refuse(reason stratuminfo.Reason, text string) *fault {
	code := [...]int{codeNoJob, codeDuplicate, codeLow, codeOther, codeUnauthorized}[reason]
	return &fault{code, text, reason}
}

// answer returns the line that answers a request.
func answer(id json.RawMessage, result any, f *fault) []byte {
	reply := struct {
		ID     json.RawMessage `json:"id"`
		Result any             `json:"result"`
		Error  any             `json:"error"`
	}{ID: id, Result: result}
	if f != nil {
		reply.Result, reply.Error = nil, []any{f.code, f.text, nil}
	}
	return line(reply)
}

// notice returns the line of a message that wants no answer.
func notice(method string, params ...any) []byte {
	return line(struct {
		ID     any    `json:"id"`
		Method string `json:"method"`
		Params []any  `json:"params"`
	}{nil, method, append([]any{}, params...)})
}

// line encodes a message that is made here, which always can be.
func line(message any) []byte {
	b, _ := json.Marshal(message)
	return append(b, '\n')
}

// difficultyNotice tells of a difficulty. It is written without an exponent, since not
// all miners can read one.
func difficultyNotice(difficulty float64) []byte {
	return notice("mining.set_difficulty", json.RawMessage(strconv.AppendFloat(nil, difficulty, 'f', -1, 64)))
}

// printable returns a text of a stranger as it may stand in a log or an answer: without
// what is not ASCII or not printable, and cut.
func printable(s string, limit int) string {
	b := make([]byte, 0, min(len(s), limit))
	for i := 0; i < len(s) && len(b) < limit; i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			b = append(b, s[i])
		}
	}
	return string(b)
}
