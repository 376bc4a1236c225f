package noise

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// The examples of docs/wire-protocol.md are checked here, where the ephemeral
// keys can be chosen; the messages of package wire are what travels in them.

// documented returns the named values of the document: in indented lines, a
// name, a colon and hexadecimal digits, which further lines without a name go on
// with.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/wire-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	values, name := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		rest, indented := strings.CutPrefix(line, "    ")
		if !indented {
			name = ""
			continue
		}
		if before, after, ok := strings.Cut(rest, ":"); ok {
			name, rest = strings.TrimSpace(before), after
		}
		digits := strings.Join(strings.Fields(rest), "")
		if _, err := hex.DecodeString(digits); err == nil && name != "" {
			values[name] += digits
		}
	}
	return values
}

// exampleHash is what the examples take where any hash would do.
func exampleHash(first byte) (h types.Hash) {
	for i := range h {
		h[i] = first + byte(i)
	}
	return h
}

// exampleMessages are the messages that the document shows, by the name of
// their type.
func exampleMessages() map[string]wire.Message {
	header := types.Header{Version: 0x20000000, PrevBlock: exampleHash(0x20), MerkleRoot: exampleHash(0x40),
		Timestamp: 1_700_000_000, Bits: 0x207fffff, Nonce: 5}
	compact := &wire.CompactBlock{Header: header, Nonce: 0x0102030405060708, Prefilled: []wire.PrefilledTx{{Index: 0, Raw: []byte{0xc0, 0xff, 0xee}}}}
	compact.ShortIDs = []wire.ShortID{compact.Key().ShortID(exampleHash(0x60))}
	messages := map[string]wire.Message{}
	for _, m := range []wire.Message{
		&wire.Hello{Version: 1, Services: wire.ServiceNetwork, UserAgent: "/karat:0.2.0/", Height: 7, Tip: exampleHash(0x80),
			Time: 1_700_000_000, ListenPort: 7042, Relay: true},
		&wire.Ping{Nonce: 0x0102030405060708}, &wire.Pong{Nonce: 0x0102030405060708}, &wire.GetPeers{},
		&wire.Peers{Peers: []wire.PeerAddress{{ID: peerinfo.NodeID(exampleHash(0xa0)), Addr: netip.MustParseAddrPort("192.0.2.1:7042"), LastSeen: 1_700_000_000}}},
		&wire.GetHeaders{Locator: []types.Hash{exampleHash(0x80)}},
		&wire.Headers{Headers: []types.Header{header}},
		&wire.Inv{WTxIDs: []types.Hash{exampleHash(0x60)}}, &wire.GetTxs{WTxIDs: []types.Hash{exampleHash(0x60)}},
		&wire.GetBlocks{Hashes: []types.Hash{exampleHash(0x80)}},
		&wire.NotFound{What: wire.WhatBlocks, Hashes: []types.Hash{exampleHash(0x80)}},
		compact,
		&wire.GetBlockTxs{Hash: exampleHash(0x80), Indexes: []uint32{1, 2, 300}},
		&wire.BlockTxs{Hash: exampleHash(0x80), Txs: [][]byte{{0xc0, 0xff, 0xee}}},
		&wire.FeeFilter{MinFeeRate: 100}, &wire.SendCompact{Announce: true}, &wire.GetParents{TxIDs: []types.Hash{exampleHash(0x60)}},
	} {
		messages[m.Type().String()] = m
	}
	return messages
}

// fragments returns the fragments of the message.
func fragments(t *testing.T, m wire.Message) (stream []byte) {
	var f wire.Fragmenter
	if err := f.Push(m); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		stream, more = f.AppendNext(stream)
	}
	return stream
}

// exampleValues computes every value of the document.
func exampleValues(t *testing.T) map[string][]byte {
	values := map[string][]byte{}
	network := exampleHash(0)
	values["network identity"] = network[:]
	secrets := map[string][32]byte{}
	for i, name := range []string{"client static", "client ephemeral", "server static", "server ephemeral"} {
		secrets[name] = fill32(byte(0x11 * (i + 1)))
		id := mustKey(t, secrets[name]).ID()
		values[name+" private"] = bytes.Repeat([]byte{byte(0x11 * (i + 1))}, 32)
		values[name+" public"] = id[:]
	}
	s := runOracle(t, network, secrets["client static"], secrets["client ephemeral"], secrets["server static"], secrets["server ephemeral"])
	for i, message := range s.messages {
		values[fmt.Sprintf("handshake %d", i+1)] = message
	}
	values["key to server"], values["key to client"] = s.toServer.key, s.toClient.key
	messages := exampleMessages()
	for name, m := range messages {
		values[name] = wire.Encode(m)
	}
	values["hello fragment"] = fragments(t, messages["hello"])
	values["ping fragment"] = fragments(t, messages["ping"])
	// The client sends both; the twin opens what this package sealed.
	line := &loop{}
	s.client.conn = line
	for _, name := range []string{"hello", "ping"} {
		if _, err := s.client.Write(values[name+" fragment"]); err != nil {
			t.Fatal(err)
		}
		values[name+" record"] = bytes.Clone(line.record)
		if opened := s.toServer.open(line.record); !bytes.Equal(opened, values[name+" fragment"]) {
			t.Errorf("the record of %s opens as %x", name, opened)
		}
	}
	wtxid := exampleHash(0x60)
	values["wtxid"] = wtxid[:]
	return values
}

func TestDocument(t *testing.T) {
	written, computed := documented(t), exampleValues(t)
	for name, value := range computed {
		if want := hex.EncodeToString(value); written[name] != want {
			t.Errorf("%s:\n  document %s\n  computed %s", name, written[name], want)
		}
	}
	for name := range written {
		if _, ok := computed[name]; !ok {
			t.Errorf("the document has %s, which nothing checks", name)
		}
	}
}
