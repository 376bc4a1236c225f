package node

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/web/faucet"
)

// runningFile is there while a node runs, beside its cookie.
const runningFile = "running.json"

// Running is what a node that runs leaves in its data directory, so that commands on this machine
// find it whatever flags it was started with. It is no lock: a node that was killed leaves
// it behind.
type Running struct {
	PID         int       `json:"pid"`
	Since       time.Time `json:"since"`
	RPC         []string  `json:"rpc"`         // HOST:PORT where it listens for clients
	Fingerprint string    `json:"fingerprint"` // of the certificate; empty: it speaks no TLS
	CookieMode  uint32    `json:"cookie_mode"` // who may read the cookie, as in Unix; 0: its owner
	MineTo      string    `json:"mine_to"`     // address that the blocks pay which it mines; empty: it does not mine
}

// ReadRunning reads what a node has left in a data directory. Without one it is an
// fs.ErrNotExist.
func ReadRunning(dir string) (r Running, err error) {
	text, err := wholefile.Read(filepath.Join(dir, runningFile), 1<<16)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// CookieFile returns the path of the cookie of a node with this data directory.
func CookieFile(dir string) string { return filepath.Join(dir, cookieFile) }

// SecretFiles returns the paths of all files that nobody but the node's user should read, but
// for the cookie.
func SecretFiles(dir string) []string {
	return []string{filepath.Join(dir, keyFile), filepath.Join(dir, faucetFile), filepath.Join(dir, rpc.KeyFile)}
}

// CheckFiles says what keeps a node from reading the small files that its data directory has: its
// keys, its certificate, and what its faucet owes. Those that are not there are made.
func CheckFiles(c *Config) error {
	here := func(name string) (path string, is bool) {
		path = filepath.Join(c.DataDir, name)
		_, err := os.Lstat(path)
		return path, !errors.Is(err, fs.ErrNotExist)
	}
	if path, is := here(keyFile); is {
		if _, err := noise.LoadOrCreateKey(path); err != nil {
			return err
		}
	}
	if c.RPCTLS == nil && c.RPCOwnTLS {
		key, is := here(rpc.KeyFile)
		if certificate, both := here(rpc.CertificateFile); is && both {
			if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
				return fmt.Errorf("%s and %s: %w", certificate, key, err)
			}
		}
	}
	path, is := here(faucetFile)
	if !c.Faucet || !is {
		return nil
	}
	state, _ := here(faucetStateFile)
	_, err := faucet.New(faucet.Options{Params: c.Params, KeyFile: path, StateFile: state, Now: time.Now})
	return err
}

// leaveRunning writes the file, and returns what removes it.
func (n *Node) leaveRunning(s *services) (remove func() error, err error) {
	r := Running{PID: os.Getpid(), Since: n.clock.real().UTC().Truncate(time.Second), RPC: []string{}, Fingerprint: s.fingerprint, CookieMode: uint32(n.config.RPCCookieMode)}
	for _, at := range s.rpcAddresses() {
		r.RPC = append(r.RPC, at.String())
	}
	if n.config.Mine {
		r.MineTo, _ = taproot.EncodeAddress(n.config.Params.HRP, n.config.MineTo) // it was decoded from one
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(n.config.DataDir, runningFile)
	return func() error { return os.Remove(path) }, wholefile.ReplaceBytes(path, append(text, '\n'))
}
