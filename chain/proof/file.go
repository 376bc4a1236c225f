package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

const (
	// fileVersion is that of the format. A proof has to be read for as long as there is
	// somebody to whom it matters.
	fileVersion = 1
	// MaxSize bounds a proof file, in bytes. There is room for the headers of 400,000
	// blocks.
	MaxSize = 48 << 20
	// MaxName bounds the name of a file in a proof, in bytes.
	MaxName = 255
)

// file is the JSON of a proof file. Hashes are byte-reversed, as everywhere in text, but for
// that of the file, which is as sha256sum prints it.
type file struct {
	Version  int           `json:"karat_proof"`
	Network  string        `json:"network"`
	Identity types.Hash    `json:"identity"`
	File     *fileDocument `json:"file,omitempty"`
	Tx       hexBytes      `json:"transaction"`
	Block    *fileBlock    `json:"block,omitempty"`
	Headers  *fileHeaders  `json:"headers,omitempty"`
}

type fileDocument struct {
	Name   string   `json:"name"`
	Size   int64    `json:"size"`
	SHA256 hexBytes `json:"sha256"`
	Salt   hexBytes `json:"salt,omitempty"`
}

type fileBlock struct {
	Height         uint32       `json:"height"`
	Header         hexBytes     `json:"header"`
	Position       uint32       `json:"position"`
	Branch         []types.Hash `json:"branch"`
	Coinbase       hexBytes     `json:"coinbase"`
	CoinbaseBranch []types.Hash `json:"coinbase_branch"`
}

// fileHeaders are headers one behind the other, 80 bytes each, in base64.
type fileHeaders struct {
	From uint32 `json:"from"`
	Data string `json:"data"`
}

// hexBytes are bytes that are lower-case hexadecimal digits in JSON.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// Encode returns the text of a proof file.
func (p *Proof) Encode() ([]byte, error) {
	f := file{Version: fileVersion, Network: p.Network, Identity: p.Identity, Tx: p.Tx.AppendStripped(nil)}
	if d := p.Document; d != nil {
		f.File = &fileDocument{d.Name, d.Size, d.SHA256[:], d.Salt}
	}
	if b := p.Block; b != nil {
		f.Block = &fileBlock{b.Height, b.Header.AppendTo(nil), b.Position, b.Branch, b.Coinbase.AppendStripped(nil), b.CoinbaseBranch}
	}
	if len(p.Headers) > 0 {
		raw := make([]byte, 0, types.HeaderSize*len(p.Headers))
		for i := range p.Headers {
			raw = p.Headers[i].AppendTo(raw)
		}
		f.Headers = &fileHeaders{p.From, base64.StdEncoding.EncodeToString(raw)}
	}
	text, err := json.MarshalIndent(&f, "", "  ")
	return append(text, '\n'), err
}

// Decode reads the text of a proof file. Nothing that it says is checked but its form. It
// fails with ErrFormat.
func Decode(text []byte) (*Proof, error) {
	p, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return p, nil
}

func decode(text []byte) (*Proof, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	var version struct {
		Version *int `json:"karat_proof"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, err
	}
	if version.Version == nil {
		return nil, errors.New("it has no karat_proof")
	}
	if *version.Version != fileVersion {
		return nil, fmt.Errorf("it has version %d, and this karat knows version %d", *version.Version, fileVersion)
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	return f.proof()
}

func (f *file) proof() (p *Proof, err error) {
	p = &Proof{Network: f.Network, Identity: f.Identity}
	if p.Tx, err = types.DecodeStrippedTx(f.Tx); err != nil {
		return nil, fmt.Errorf("its transaction: %w", err)
	}
	if d := f.File; d != nil {
		if len(d.SHA256) != 32 || d.Size < 0 || len(d.Name) > MaxName || len(d.Salt) != 0 && len(d.Salt) != SaltSize {
			return nil, errors.New("what it says of its file cannot be")
		}
		p.Document = &Document{d.Name, d.Size, [32]byte(d.SHA256), d.Salt}
	}
	if b := f.Block; b != nil {
		if len(b.Branch) > maxDepth || len(b.CoinbaseBranch) > maxDepth {
			return nil, errors.New("its branches are of no tree")
		}
		p.Block = &Block{Height: b.Height, Position: b.Position, Branch: b.Branch, CoinbaseBranch: b.CoinbaseBranch}
		if p.Block.Header, err = types.DecodeHeader(b.Header); err != nil {
			return nil, fmt.Errorf("its header: %w", err)
		}
		if p.Block.Coinbase, err = types.DecodeStrippedTx(b.Coinbase); err != nil {
			return nil, fmt.Errorf("its coinbase: %w", err)
		}
	}
	return p, f.headers(p)
}

func (f *file) headers(p *Proof) error {
	if f.Headers == nil {
		return nil
	}
	if f.Block == nil {
		return errors.New("it has headers and no block")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(f.Headers.Data)
	if err != nil || len(raw) == 0 || len(raw)%types.HeaderSize != 0 || f.Headers.From == 0 {
		return errors.New("its headers are not whole")
	}
	count := len(raw) / types.HeaderSize
	if uint64(f.Headers.From)+uint64(count) > 1<<32 {
		return errors.New("its headers are above all heights")
	}
	p.From, p.Headers = f.Headers.From, make([]types.Header, count)
	for i := range p.Headers {
		if p.Headers[i], err = types.DecodeHeader(raw[i*types.HeaderSize : (i+1)*types.HeaderSize]); err != nil {
			return err
		}
	}
	return nil
}
