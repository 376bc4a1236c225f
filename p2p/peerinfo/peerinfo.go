// Package peerinfo holds what is said of peers: who they are, where they can be reached,
// and what a connection to one has been like. Package p2p makes these values, and RPC
// clients are handed them as they are.
//
// The one idea is that a node is its public key. Addresses change, are shared and can be
// taken over; the key is proved in every handshake. So whatever is known of a node is
// known of a NodeID, and an address is only where that id was last met.
//
//	id, err := peerinfo.ParseNodeID("7b4e909b…")
//	address := peerinfo.Address{ID: id, At: addrPort, LastSeen: now}
//
// An id costs nothing to make. Whoever grants something, such as a place or patience,
// must not count ids but addresses.
//
// An Info is a snapshot. Nothing here has a lock, and nothing changes once it is made.
package peerinfo

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// NodeID is the public key of a node, by which it is known: the u-coordinate of an X25519
// key (RFC 7748). Its text is 64 lower-case hexadecimal digits in the order of the bytes,
// not reversed as those of a hash.
type NodeID [32]byte

// ParseNodeID reads 64 lower-case hexadecimal digits. Upper case is refused, so that an
// id has one text and texts can be compared.
func ParseNodeID(s string) (NodeID, error) {
	var id NodeID
	if len(s) != 2*len(id) || strings.ToLower(s) != s {
		// The text may be anything, of any length. The message shows how it begins.
		return NodeID{}, fmt.Errorf("node id %.80q: want %d lower-case hexadecimal digits", s, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return NodeID{}, fmt.Errorf("node id %q: %w", s, err)
	}
	return id, nil
}

// String returns 64 lower-case hexadecimal digits.
func (id NodeID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *NodeID) UnmarshalText(text []byte) error {
	parsed, err := ParseNodeID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// IsZero reports whether the id is all zero bytes, which no node has.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// Address is where a node was seen.
type Address struct {
	ID       NodeID
	At       netip.AddrPort
	LastSeen time.Time // when anybody last had a connection to it
}

// Info is what is known of a connection. A zero time is never, a zero duration is
// not known.
type Info struct {
	Number          int // counts connections since the start; Bitcoin Core's peer id
	ID              NodeID
	Session         types.Hash     // of the handshake: both ends see the same
	Address         string         // HOST:PORT of the peer
	LocalAddress    string         // HOST:PORT of our end
	SeenAs          netip.AddrPort // our end, as the peer sees it; invalid: it does not say
	Network         string         // that it was reached through, as NetworkOf names it
	Inbound         bool           // the peer called us
	Manual          bool           // it was asked for by --connect or addnode
	BlocksOnly      bool           // this node called it for blocks alone
	Version         uint32
	UserAgent       string
	Full            bool // it has all blocks, not only the last 288 (BIP159)
	RelayTxs        bool // it wants to hear of transactions
	Since           time.Time
	TimeOffset      time.Duration // its clock less ours when it came; it is only shown
	LastSend        time.Time
	LastRecv        time.Time
	LastBlock       time.Time
	LastTx          time.Time
	BytesSent       uint64
	BytesRecv       uint64
	SentByType      map[string]uint64 // bytes of messages, by the name of their type; none is 0
	RecvByType      map[string]uint64
	Memory          int64         // bytes that are held because of it
	Processor       time.Duration // that its messages and requests have taken, on a clock
	Ping            time.Duration
	MinPing         time.Duration
	PingWait        time.Duration // how long a ping has been without an answer
	StartingHeight  uint32        // of its tip when it came
	Best            types.Index   // the highest block that it is known to have; a zero hash: not known
	Common          int           // height of the last block of its chain that is on ours; -1: not known
	Presynced       int           // height of its headers that are followed and not kept; -1: none are
	InFlight        []uint32      // heights of the blocks that were asked of it
	WantsCompact    bool          // it hears of new blocks by compact blocks
	GivesCompact    bool          // it was asked to tell of new blocks by compact blocks
	MinFeeRate      types.FeeRate // it wants to hear of no transaction that pays less
	ToAnnounce      int           // transactions that it will be told of
	LastAnnounced   uint64        // the pool's position when it was last told of transactions
	SharesAddresses bool          // it was asked for addresses, or asked for ours
	AddressesTaken  uint64        // those that it told and that were looked at
	AddressesLeft   uint64        // those that it told beyond what one peer may
	Permissions     []string      // what it may that others may not
}
