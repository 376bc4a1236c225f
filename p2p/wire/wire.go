package wire

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// The versions of the protocol that this package speaks.
const (
	Version    = 2 // the newest
	MinVersion = 1 // the oldest

	VersionParents = 2 // the first with GetParents
)

var (
	// ErrProtocol is wrapped by every error about the bytes that a peer sent: they
	// break the protocol, and what comes after them cannot be read.
	ErrProtocol = errors.New("broken wire protocol")
	// ErrVersion is wrapped by Negotiate's error: two nodes that have no version
	// in common. Nobody is to blame.
	ErrVersion = errors.New("no common protocol version")
	// ErrTooLarge is returned for a message of our own that exceeds the maximum of its
	// type. A peer would hang up on it, so it is not sent.
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
	TypeGetParents   Type = 19 // from version 2 on
)

// What a message may hold. Together with the lengths of the elements this bounds every
// type of message; the counts of headers and of locators are Bitcoin Core's.
const (
	MaxUserAgent    = 256                  // bytes
	MaxPeers        = 1000                 // addresses in a Peers
	MaxLocator      = 101                  // hashes in a locator
	MaxHeaders      = 2000                 // headers in a Headers
	MaxInv          = 1000                 // witness ids in an Inv or a GetTxs
	MaxGetParents   = 100                  // ids in a GetParents
	MaxGetBlocks    = 128                  // hashes in a GetBlocks
	MaxNotFound     = 1000                 // hashes in a NotFound
	MaxTxSize       = 400_000              // bytes: no pool takes a heavier one, and no byte weighs less than a unit
	MaxBlockSize    = types.MaxBlockWeight // bytes, for the same reason
	MaxBlockTxs     = MaxBlockSize / minTxWeight
	MaxCompactBlock = 1_000_000 // bytes of a CompactBlock's payload; short ids take 400,000 at most
	// MaxUnknown is the longest payload in bytes of a message of a type that this
	// version does not know. Such messages are skipped, so that later versions can add
	// some. They are bounded, since what is skipped is read all the same.
	MaxUnknown = 65_536
)

// minTxWeight is the weight of the smallest transaction that has an input and
// an output, both with empty scripts.
const minTxWeight = types.WitnessScale * (4 + 1 + 41 + 1 + 9 + 4)

// Lane is one of the two streams of a connection. A message in the urgent one never waits
// for more than a fragment of the bulk one, so a block of 4 MB delays no ping.
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

// registry is indexed by type; a type without a name is not known. It is never changed.
// A maximum is what the longest honest message takes. With a smaller one such a message
// would end the connection; with a larger one peers could have memory for nothing.
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
	TypeGetParents:   {"getparents", 1 + MaxGetParents*types.HashSize, Urgent, func() Message { return new(GetParents) }},
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

// Lane returns the lane that a message of the type is sent in. A receiver takes any
// message from either.
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

// MaxPayload returns the longest payload of a message of the type, in bytes, MaxUnknown
// for one that is not known. It holds on any network. For blocks, NewAssembler applies
// the network's own weight limit, which is lower.
func MaxPayload(t Type) int {
	if info, ok := t.info(); ok {
		return info.max
	}
	return MaxUnknown
}

// Message is one of this package's pointer types: *Hello, *Ping and so on. No other
// package can make one, so the table of types is complete.
type Message interface {
	Type() Type
	appendTo(b []byte) []byte
	decode(d *types.Decoder)
}

// Encode returns the payload of the message. That of a Tx or a Block is the message's own
// Raw, not a copy: a block goes to many peers at once, and is in memory once.
func Encode(m Message) []byte {
	switch m := m.(type) {
	case *Tx:
		return m.Raw
	case *Block:
		return m.Raw
	}
	return m.appendTo(nil)
}

// Decode reads the payload of a message, to its last byte. The message refers to the
// payload, which must not change afterwards. Every failure wraps ErrProtocol.
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
