package types

// TxPlace says where a transaction stands in a block. The bytes are those of the
// block's whole encoding (BIP144), so that a reader takes the transaction alone from
// the disk, and decodes nothing else.
type TxPlace struct {
	Block  Hash
	N      uint32 // its position in the block; the coinbase has 0
	Offset uint32 // of its first byte in the block's encoding
	Size   uint32 // of its own encoding, in bytes
}

// Places returns the place of each transaction of the block, which has this hash.
func (b *Block) Places(hash Hash) []TxPlace {
	places := make([]TxPlace, len(b.Txs))
	offset := b.overhead()
	for i := range b.Txs {
		size := b.Txs[i].Size()
		places[i] = TxPlace{Block: hash, N: uint32(i), Offset: uint32(offset), Size: uint32(size)}
		offset += size
	}
	return places
}
