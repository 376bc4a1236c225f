package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/karatcoin/karat/chain/types"
)

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// decodeBool refuses all but 0 and 1. Two nodes could else read a 2 in two ways.
func decodeBool(d *types.Decoder) bool {
	v := d.Uint8()
	if v > 1 {
		d.Fail("a yes or no of %d", v)
	}
	return v == 1
}

func decodeUint16(d *types.Decoder) uint16 {
	if b := d.Bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// placeLen is the length in bytes of an IPv6 address and a port.
const placeLen = 16 + 2

// appendPlace appends an address, that of IPv4 as IPv6 maps it, and a port.
func appendPlace(b []byte, at netip.AddrPort) []byte {
	ip := at.Addr().As16()
	return binary.LittleEndian.AppendUint16(append(b, ip[:]...), at.Port())
}

// decodePlace returns the zero value for the unspecified address and port 0.
func decodePlace(d *types.Decoder) netip.AddrPort {
	var ip [16]byte
	copy(ip[:], d.Bytes(16))
	port := decodeUint16(d)
	if ip == [16]byte{} && port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom16(ip).Unmap(), port)
}

// decodeCount reads the number of elements of a list, at most limit, each of which takes
// at least size bytes. A number for which there are not bytes enough is refused here, so
// that callers may allocate the whole list at once.
func decodeCount(d *types.Decoder, limit, size int) int {
	n := d.Count(size)
	if n > limit {
		d.Fail("a list of %d elements, the limit is %d", n, limit)
		return 0
	}
	return n
}

// wanted refuses a request for nothing: it would have no answer, and who asked would wait.
func wanted(d *types.Decoder, n int) int {
	if n == 0 {
		d.Fail("a request for nothing")
	}
	return n
}

func appendHashes(b []byte, hashes []types.Hash) []byte {
	b = types.AppendCompactSize(b, uint64(len(hashes)))
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

func decodeHashes(d *types.Decoder, limit int) []types.Hash {
	n := decodeCount(d, limit, types.HashSize)
	if n == 0 {
		return nil
	}
	hashes := make([]types.Hash, n)
	for i := range hashes {
		hashes[i] = d.Hash()
	}
	return hashes
}

// decodeHeader reads the 80 bytes of a header.
func decodeHeader(d *types.Decoder) types.Header {
	b := d.Bytes(types.HeaderSize)
	if b == nil {
		return types.Header{}
	}
	h, err := types.DecodeHeader(b)
	if err != nil {
		d.Fail("%v", err)
	}
	return h
}

// appendIndex appends the distance of an index from *next, the least that it can be, and
// moves *next behind it (BIP152's differential encoding). Indexes that are close together
// take a byte each, and no bytes stand for a list that does not ascend.
func appendIndex(b []byte, next *uint32, index uint32) []byte {
	b = types.AppendCompactSize(b, uint64(index-*next))
	*next = index + 1
	return b
}

// decodeIndex reads what appendIndex wrote: an index below limit. A distance may be any
// number of 64 bits, so it is compared before it is added.
func decodeIndex(d *types.Decoder, next *uint32, limit int) uint32 {
	distance := d.CompactSize()
	if distance >= uint64(limit) || uint64(*next)+distance >= uint64(limit) {
		d.Fail("index %d behind %d, of %d transactions", distance, *next, limit)
		return 0
	}
	index := *next + uint32(distance)
	*next = index + 1
	return index
}
