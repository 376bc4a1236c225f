package clients

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/rpcclient"

	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// TestRPCClientTLS: with rpc.cert from the data folder, by HTTPS and by wss, as btcctl
// and btcwallet are used.
func TestRPCClientTLS(t *testing.T) {
	s := nodetest.Dev(t, func(c *node.Config) { c.RPCOwnTLS = true })
	certificate, err := os.ReadFile(filepath.Join(filepath.Dir(s.CookieFile), rpc.CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, http := range []bool{true, false} {
		o := config(s.Started)
		o.HTTPPostMode, o.Endpoint, o.DisableTLS, o.Certificates = http, "ws", false, certificate
		c := must[*rpcclient.Client](t)(rpcclient.New(o, nil))
		if height, err := c.GetBlockCount(); err != nil || height != 0 {
			t.Errorf("HTTP %v: %d, %v", http, height, err)
		}
		c.Shutdown()
	}
}
