// Package zmqinfo holds where a node publishes what by ZeroMQ: the operator's wishes,
// which the publisher takes and RPC clients are told.
package zmqinfo

import (
	"fmt"
	"slices"
	"strings"
)

// The topics, which are Bitcoin Core's.
const (
	HashBlock = "hashblock" // the hash of each new tip
	HashTx    = "hashtx"    // the id of each transaction that comes into the pool, into a block or out of one
	RawBlock  = "rawblock"  // each new tip (BIP144)
	RawTx     = "rawtx"     // each transaction, as HashTx
	Sequence  = "sequence"  // each block and each waiting transaction that comes or goes
)

// Topics returns all topics, in the order in which they are listed.
func Topics() []string { return []string{HashBlock, HashTx, RawBlock, RawTx, Sequence} }

// DefaultHighWater is how many messages wait for a subscriber.
const DefaultHighWater = 1000

// Endpoint is an address at which a topic is published.
type Endpoint struct {
	Topic     string
	Address   string // tcp://HOST:PORT or ipc://PATH
	HighWater int    // messages that wait for a subscriber; what comes beyond is left out
}

// Parse reads TOPIC=ADDRESS.
func Parse(text string, highWater int) (Endpoint, error) {
	topic, address, ok := strings.Cut(text, "=")
	if !ok || !slices.Contains(Topics(), topic) {
		return Endpoint{}, fmt.Errorf("%q: want TOPIC=ADDRESS, with a topic of %s", text, strings.Join(Topics(), ", "))
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		address = "ipc://" + path // as Core tells it
	}
	e := Endpoint{topic, address, highWater}
	if network, at := e.Listen(); network == "" || at == "" {
		return Endpoint{}, fmt.Errorf("%q: want an address such as tcp://127.0.0.1:28332 or unix:/run/karat.sock", text)
	}
	return e, nil
}

// Listen returns the address as package net knows it; an empty network if it is none.
func (e *Endpoint) Listen() (network, address string) {
	for _, kind := range []struct{ prefix, network string }{{"tcp://", "tcp"}, {"ipc://", "unix"}} {
		if at, ok := strings.CutPrefix(e.Address, kind.prefix); ok {
			return kind.network, at
		}
	}
	return "", ""
}
