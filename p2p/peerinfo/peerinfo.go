// Package peerinfo holds what is said of peers: who they are, where they can be
// reached, and what a connection to one has been like. The peer-to-peer network makes
// these values, and RPC clients are handed them as they are.
package peerinfo

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// NodeID is the public key of a node, by which it is known. Its text is 64
// lower-case hexadecimal digits, in the order of the bytes.
type NodeID [32]byte

// ParseNodeID reads 64 lower-case hexadecimal digits.
func ParseNodeID(s string) (NodeID, error) {
	var id NodeID
	if len(s) != 2*len(id) || strings.ToLower(s) != s {
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
	Number         int // counts connections since the start; Bitcoin Core's peer id
	ID             NodeID
	Address        string // HOST:PORT of the peer
	LocalAddress   string // HOST:PORT of our end
	Inbound        bool   // the peer called us
	Manual         bool   // it was asked for by --connect or addnode
	Version        uint32
	UserAgent      string
	Full           bool // it has all blocks, not only the last ones
	RelayTxs       bool // it wants to hear of transactions
	Since          time.Time
	TimeOffset     time.Duration // of its clock to ours
	LastSend       time.Time
	LastRecv       time.Time
	LastBlock      time.Time
	LastTx         time.Time
	BytesSent      uint64
	BytesRecv      uint64
	Ping           time.Duration
	MinPing        time.Duration
	StartingHeight uint32        // of its tip when it came
	Best           types.Index   // the highest block that it is known to have
	InFlight       []uint32      // heights of the blocks that were asked of it
	WantsCompact   bool          // it hears of new blocks by compact blocks
	MinFeeRate     types.FeeRate // it wants to hear of no transaction that pays less
}
