package network

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
)

// MaxFile is more than a network's file can have, in bytes: 10,000 outputs whose scripts
// fill the largest block, and a thousand peers of each kind.
const MaxFile = 16 << 20

// packVersion is the version of the packed form. A reader refuses others, since it could not
// check what it does not know.
const packVersion = 1

// packed is the form in which a network is handed on: its genesis.json, and a checksum that
// tells a file that was damaged or cut on its way.
type packed struct {
	Version int    `json:"karat_network"`
	SHA256  string `json:"sha256"` // of Network's text without the spaces between its words
	Network file   `json:"network"`
}

// Pack returns one file by which others join the network: genesis.json, with its first peers,
// and a checksum. Unpack reads it.
func Pack(p *consensus.Params) []byte {
	var compact, out bytes.Buffer
	if err := json.Compact(&compact, Marshal(p)); err != nil {
		panic(fmt.Sprintf("compact an own network file: %v", err)) // Marshal wrote it
	}
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(struct {
		Version int             `json:"karat_network"`
		SHA256  string          `json:"sha256"`
		Network json.RawMessage `json:"network"`
	}{packVersion, checksum(compact.Bytes()), compact.Bytes()}); err != nil {
		panic(fmt.Sprintf("encode a packed network: %v", err)) // strings and numbers always encode
	}
	return out.Bytes()
}

func checksum(compact []byte) string {
	sum := sha256.Sum256(compact)
	return hex.EncodeToString(sum[:])
}

// Unpack reads what Pack has written, or a bare genesis.json, which has no checksum. A mark of
// byte order at the beginning, which some editors write, is passed over. Errors are those of
// Parse; a wrong checksum is told before what else is wrong because of the damage.
func Unpack(data []byte) (*consensus.Params, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFile, MaxFile)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var outer struct {
		Version *json.Number    `json:"karat_network"`
		SHA256  string          `json:"sha256"`
		Network json.RawMessage `json:"network"`
	}
	err := json.Unmarshal(data, &outer)
	switch {
	case err != nil && bytes.Contains(data[:min(len(data), 256)], []byte(`"karat_network"`)):
		// It was cut, or has another fault, and the strict reader says where.
		return nil, cmp.Or(strictUnmarshal(data, &packed{}), badField("the file", "%v", err))
	case err != nil || outer.Version == nil:
		return Parse(data)
	}
	if *outer.Version != json.Number(fmt.Sprint(packVersion)) {
		return nil, badField("karat_network", "version %.20s: this program reads version %d; get a newer one", outer.Version, packVersion)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, outer.Network); err != nil {
		return nil, badField("network", "%v", err) // there is none
	}
	if got := checksum(compact.Bytes()); got != outer.SHA256 {
		return nil, badField("sha256", "the checksum is %.64q, and that of the network here %s: the file was damaged or changed; get it again", outer.SHA256, got)
	}
	if err := strictUnmarshal(data, &packed{}); err != nil {
		return nil, err
	}
	return Parse(outer.Network)
}

// IsPacked reports whether a file that Unpack reads is a packed one.
func IsPacked(data []byte) bool {
	var outer struct {
		Version *json.Number `json:"karat_network"`
	}
	return json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &outer) == nil && outer.Version != nil
}

// AddPeers returns a list of first peers, [ID@]HOST:PORT each, with those of more that are not
// on it. One at an address that is on the list takes its place: a node that has lost its key
// has another id.
func AddPeers(list, more []string) []string {
	list = slices.Clone(list)
	at := map[string]int{}
	for i, peer := range list {
		at[peerHost(peer)] = i
	}
	for _, peer := range more {
		host := peerHost(peer)
		i, known := at[host]
		switch {
		case !known:
			at[host] = len(list)
			list = append(list, peer)
		case strings.Contains(peer, "@"): // else it says less than what is there
			list[i] = peer
		}
	}
	return list
}

// peerHost returns the HOST:PORT of a peer.
func peerHost(peer string) string {
	host, port, err := net.SplitHostPort(peer[strings.LastIndexByte(peer, '@')+1:])
	if err != nil {
		return peer
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}
