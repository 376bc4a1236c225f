package types

import "encoding/binary"

// HeaderSize is the length of an encoded header in bytes.
const HeaderSize = 80

// MaxBlockWeight is the greatest weight limit that a network can choose, in weight
// units. So it bounds every block in bytes, whatever network it is of.
const MaxBlockWeight = 16_000_000

// Header is a block header. It commits to all that the block holds but the witnesses,
// to which the coinbase commits (BIP141).
type Header struct {
	Version    int32
	PrevBlock  Hash
	MerkleRoot Hash
	Timestamp  uint32 // seconds since 1970
	Bits       uint32 // compact form of the target
	Nonce      uint32
}

// AppendTo appends the 80 bytes of the header.
func (h *Header) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Version))
	b = append(b, h.PrevBlock[:]...)
	b = append(b, h.MerkleRoot[:]...)
	b = binary.LittleEndian.AppendUint32(b, h.Timestamp)
	b = binary.LittleEndian.AppendUint32(b, h.Bits)
	return binary.LittleEndian.AppendUint32(b, h.Nonce)
}

// Hash returns the double SHA-256 of the encoding. It is both the block's name and its
// proof of work.
func (h *Header) Hash() Hash {
	var buf [HeaderSize]byte
	return DoubleSHA256(h.AppendTo(buf[:0]))
}

// DecodeHeader reads one header. All of b must be used.
func DecodeHeader(b []byte) (Header, error) {
	d := NewDecoder(b)
	var h Header
	d.header(&h)
	return h, d.Finish()
}

func (d *Decoder) header(h *Header) {
	h.Version = int32(d.Uint32())
	h.PrevBlock = d.Hash()
	h.MerkleRoot = d.Hash()
	h.Timestamp = d.Uint32()
	h.Bits = d.Uint32()
	h.Nonce = d.Uint32()
}

// Block is a header and its transactions, the coinbase first.
type Block struct {
	Header Header
	Txs    []Tx
}

// Hash returns the hash of the header.
func (b *Block) Hash() Hash { return b.Header.Hash() }

// AppendTo appends the encoding of the block.
func (b *Block) AppendTo(buf []byte) []byte {
	buf = b.Header.AppendTo(buf)
	buf = AppendCompactSize(buf, uint64(len(b.Txs)))
	for i := range b.Txs {
		buf = b.Txs[i].AppendTo(buf)
	}
	return buf
}

// blockSlab is how many inputs, outputs or witness elements of a block share an array.
// That makes decoding a third cheaper, and wastes some kilobytes. A small block has arrays
// that are about as large as what it can fill: whoever keeps many small blocks would else keep
// little but room.
const blockSlab = 128

// DecodeBlock reads one block. All of buf must be used. The block refers to buf, which
// must not change afterwards. Its transactions share memory, so whoever keeps one
// keeps its neighbours too, and copies it if the block is to go.
func DecodeBlock(buf []byte) (*Block, error) {
	d := NewDecoder(buf)
	b := d.block()
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return b, nil
}

// ReadBlock reads one block at the beginning of buf, as DecodeBlock does, and returns
// how many bytes it has. Those behind it are not looked at.
func ReadBlock(buf []byte) (block *Block, size int, err error) {
	d := NewDecoder(buf)
	b := d.block()
	if d.err != nil {
		return nil, 0, d.err
	}
	return b, d.off, nil
}

func (d *Decoder) block() *Block {
	d.share(min(blockSlab, 1+len(d.data)/(2*minTxInSize)))
	var b Block
	d.header(&b.Header)
	if n := d.Count(minTxSize); n > 0 {
		b.Txs = make([]Tx, n)
	}
	for i := range b.Txs {
		if d.err != nil {
			break
		}
		d.tx(&b.Txs[i])
	}
	return &b
}

// Size returns the bytes of the whole encoding, without making it.
func (b *Block) Size() int {
	size := b.overhead()
	for i := range b.Txs {
		size += b.Txs[i].Size()
	}
	return size
}

// StrippedSize returns the bytes of the encoding without witnesses.
func (b *Block) StrippedSize() int {
	size := b.overhead()
	for i := range b.Txs {
		size += b.Txs[i].StrippedSize()
	}
	return size
}

// Weight returns the weight in weight units (BIP141).
func (b *Block) Weight() int { return b.StrippedSize()*(WitnessScale-1) + b.Size() }

func (b *Block) overhead() int { return HeaderSize + CompactSizeLen(uint64(len(b.Txs))) }
