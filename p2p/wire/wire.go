// Package wire is the language that karat's nodes speak: the messages, their
// encoding and their limits, the fragments that they travel in, and compact
// blocks (BIP152's idea). docs/wire-protocol.md is its description.
//
// The package opens no connection and keeps no state but that of a stream:
// who may send what, how often and when is decided in p2p. Every decoder treats
// its input as hostile: a message's length is checked against the maximum of
// its type before anything is allocated, and nothing may be left over.
package wire

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// The versions of the protocol that this package speaks.
const (
	Version    = 1 // the newest
	MinVersion = 1 // the oldest
)

var (
	// ErrProtocol is wrapped by every error about the bytes that a peer sent:
	// they break the protocol, and the stream cannot be followed any further.
	ErrProtocol = errors.New("broken wire protocol")
	// ErrVersion is wrapped by Negotiate's error: two nodes that have no version
	// in common. Nobody is to blame.
	ErrVersion = errors.New("no common protocol version")
	// ErrTooLarge is returned for a message of our own that exceeds the maximum
	// of its type, so that no peer would take it.
	ErrTooLarge = errors.New("message too large")
	// ErrCollision is returned by NewReconstruction for a block with two
	// transactions of the same short id, which chance can bring about: nobody is
	// to blame. The whole block has to be asked for.
	ErrCollision = errors.New("short ids collide")
)

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}

// Negotiate returns the version that a connection speaks: the lower one of
// ours and of the version in the peer's hello.
func Negotiate(theirs uint32) (uint32, error) {
	if theirs < MinVersion {
		return 0, fmt.Errorf("%w: the peer speaks up to %d, we from %d", ErrVersion, theirs, MinVersion)
	}
	return min(theirs, Version), nil
}

// Type tells what a message is.
type Type uint8

// The types of messages. The numbers are part of the protocol.
const (
	TypeHello        Type = 1
	TypePing         Type = 2
	TypePong         Type = 3
	TypeGetPeers     Type = 4
	TypePeers        Type = 5
	TypeGetHeaders   Type = 6
	TypeHeaders      Type = 7
	TypeInv          Type = 8
	TypeGetTxs       Type = 9
	TypeTx           Type = 10
	TypeGetBlocks    Type = 11
	TypeBlock        Type = 12
	TypeNotFound     Type = 13
	TypeCompactBlock Type = 14
	TypeGetBlockTxs  Type = 15
	TypeBlockTxs     Type = 16
	TypeFeeFilter    Type = 17
	TypeSendCompact  Type = 18
)

// What a message may hold.
const (
	MaxUserAgent    = 256  // bytes
	MaxPeers        = 1000 // addresses in a Peers
	MaxLocator      = 101  // hashes in a locator
	MaxHeaders      = 2000 // headers in a Headers
	MaxInv          = 1000 // witness ids in an Inv or a GetTxs
	MaxGetBlocks    = 128  // hashes in a GetBlocks
	MaxNotFound     = 1000 // hashes in a NotFound
	MaxTxSize       = 400_000
	MaxBlockSize    = types.MaxBlockWeight // bytes; no byte weighs less than a unit
	MaxBlockTxs     = MaxBlockSize / minTxWeight
	MaxCompactBlock = 1_000_000 // bytes of a CompactBlock's payload
	// MaxUnknown is the longest payload in bytes of a message of a type that
	// this version does not know. Such messages are skipped.
	MaxUnknown = 65_536
)

// minTxWeight is the weight of the smallest transaction that has an input and
// an output, both with empty scripts.
const minTxWeight = types.WitnessScale * (4 + 1 + 41 + 1 + 9 + 4)

// Lane is one of the two streams of a connection. What travels in one is
// never delayed by more than a fragment of the other.
type Lane uint8

// The lanes. The numbers are part of the protocol.
const (
	Urgent Lane = 0
	Bulk   Lane = 1
)

// typeInfo is what is fixed for a type of message.
type typeInfo struct {
	name string
	max  int // bytes of payload
	lane Lane
	make func() Message
}

const (
	countLen = 3 // bytes of a compact size up to 65,535
	indexLen = 5 // bytes of a compact size up to 2^32-1

	minPrefilledLen = 2 // an index and the length of a transaction
)

// registry is indexed by type; a type without a name is not known. It is
// never changed.
var registry = [...]typeInfo{
	TypeHello:        {"hello", maxHello, Urgent, func() Message { return new(Hello) }},
	TypePing:         {"ping", 8, Urgent, func() Message { return new(Ping) }},
	TypePong:         {"pong", 8, Urgent, func() Message { return new(Pong) }},
	TypeGetPeers:     {"getpeers", 0, Urgent, func() Message { return new(GetPeers) }},
	TypePeers:        {"peers", countLen + MaxPeers*peerLen, Bulk, func() Message { return new(Peers) }},
	TypeGetHeaders:   {"getheaders", 1 + (MaxLocator+1)*types.HashSize, Urgent, func() Message { return new(GetHeaders) }},
	TypeHeaders:      {"headers", countLen + MaxHeaders*types.HeaderSize, Urgent, func() Message { return new(Headers) }},
	TypeInv:          {"inv", countLen + MaxInv*types.HashSize, Urgent, func() Message { return new(Inv) }},
	TypeGetTxs:       {"gettxs", countLen + MaxInv*types.HashSize, Urgent, func() Message { return new(GetTxs) }},
	TypeTx:           {"tx", MaxTxSize, Bulk, func() Message { return new(Tx) }},
	TypeGetBlocks:    {"getblocks", 1 + MaxGetBlocks*types.HashSize, Urgent, func() Message { return new(GetBlocks) }},
	TypeBlock:        {"block", MaxBlockSize, Bulk, func() Message { return new(Block) }},
	TypeNotFound:     {"notfound", 1 + countLen + MaxNotFound*types.HashSize, Urgent, func() Message { return new(NotFound) }},
	TypeCompactBlock: {"compactblock", MaxCompactBlock, Urgent, func() Message { return new(CompactBlock) }},
	TypeGetBlockTxs:  {"getblocktxs", types.HashSize + indexLen + MaxBlockTxs*countLen, Urgent, func() Message { return new(GetBlockTxs) }},
	TypeBlockTxs:     {"blocktxs", MaxBlockSize, Bulk, func() Message { return new(BlockTxs) }},
	TypeFeeFilter:    {"feefilter", 8, Urgent, func() Message { return new(FeeFilter) }},
	TypeSendCompact:  {"sendcompact", 1, Urgent, func() Message { return new(SendCompact) }},
}

func (t Type) info() (*typeInfo, bool) {
	if int(t) >= len(registry) || registry[t].name == "" {
		return nil, false
	}
	return &registry[t], true
}

// Known reports whether this version of the protocol has the type.
func (t Type) Known() bool {
	_, ok := t.info()
	return ok
}

// Lane returns the lane that a message of the type is sent in. A receiver
// takes any message from either.
func (t Type) Lane() Lane {
	if info, ok := t.info(); ok {
		return info.lane
	}
	return Bulk
}

// String returns the name of the type in lower case, "type 99" for one that is
// not known.
func (t Type) String() string {
	if info, ok := t.info(); ok {
		return info.name
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// MaxPayload returns the longest payload of a message of the type, in bytes,
// MaxUnknown for one that is not known. A network's own weight limit makes the
// maximum of blocks smaller (NewAssembler).
func MaxPayload(t Type) int {
	if info, ok := t.info(); ok {
		return info.max
	}
	return MaxUnknown
}

// Message is one of this package's pointer types: *Hello, *Ping and so on.
type Message interface {
	Type() Type
	appendTo(b []byte) []byte
	decode(d *types.Decoder)
}

// Encode returns the payload of the message. That of a Tx or a Block is the
// message's own Raw, not a copy.
func Encode(m Message) []byte {
	switch m := m.(type) {
	case *Tx:
		return m.Raw
	case *Block:
		return m.Raw
	}
	return m.appendTo(nil)
}

// Decode reads the payload of a message, all of which must be used. The message
// refers to the payload, which must not change afterwards. Every failure wraps
// ErrProtocol.
func Decode(t Type, payload []byte) (Message, error) {
	info, ok := t.info()
	if !ok {
		return nil, broken("%s is not known", t)
	}
	if len(payload) > info.max {
		return nil, broken("%s of %d bytes, the limit is %d", t, len(payload), info.max)
	}
	m, d := info.make(), types.NewDecoder(payload)
	m.decode(d)
	if err := d.Finish(); err != nil {
		return nil, broken("%s: %w", t, err)
	}
	return m, nil
}
