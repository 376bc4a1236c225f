package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/stratumtest"
)

// certificate is one that the test has signed itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestStratum: a miner that speaks Stratum mines blocks on a node, with TLS and without,
// and the node tells of it.
func TestStratum(t *testing.T) {
	cert, trusted := certificate(t)
	for _, withTLS := range []bool{false, true} {
		n := openNode(t, t.TempDir(), "dev", 0)
		t.Cleanup(func() { closeNode(t, n) })
		n.config.Stratum = "127.0.0.1:0"
		if withTLS {
			n.config.StratumTLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		r := run(t, n)
		at := n.running.Load().minerListener.Addr().String()
		var conn net.Conn
		var err error
		if withTLS {
			conn, err = tls.Dial("tcp", at, &tls.Config{RootCAs: trusted})
		} else {
			conn, err = net.Dial("tcp", at)
		}
		if err != nil {
			t.Fatal(err)
		}
		script := slices.Concat([]byte{0x51, 32}, make([]byte, 31), []byte{1})
		address, err := taproot.EncodeAddress(n.config.Params.HRP, script)
		if err != nil {
			t.Fatal(err)
		}
		mineByStratum(t, n, stratumtest.New(conn), address)
		var block struct {
			Tx []struct {
				Vout []struct{ ScriptPubKey struct{ Address string } }
			}
		}
		if err := r.client.Call(t.Context(), "getblock", &block, n.chain.Tip().Hash.String(), 2); err != nil {
			t.Fatal(err)
		}
		if got := block.Tx[0].Vout[0].ScriptPubKey.Address; got != address {
			t.Errorf("the block pays %s, want %s", got, address)
		}
		var info struct {
			Listening string
			TLS       bool
			Blocks    int
			Workers   []struct{ Name, Payout, Addr, UserAgent string }
		}
		if err := r.client.Call(t.Context(), "getstratuminfo", &info); err != nil {
			t.Fatal(err)
		}
		if info.Listening != at || info.TLS != withTLS || info.Blocks < 2 || len(info.Workers) != 1 || info.Workers[0].Name != address+".rig" ||
			info.Workers[0].Payout != address || info.Workers[0].Addr != "127.0.0.1" || info.Workers[0].UserAgent != "stratumtest/1" {
			t.Errorf("%+v", info)
		}
	}
}

// mineByStratum mines three blocks.
func mineByStratum(t *testing.T, n *Node, c *stratumtest.Client, address string) {
	t.Helper()
	defer c.Close()
	if err := c.Start(address + ".rig"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.Job(ctx); err != nil {
		t.Fatal(err)
	}
	for tries := uint32(0); n.chain.Tip().Height < 3; tries++ {
		job, _ := c.Current()
		share, ok := job.Search(tries, 0, 1000)
		if !ok {
			t.Fatal("no share was found")
		}
		if err := c.Submit(share); err != nil { // of the tip before, while the new one is on its way
			select {
			case <-c.Changed():
			case <-ctx.Done():
				t.Fatalf("%d blocks, then %v", n.chain.Tip().Height, err)
			}
		}
	}
}
