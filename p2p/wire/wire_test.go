package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

func hash(seed byte) (h types.Hash) {
	for i := range h {
		h[i] = seed + byte(i)
	}
	return h
}

func hashes(n int) []types.Hash {
	list := make([]types.Hash, n)
	for i := range list {
		list[i] = types.Hash{byte(i), byte(i >> 8), byte(i >> 16), 1}
	}
	return list
}

func testHeader(seed byte) types.Header {
	return types.Header{
		Version: 0x20000000, PrevBlock: hash(seed), MerkleRoot: hash(seed + 1),
		Timestamp: 0x66554433, Bits: 0x207fffff, Nonce: 0x01020304,
	}
}

// samples is a message of each type, the longest of its fields not empty.
func samples() []Message {
	return []Message{
		&Hello{2, ServiceNetwork, "/karat:0.2.0/", 7, hash(1), 1_700_000_000, 7042, true, netip.MustParseAddrPort("192.0.2.9:1234")},
		&Ping{0x1122334455667788}, &Pong{math.MaxUint64}, &GetPeers{},
		&Peers{[]PeerAddress{
			{peerinfo.NodeID(hash(2)), netip.MustParseAddrPort("192.0.2.1:7042"), 1_700_000_000},
			{peerinfo.NodeID(hash(3)), netip.MustParseAddrPort("[2001:db8::1]:65535"), -1},
		}},
		&GetHeaders{hashes(3), hash(9)}, &Headers{[]types.Header{testHeader(1), testHeader(2)}},
		&Inv{hashes(2)}, &GetTxs{hashes(1)}, &Tx{[]byte("transaction")}, &GetBlocks{hashes(128)}, &Block{[]byte("block")},
		&NotFound{WhatBlocks, hashes(2)},
		&CompactBlock{testHeader(3), 42, []ShortID{0xaabbccddeeff, 1}, []PrefilledTx{{0, []byte("coinbase")}, {3, []byte{}}}},
		&GetBlockTxs{hash(4), []uint32{0, 1, 5, 400, MaxBlockTxs - 1}}, &BlockTxs{hash(5), [][]byte{[]byte("one"), {}}},
		&FeeFilter{1500}, &SendCompact{true}, &GetParents{hashes(3)},
	}
}

// TestTypes types the numbers, names, lanes and limits again, so that a
// change of the protocol fails here.
func TestTypes(t *testing.T) {
	want := []struct {
		number Type
		name   string
		lane   Lane
		max    int
	}{
		{1, "hello", 0, 4 + 8 + 3 + 256 + 4 + 32 + 8 + 2 + 1 + 18 + 1024}, {2, "ping", 0, 8}, {3, "pong", 0, 8}, {4, "getpeers", 0, 0},
		{5, "peers", 1, 58_003}, {6, "getheaders", 0, 3265}, {7, "headers", 0, 160_003}, {8, "inv", 0, 32_003},
		{9, "gettxs", 0, 32_003}, {10, "tx", 1, 400_000}, {11, "getblocks", 0, 4097}, {12, "block", 1, 16_000_000},
		{13, "notfound", 0, 32_004}, {14, "compactblock", 0, 1_000_000}, {15, "getblocktxs", 0, 200_035},
		{16, "blocktxs", 1, 16_000_000}, {17, "feefilter", 0, 8}, {18, "sendcompact", 0, 1},
		{19, "getparents", 0, 3201},
	}
	all := samples()
	if len(all) != len(want) {
		t.Fatalf("%d samples", len(all))
	}
	for i, w := range want {
		if typ := all[i].Type(); typ != w.number || !typ.Known() || typ.String() != w.name || typ.Lane() != w.lane || MaxPayload(typ) != w.max {
			t.Errorf("%T is type %d, %s, lane %d, at most %d bytes; want %+v", all[i], typ, typ, typ.Lane(), MaxPayload(typ), w)
		}
	}
	for _, unknown := range []Type{0, 20, 255} {
		if unknown.Known() || MaxPayload(unknown) != 65_536 || unknown.String() != fmt.Sprintf("type %d", uint8(unknown)) || unknown.Lane() != Bulk {
			t.Errorf("%d: %s", unknown, unknown)
		}
		if m, err := Decode(unknown, nil); !errors.Is(err, ErrProtocol) || m != nil {
			t.Errorf("%d: %v", unknown, err)
		}
	}
}

// TestDocument: the table of docs/wire-protocol.md has every type, with its
// name, lane and limit.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/wire-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range samples() {
		typ := m.Type()
		limit := strconv.Itoa(MaxPayload(typ))
		if len(limit) > 4 {
			limit = limit[:len(limit)-3] + "," + limit[len(limit)-3:]
		}
		switch typ {
		case TypeCompactBlock:
			limit = "1,000,000"
		case TypeBlock, TypeBlockTxs:
			limit = "weight limit"
		}
		if row := fmt.Sprintf("\n| %d | %s | %d | %s |", typ, typ, typ.Lane(), limit); !strings.Contains(string(text), row) {
			t.Errorf("the document does not have %q", row)
		}
	}
	for _, limit := range []int{MaxUserAgent, MaxPeers, MaxLocator, MaxHeaders, MaxGetBlocks} {
		if !strings.Contains(string(text), fmt.Sprintf("at most %d", limit)) {
			t.Errorf("the document does not say at most %d", limit)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, m := range samples() {
		payload := Encode(m)
		back, err := Decode(m.Type(), payload)
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%s: %+v came back as %+v, %v", m.Type(), m, back, err)
		}
		if appended := m.appendTo([]byte("x")); string(appended) != "x"+string(payload) {
			t.Errorf("%s: appended as %x", m.Type(), appended)
		}
		empty := registry[m.Type()].make()
		if back, err := Decode(m.Type(), Encode(empty)); err == nil && !reflect.DeepEqual(back, empty) {
			t.Errorf("%s: %+v came back as %+v", m.Type(), empty, back)
		}
	}
}

// TestExact: a payload that is a byte shorter or longer is no message. What is
// only bytes to this package is excepted.
func TestExact(t *testing.T) {
	for _, m := range samples() {
		payload := Encode(m)
		if m.Type() == TypeTx || m.Type() == TypeBlock {
			continue
		}
		for n := range payload {
			if back, err := Decode(m.Type(), payload[:n]); !errors.Is(err, ErrProtocol) || back != nil {
				t.Errorf("%s cut to %d of %d bytes: %v", m.Type(), n, len(payload), err)
			}
		}
		if _, err := Decode(m.Type(), append(payload, 0)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s with a byte more: %v", m.Type(), err)
		}
	}
}

// full is the longest message of each type that has a limit in elements, and
// one that exceeds it by an element.
func full() [][2]Message {
	headers := make([]types.Header, MaxHeaders+1)
	peers := make([]PeerAddress, MaxPeers+1)
	for i := range peers {
		peers[i].Addr = netip.MustParseAddrPort("192.0.2.1:1")
	}
	agent := strings.Repeat("a", MaxUserAgent+1)
	many := make([]uint32, MaxBlockTxs)
	for i := range many {
		many[i] = uint32(i)
	}
	raw := make([]byte, MaxTxSize+1)
	return [][2]Message{
		{&Hello{UserAgent: agent[1:]}, &Hello{UserAgent: agent}},
		{&Peers{peers[1:]}, &Peers{peers}},
		{&GetHeaders{Locator: hashes(MaxLocator)}, &GetHeaders{Locator: hashes(MaxLocator + 1)}},
		{&Headers{headers[1:]}, &Headers{headers}},
		{&Inv{hashes(MaxInv)}, &Inv{hashes(MaxInv + 1)}},
		{&GetTxs{hashes(MaxInv)}, &GetTxs{hashes(MaxInv + 1)}},
		{&GetBlocks{hashes(MaxGetBlocks)}, &GetBlocks{hashes(MaxGetBlocks + 1)}},
		{&NotFound{WhatTxs, hashes(MaxNotFound)}, &NotFound{WhatTxs, hashes(MaxNotFound + 1)}},
		{&Tx{raw[1:]}, &Tx{raw}},
		{&GetBlockTxs{Indexes: many}, &GetBlockTxs{Indexes: append(many, MaxBlockTxs)}},
		{&GetBlockTxs{Indexes: []uint32{MaxBlockTxs - 1}}, &GetBlockTxs{Indexes: []uint32{MaxBlockTxs}}},
		{&CompactBlock{ShortIDs: make([]ShortID, MaxBlockTxs)}, &CompactBlock{ShortIDs: make([]ShortID, MaxBlockTxs+1)}},
		{&CompactBlock{ShortIDs: make([]ShortID, MaxBlockTxs-1), Prefilled: []PrefilledTx{{9, raw[:1]}}},
			&CompactBlock{ShortIDs: make([]ShortID, MaxBlockTxs), Prefilled: []PrefilledTx{{9, raw[:1]}}}},
		{&CompactBlock{Prefilled: []PrefilledTx{{0, nil}}}, &CompactBlock{Prefilled: []PrefilledTx{{1, nil}}}},
		{&BlockTxs{Txs: make([][]byte, MaxBlockTxs)}, &BlockTxs{Txs: make([][]byte, MaxBlockTxs+1)}},
		{&FeeFilter{math.MaxInt64}, &FeeFilter{-1}},
	}
}

func TestLimits(t *testing.T) {
	for _, pair := range full() {
		typ := pair[0].Type()
		payload := Encode(pair[0])
		if _, err := Decode(typ, payload); err != nil || len(payload) > MaxPayload(typ) {
			t.Errorf("a full %s: %d bytes, %v", typ, len(payload), err)
		}
		if _, err := Decode(typ, Encode(pair[1])); !errors.Is(err, ErrProtocol) {
			t.Errorf("a %s that exceeds its limit: %v", typ, err)
		}
	}
	for typ := Type(1); typ.Known(); typ++ {
		if _, err := Decode(typ, make([]byte, MaxPayload(typ)+1)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// TestRefused is what has the right length and is no message.
func TestRefused(t *testing.T) {
	header := strings.Repeat("00", 80)
	for name, c := range map[string]struct {
		typ     Type
		payload string
	}{
		"yes of 2":                 {TypeSendCompact, "02"},
		"relay of 2":               {TypeHello, hex.EncodeToString(Encode(&Hello{Version: 1}))[:2*60] + "02"},
		"agent with escape":        {TypeHello, hex.EncodeToString(Encode(&Hello{Version: 1, UserAgent: "\x1b[2J"}))},
		"agent with DEL":           {TypeHello, hex.EncodeToString(Encode(&Hello{Version: 1, UserAgent: "\x7f"}))},
		"agent of UTF-8":           {TypeHello, hex.EncodeToString(Encode(&Hello{Version: 1, UserAgent: "é"}))},
		"notfound of kind 0":       {TypeNotFound, "0000"},
		"notfound of kind 5":       {TypeNotFound, "0500"},
		"count not canonical":      {TypeInv, "fd0100" + strings.Repeat("00", 32)},
		"count without elements":   {TypeInv, "fde803"},
		"huge count":               {TypeHeaders, "ffffffffffffffffff"},
		"no transactions":          {TypeCompactBlock, header + "0000000000000000" + "0000"},
		"prefilled beyond":         {TypeCompactBlock, header + "0000000000000000" + "00" + "01" + "0100"},
		"prefilled far beyond":     {TypeCompactBlock, header + "0000000000000000" + "00" + "01" + "ffffffffffffffffff00"},
		"index wraps round":        {TypeGetBlockTxs, strings.Repeat("00", 32) + "02" + "05" + "ffffffffffffffffff"},
		"index beyond every block": {TypeGetBlockTxs, strings.Repeat("00", 32) + "01" + "fe6a040100"},
		"getpeers with something":  {TypeGetPeers, "00"},
	} {
		payload, err := hex.DecodeString(c.payload)
		if err != nil {
			t.Fatal(name, err)
		}
		if m, err := Decode(c.typ, payload); !errors.Is(err, ErrProtocol) || !errors.Is(err, types.ErrEncoding) && c.typ != TypeGetPeers || m != nil {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// TestSeenInHello: a hello of version 1 says nothing of where the other is seen.
func TestSeenInHello(t *testing.T) {
	for version, long := range map[uint32]int{1: 0, 2: placeLen} {
		for _, seen := range []string{"192.0.2.1:5", "[2001:db8::1]:5", ""} {
			var at netip.AddrPort
			if seen != "" {
				at = netip.MustParseAddrPort(seen)
			}
			payload := Encode(&Hello{Version: version, Seen: at})
			if want := len(Encode(&Hello{Version: 1})) + long; len(payload) != want {
				t.Errorf("version %d: %d bytes, want %d", version, len(payload), want)
			}
			m, err := Decode(TypeHello, payload)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.(*Hello).Seen; version == 2 && got != at || version == 1 && got.IsValid() {
				t.Errorf("version %d: %s was read as %s", version, seen, got)
			}
		}
	}
}

// TestLaterHello: a hello of a later version may say more; one of ours not.
func TestLaterHello(t *testing.T) {
	for version, taken := range map[uint32]bool{Version: false, Version + 1: true} {
		hello := &Hello{Version: version, UserAgent: "/x/"}
		m, err := Decode(TypeHello, append(Encode(hello), "and more"...))
		if (err == nil) != taken || taken && !reflect.DeepEqual(m, hello) {
			t.Errorf("version %d: %+v, %v", version, m, err)
		}
	}
	long := append(Encode(&Hello{Version: Version + 1, UserAgent: strings.Repeat("a", MaxUserAgent)}), make([]byte, maxHelloExtra)...)
	if _, err := Decode(TypeHello, long); err != nil {
		t.Error(err)
	}
	if _, err := Decode(TypeHello, append(long, 0)); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
}

func TestNegotiate(t *testing.T) {
	for theirs := uint32(MinVersion); theirs <= Version; theirs++ {
		if got, err := Negotiate(theirs); got != theirs || err != nil {
			t.Errorf("%d: %d, %v", theirs, got, err)
		}
	}
	for _, theirs := range []uint32{Version + 1, math.MaxUint32} {
		if got, err := Negotiate(theirs); got != Version || err != nil {
			t.Errorf("%d: %d, %v", theirs, got, err)
		}
	}
	if _, err := Negotiate(MinVersion - 1); !errors.Is(err, ErrVersion) || errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
}

// TestShared: the payload of a block is the block, not a copy.
func TestShared(t *testing.T) {
	raw := []byte("block")
	if p := Encode(&Block{raw}); &p[0] != &raw[0] {
		t.Error("a block is copied")
	}
	if p := Encode(&Tx{raw}); &p[0] != &raw[0] {
		t.Error("a transaction is copied")
	}
	m, err := Decode(TypeBlock, raw)
	if err != nil || &m.(*Block).Raw[0] != &raw[0] {
		t.Error("a block is copied", err)
	}
}

// FuzzDecode: no payload makes a decoder panic, and each message has one
// encoding. A later version's hello is excepted: what we do not understand is
// not kept.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		f.Add(uint8(m.Type()), Encode(m))
	}
	f.Fuzz(func(t *testing.T, typ uint8, payload []byte) {
		before := bytes.Clone(payload)
		m, err := Decode(Type(typ), payload)
		if !bytes.Equal(before, payload) {
			t.Fatal("the payload was written to")
		}
		if err != nil {
			if !errors.Is(err, ErrProtocol) || m != nil {
				t.Fatal(m, err)
			}
			return
		}
		again := Encode(m)
		if hello, ok := m.(*Hello); ok && hello.Version > Version {
			payload = payload[:min(len(again), len(payload))]
		}
		if m.Type() != Type(typ) || !bytes.Equal(again, payload) {
			t.Fatalf("%s encodes as %x", m.Type(), again)
		}
		if len(again) > MaxPayload(Type(typ)) {
			t.Fatalf("%d bytes", len(again))
		}
	})
}
