package wire

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// Services is a set of flags that tell what a node can do. The bits are Bitcoin's, so
// that tools which show them name them rightly.
type Services uint64

// The services of a node.
const (
	ServiceNetwork        Services = 1 << 0  // has all blocks
	ServiceNetworkLimited Services = 1 << 10 // has at least the last 288 blocks (BIP159)
)

// Hello is the first message of both sides. Nothing else is sent before it, nor is it
// sent again. Neither side waits for the other's, which saves a round trip. What it says
// is not proved: a peer may have fewer blocks than its height tells.
type Hello struct {
	Version    uint32 // the newest that the sender speaks
	Services   Services
	UserAgent  string // at most MaxUserAgent bytes of printable ASCII
	Height     uint32 // of Tip
	Tip        types.Hash
	Time       int64  // the sender's clock, seconds since 1970
	ListenPort uint16 // where the sender takes connections; 0: nowhere
	Relay      bool   // the sender wants to hear of transactions
	// Seen is where the sender sees the receiver; the zero value is that it does not. It
	// came with version 2.
	Seen netip.AddrPort
}

const (
	// maxHelloExtra is the room for what later versions say in a hello, in bytes.
	maxHelloExtra = 1024
	maxHello      = 4 + 8 + countLen + MaxUserAgent + 4 + types.HashSize + 8 + 2 + 1 + placeLen + maxHelloExtra
)

// Type returns TypeHello.
func (*Hello) Type() Type { return TypeHello }

func (m *Hello) appendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, m.Version)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Services))
	b = types.AppendVarBytes(b, []byte(m.UserAgent))
	b = binary.LittleEndian.AppendUint32(b, m.Height)
	b = append(b, m.Tip[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Time))
	b = binary.LittleEndian.AppendUint16(b, m.ListenPort)
	b = appendBool(b, m.Relay)
	if m.Version < 2 {
		return b
	}
	return appendPlace(b, m.Seen)
}

func (m *Hello) decode(d *types.Decoder) {
	m.Version = d.Uint32()
	m.Services = Services(d.Uint64())
	agent := d.VarBytes()
	if len(agent) > MaxUserAgent {
		d.Fail("user agent of %d bytes", len(agent))
	}
	for _, c := range agent {
		// It is shown to people. An escape sequence would write on their terminals, and
		// a line break into their logs.
		if c < ' ' || c > '~' {
			d.Fail("user agent with byte %#x", c)
		}
	}
	m.UserAgent = string(agent)
	m.Height = d.Uint32()
	m.Tip = d.Hash()
	m.Time = int64(d.Uint64())
	m.ListenPort = decodeUint16(d)
	m.Relay = decodeBool(d)
	if m.Version >= 2 {
		m.Seen = decodePlace(d)
	}
	// What only later versions understand. From a node of ours nothing may be left over.
	if m.Version > Version {
		d.Bytes(d.Remaining())
	}
}

// Ping asks for a Pong with the same nonce. That shows that the peer is still there, and
// how long an answer takes.
type Ping struct{ Nonce uint64 }

// Type returns TypePing.
func (*Ping) Type() Type { return TypePing }

func (m *Ping) appendTo(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, m.Nonce) }
func (m *Ping) decode(d *types.Decoder)  { m.Nonce = d.Uint64() }

// Pong answers a Ping. The nonce is a random number, so a peer that answers early, to
// seem close, has to guess it.
type Pong struct{ Nonce uint64 }

// Type returns TypePong.
func (*Pong) Type() Type { return TypePong }

func (m *Pong) appendTo(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, m.Nonce) }
func (m *Pong) decode(d *types.Decoder)  { m.Nonce = d.Uint64() }

// GetPeers asks for a Peers.
type GetPeers struct{}

// Type returns TypeGetPeers.
func (*GetPeers) Type() Type { return TypeGetPeers }

func (*GetPeers) appendTo(b []byte) []byte { return b }
func (*GetPeers) decode(*types.Decoder)    {}

// PeerAddress is where a node was last seen, as the sender says. The id comes with it, so
// that whoever dials the address notices when another node answers there.
type PeerAddress struct {
	ID       peerinfo.NodeID
	Addr     netip.AddrPort
	LastSeen int64 // seconds since 1970
}

// peerLen is the length in bytes of a PeerAddress: id, place, time.
const peerLen = 32 + placeLen + 8

// Peers tells of nodes that take connections, at most MaxPeers.
type Peers struct{ Peers []PeerAddress }

// Type returns TypePeers.
func (*Peers) Type() Type { return TypePeers }

func (m *Peers) appendTo(b []byte) []byte {
	b = types.AppendCompactSize(b, uint64(len(m.Peers)))
	for i := range m.Peers {
		p := &m.Peers[i]
		b = append(b, p.ID[:]...)
		b = appendPlace(b, p.Addr)
		b = binary.LittleEndian.AppendUint64(b, uint64(p.LastSeen))
	}
	return b
}

func (m *Peers) decode(d *types.Decoder) {
	n := decodeCount(d, MaxPeers, peerLen)
	if n == 0 {
		return
	}
	m.Peers = make([]PeerAddress, n)
	for i := range m.Peers {
		p := &m.Peers[i]
		p.ID = peerinfo.NodeID(d.Hash())
		p.Addr = decodePlace(d)
		p.LastSeen = int64(d.Uint64())
	}
}

// GetHeaders asks for the headers of the best chain above the first block of
// the locator that the peer has on its best chain, up to Stop (zero: as many as
// a Headers holds).
type GetHeaders struct {
	Locator []types.Hash // newest first, at most MaxLocator
	Stop    types.Hash
}

// Type returns TypeGetHeaders.
func (*GetHeaders) Type() Type { return TypeGetHeaders }

func (m *GetHeaders) appendTo(b []byte) []byte {
	return append(appendHashes(b, m.Locator), m.Stop[:]...)
}

func (m *GetHeaders) decode(d *types.Decoder) {
	m.Locator = decodeHashes(d, MaxLocator)
	m.Stop = d.Hash()
}

// Headers answers a GetHeaders, or announces new blocks: at most MaxHeaders,
// each the child of the one before.
type Headers struct{ Headers []types.Header }

// Type returns TypeHeaders.
func (*Headers) Type() Type { return TypeHeaders }

func (m *Headers) appendTo(b []byte) []byte {
	b = types.AppendCompactSize(b, uint64(len(m.Headers)))
	for i := range m.Headers {
		b = m.Headers[i].AppendTo(b)
	}
	return b
}

func (m *Headers) decode(d *types.Decoder) {
	n := decodeCount(d, MaxHeaders, types.HeaderSize)
	if n == 0 {
		return
	}
	m.Headers = make([]types.Header, n)
	for i := range m.Headers {
		m.Headers[i] = decodeHeader(d)
	}
}

// Inv announces transactions by witness id, at most MaxInv. A transaction id would leave
// open which witness is meant (BIP339): a peer could spoil a transaction for others by
// passing it on with a witness that does not hold.
type Inv struct{ WTxIDs []types.Hash }

// Type returns TypeInv.
func (*Inv) Type() Type { return TypeInv }

func (m *Inv) appendTo(b []byte) []byte { return appendHashes(b, m.WTxIDs) }
func (m *Inv) decode(d *types.Decoder)  { m.WTxIDs = decodeHashes(d, MaxInv) }

// GetTxs asks for transactions by witness id, one to MaxInv. Each is answered
// with a Tx or in a NotFound.
type GetTxs struct{ WTxIDs []types.Hash }

// Type returns TypeGetTxs.
func (*GetTxs) Type() Type { return TypeGetTxs }

func (m *GetTxs) appendTo(b []byte) []byte { return appendHashes(b, m.WTxIDs) }
func (m *GetTxs) decode(d *types.Decoder) {
	m.WTxIDs = decodeHashes(d, MaxInv)
	wanted(d, len(m.WTxIDs))
}

// Tx is a transaction in Bitcoin's encoding (BIP144), which is not looked into here: it is
// passed on as it came, and the pool decodes it when its turn comes.
type Tx struct{ Raw []byte }

// Type returns TypeTx.
func (*Tx) Type() Type { return TypeTx }

func (m *Tx) appendTo(b []byte) []byte { return append(b, m.Raw...) }
func (m *Tx) decode(d *types.Decoder)  { m.Raw = d.Bytes(d.Remaining()) }

// GetParents asks for transactions by transaction id, one to MaxGetParents: those that
// a transaction spends which the peer has sent, since an input does not tell a witness
// id. Each is answered with a Tx or in a NotFound. It came with version 2.
type GetParents struct{ TxIDs []types.Hash }

// Type returns TypeGetParents.
func (*GetParents) Type() Type { return TypeGetParents }

func (m *GetParents) appendTo(b []byte) []byte { return appendHashes(b, m.TxIDs) }
func (m *GetParents) decode(d *types.Decoder) {
	m.TxIDs = decodeHashes(d, MaxGetParents)
	wanted(d, len(m.TxIDs))
}

// GetBlocks asks for blocks, one to MaxGetBlocks. Each is answered with a Block or in a
// NotFound. Bitcoin's message of that name asks for hashes; this one is its getdata.
type GetBlocks struct{ Hashes []types.Hash }

// Type returns TypeGetBlocks.
func (*GetBlocks) Type() Type { return TypeGetBlocks }

func (m *GetBlocks) appendTo(b []byte) []byte { return appendHashes(b, m.Hashes) }
func (m *GetBlocks) decode(d *types.Decoder) {
	m.Hashes = decodeHashes(d, MaxGetBlocks)
	wanted(d, len(m.Hashes))
}

// Block is a block in Bitcoin's encoding, which is not looked into here.
type Block struct{ Raw []byte }

// Type returns TypeBlock.
func (*Block) Type() Type { return TypeBlock }

func (m *Block) appendTo(b []byte) []byte { return append(b, m.Raw...) }
func (m *Block) decode(d *types.Decoder)  { m.Raw = d.Bytes(d.Remaining()) }

// What is the request that a NotFound answers.
type What uint8

// The requests that a NotFound answers. The numbers are part of the protocol.
const (
	WhatTxs      What = 1 // GetTxs: witness ids
	WhatBlocks   What = 2 // GetBlocks: block hashes
	WhatBlockTxs What = 3 // GetBlockTxs: the block's hash
	WhatParents  What = 4 // GetParents: transaction ids
)

// NotFound tells what the sender was asked for and does not have, at most MaxNotFound
// hashes. So the one that asked can ask another peer at once, and need not wait.
type NotFound struct {
	What   What
	Hashes []types.Hash
}

// Type returns TypeNotFound.
func (*NotFound) Type() Type { return TypeNotFound }

func (m *NotFound) appendTo(b []byte) []byte { return appendHashes(append(b, byte(m.What)), m.Hashes) }

func (m *NotFound) decode(d *types.Decoder) {
	m.What = What(d.Uint8())
	if m.What < WhatTxs || m.What > WhatParents {
		d.Fail("notfound of kind %d", m.What)
	}
	m.Hashes = decodeHashes(d, MaxNotFound)
}

// FeeFilter asks not to be told of transactions below a feerate (BIP133), which the
// sender's pool would refuse.
type FeeFilter struct{ MinFeeRate types.FeeRate }

// Type returns TypeFeeFilter.
func (*FeeFilter) Type() Type { return TypeFeeFilter }

func (m *FeeFilter) appendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(m.MinFeeRate))
}

func (m *FeeFilter) decode(d *types.Decoder) {
	rate := d.Uint64()
	if rate > math.MaxInt64 {
		d.Fail("feerate of %d", rate)
	}
	m.MinFeeRate = types.FeeRate(rate)
}

// SendCompact tells how the sender wants to hear of new blocks from now on:
// by CompactBlock, or (as before the first SendCompact) by Headers.
type SendCompact struct{ Announce bool }

// Type returns TypeSendCompact.
func (*SendCompact) Type() Type { return TypeSendCompact }

func (m *SendCompact) appendTo(b []byte) []byte { return appendBool(b, m.Announce) }
func (m *SendCompact) decode(d *types.Decoder)  { m.Announce = decodeBool(d) }
