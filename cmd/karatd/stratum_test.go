package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"github.com/karatcoin/karat/node"
)

// TestStratumOptions: where miners connect, how many, and with which certificate.
func TestStratumOptions(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := writeFile(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	private := writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	for _, test := range []struct {
		args    []string
		listen  string
		most    int
		withTLS bool
	}{
		{nil, "", node.DefaultMaxMiners, false},
		{[]string{"--stratum", "none"}, "", node.DefaultMaxMiners, false},
		{[]string{"--stratum", ""}, "", node.DefaultMaxMiners, false},
		{[]string{"--stratum", "0.0.0.0:3333", "--stratum-max", "7"}, "0.0.0.0:3333", 7, false},
		{[]string{"--stratum", ":3333", "--stratum-cert", cert, "--stratum-key", private}, ":3333", node.DefaultMaxMiners, true},
	} {
		config, err := configOf(t, append([]string{"--network", "dev", "--datadir", dir}, test.args...)...)
		if err != nil || config.Stratum != test.listen || config.MaxMiners != test.most || (config.StratumTLS != nil) != test.withTLS {
			t.Errorf("%v: %q, %d, %v, %v", test.args, config.Stratum, config.MaxMiners, config.StratumTLS, err)
		}
	}
	if _, err := configOf(t, "--network", "dev", "--datadir", dir, "--stratum-cert", private, "--stratum-key", cert); err == nil {
		t.Error("a key was taken for a certificate")
	}
}
