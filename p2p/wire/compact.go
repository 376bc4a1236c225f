package wire

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/karatcoin/karat/chain/types"
)

// ShortID stands for a transaction within one compact block: the low 48 bits of
// SipHash-2-4 over the witness id (BIP152). Among 10,000 transactions of a block and
// 100,000 of a pool, one in 281,000 blocks has a chance collision.
type ShortID uint64

const (
	shortIDLen  = 6
	shortIDMask = 1<<(8*shortIDLen) - 1
)

// ShortIDKey is the SipHash key of one compact block. It depends on the header, so that
// nobody can prepare transactions whose short ids collide. It depends on a nonce too, so
// that a collision in one peer's compact block is none in the next peer's.
type ShortIDKey struct{ k0, k1 uint64 }

// NewShortIDKey derives the key as BIP152 does: the first 16 bytes of SHA-256
// over the header and the nonce.
func NewShortIDKey(header *types.Header, nonce uint64) ShortIDKey {
	var buf [types.HeaderSize + 8]byte
	digest := sha256.Sum256(binary.LittleEndian.AppendUint64(header.AppendTo(buf[:0]), nonce))
	return ShortIDKey{binary.LittleEndian.Uint64(digest[:]), binary.LittleEndian.Uint64(digest[8:])}
}

// ShortID returns the short id of a transaction.
func (k ShortIDKey) ShortID(wtxid types.Hash) ShortID {
	return ShortID(siphash.Hash(k.k0, k.k1, wtxid[:]) & shortIDMask)
}

// PrefilledTx is a transaction that a compact block holds whole.
type PrefilledTx struct {
	Index uint32 // in the block
	Raw   []byte // in Bitcoin's encoding
}

// CompactBlock is a block in which most transactions are named by short ids, for peers
// that have them already. A full block of payments becomes some 40 kB.
type CompactBlock struct {
	Header    types.Header
	Nonce     uint64
	ShortIDs  []ShortID     // of the transactions that are not prefilled, in the block's order
	Prefilled []PrefilledTx // in the block's order, the coinbase among them
}

// NewCompactBlock makes the compact form of a block, with the coinbase prefilled: no pool
// can have that one. wtxids are those of its transactions, as in a HashedBlock. The error
// is ErrTooLarge if the coinbase is: announce the header instead.
func NewCompactBlock(block *types.Block, wtxids []types.Hash, nonce uint64) (*CompactBlock, error) {
	c := &CompactBlock{Header: block.Header, Nonce: nonce}
	if len(block.Txs) > 0 {
		coinbase := &block.Txs[0]
		c.Prefilled = []PrefilledTx{{0, coinbase.AppendTo(make([]byte, 0, coinbase.Size()))}}
		c.ShortIDs = make([]ShortID, len(block.Txs)-1)
	}
	key := c.Key()
	for i := range c.ShortIDs {
		c.ShortIDs[i] = key.ShortID(wtxids[i+1])
	}
	if c.Txs() > MaxBlockTxs || c.size() > MaxCompactBlock {
		return nil, ErrTooLarge
	}
	return c, nil
}

// Type returns TypeCompactBlock.
func (*CompactBlock) Type() Type { return TypeCompactBlock }

// Key returns the key of the block's short ids.
func (m *CompactBlock) Key() ShortIDKey { return NewShortIDKey(&m.Header, m.Nonce) }

// Txs returns the number of transactions of the block.
func (m *CompactBlock) Txs() int { return len(m.ShortIDs) + len(m.Prefilled) }

// size is at least the length of the encoding. It takes every number for the longest, so
// nothing has to be encoded to learn it.
func (m *CompactBlock) size() int {
	size := types.HeaderSize + 8 + 2*indexLen + shortIDLen*len(m.ShortIDs)
	for i := range m.Prefilled {
		size += 2*indexLen + len(m.Prefilled[i].Raw)
	}
	return size
}

func (m *CompactBlock) appendTo(b []byte) []byte {
	b = m.Header.AppendTo(b)
	b = binary.LittleEndian.AppendUint64(b, m.Nonce)
	b = types.AppendCompactSize(b, uint64(len(m.ShortIDs)))
	for _, id := range m.ShortIDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
		b = binary.LittleEndian.AppendUint16(b, uint16(id>>32))
	}
	b = types.AppendCompactSize(b, uint64(len(m.Prefilled)))
	next := uint32(0)
	for i := range m.Prefilled {
		p := &m.Prefilled[i]
		b = appendIndex(b, &next, p.Index)
		b = types.AppendVarBytes(b, p.Raw)
	}
	return b
}

func (m *CompactBlock) decode(d *types.Decoder) {
	m.Header = decodeHeader(d)
	m.Nonce = d.Uint64()
	if n := decodeCount(d, MaxBlockTxs, shortIDLen); n > 0 {
		m.ShortIDs = make([]ShortID, n)
	}
	for i := range m.ShortIDs {
		low := d.Uint32()
		m.ShortIDs[i] = ShortID(low) | ShortID(decodeUint16(d))<<32
	}
	if n := decodeCount(d, MaxBlockTxs-len(m.ShortIDs), minPrefilledLen); n > 0 {
		m.Prefilled = make([]PrefilledTx, n)
	}
	if m.Txs() == 0 {
		d.Fail("a block without transactions")
	}
	// Indexes that ascend below the number of transactions leave a place for each short
	// id, which NewReconstruction relies on.
	next := uint32(0)
	for i := range m.Prefilled {
		m.Prefilled[i] = PrefilledTx{decodeIndex(d, &next, m.Txs()), d.VarBytes()}
	}
}

// GetBlockTxs asks for transactions of a block of which the peer sent a
// CompactBlock.
type GetBlockTxs struct {
	Hash    types.Hash
	Indexes []uint32 // ascending, at least one, each below MaxBlockTxs
}

// Type returns TypeGetBlockTxs.
func (*GetBlockTxs) Type() Type { return TypeGetBlockTxs }

func (m *GetBlockTxs) appendTo(b []byte) []byte {
	b = append(b, m.Hash[:]...)
	b = types.AppendCompactSize(b, uint64(len(m.Indexes)))
	next := uint32(0)
	for _, index := range m.Indexes {
		b = appendIndex(b, &next, index)
	}
	return b
}

func (m *GetBlockTxs) decode(d *types.Decoder) {
	m.Hash = d.Hash()
	if n := wanted(d, decodeCount(d, MaxBlockTxs, 1)); n > 0 {
		m.Indexes = make([]uint32, n)
	}
	next := uint32(0)
	for i := range m.Indexes {
		m.Indexes[i] = decodeIndex(d, &next, MaxBlockTxs)
	}
}

// BlockTxs answers a GetBlockTxs with the transactions in the order of the
// request.
type BlockTxs struct {
	Hash types.Hash
	Txs  [][]byte // in Bitcoin's encoding, at most MaxBlockTxs
}

// NewBlockTxs answers the request from the block that it names. An index beyond the block
// wraps ErrProtocol: the peer had the number of transactions from the compact block.
func NewBlockTxs(block *types.Block, request *GetBlockTxs) (*BlockTxs, error) {
	m := &BlockTxs{Hash: request.Hash, Txs: make([][]byte, 0, len(request.Indexes))}
	for _, index := range request.Indexes {
		if int64(index) >= int64(len(block.Txs)) {
			return nil, broken("transaction %d of a block with %d", index, len(block.Txs))
		}
		tx := &block.Txs[index]
		m.Txs = append(m.Txs, tx.AppendTo(make([]byte, 0, tx.Size())))
	}
	return m, nil
}

// Type returns TypeBlockTxs.
func (*BlockTxs) Type() Type { return TypeBlockTxs }

func (m *BlockTxs) appendTo(b []byte) []byte {
	b = append(b, m.Hash[:]...)
	b = types.AppendCompactSize(b, uint64(len(m.Txs)))
	for _, raw := range m.Txs {
		b = types.AppendVarBytes(b, raw)
	}
	return b
}

func (m *BlockTxs) decode(d *types.Decoder) {
	m.Hash = d.Hash()
	if n := decodeCount(d, MaxBlockTxs, 1); n > 0 {
		m.Txs = make([][]byte, n)
	}
	for i := range m.Txs {
		m.Txs[i] = d.VarBytes()
	}
}
