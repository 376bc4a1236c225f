package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/karatcoin/karat/node"
)

// TestPoolOptions: each option sets what it says, and nothing else.
func TestPoolOptions(t *testing.T) {
	for _, test := range []struct {
		args   []string
		change func(*node.Config)
	}{
		{nil, func(*node.Config) {}},
		{[]string{"--mempool", "300m"}, func(c *node.Config) { c.Policy.MaxBytes = 300_000_000 }},
		{[]string{"--mempool", "300"}, func(c *node.Config) { c.Policy.MaxBytes = 300 << 20 }},
		{[]string{"--mempool-expiry", "10"}, func(c *node.Config) { c.Policy.Expiry = 10 * time.Hour }},
		{[]string{"--mempool-expiry", "010"}, func(c *node.Config) { c.Policy.Expiry = 10 * time.Hour }}, // not 8
		{[]string{"--persist-mempool=false"}, func(c *node.Config) { c.NoPersist = true }},
		{[]string{"--min-feerate", "0"}, func(c *node.Config) { c.Policy.MinRelay = 0 }},
		{[]string{"--incremental-feerate", "0"}, func(c *node.Config) { c.Policy.IncrementalRelay = 0 }},
		{[]string{"--incremental-feerate", "2.5"}, func(c *node.Config) { c.Policy.IncrementalRelay, c.Policy.MinRelay = 2500, 2500 }},
		{[]string{"--incremental-feerate", "2.5", "--min-feerate", "1"}, func(c *node.Config) { c.Policy.IncrementalRelay, c.Policy.MinRelay = 2500, 1000 }},
		{[]string{"--dust-feerate", "0"}, func(c *node.Config) { c.Policy.DustRelay = 0 }},
		{[]string{"--limit-cluster-count", "1"}, func(c *node.Config) { c.Policy.MaxClusterCount = 1 }},
		{[]string{"--limit-cluster-size", "10"}, func(c *node.Config) { c.Policy.MaxClusterVSize = 10_000 }},
		{[]string{"--data-carrier=false", "--data-carrier-size", "83"}, func(c *node.Config) { c.Policy.MaxDataCarrier = 0 }},
		{[]string{"--data-carrier-size", "83"}, func(c *node.Config) { c.Policy.MaxDataCarrier = 83 }},
	} {
		want := node.Config{Policy: node.DefaultPolicy()}
		test.change(&want)
		config, err := configOf(t, append([]string{"--network", "dev", "--datadir", t.TempDir()}, test.args...)...)
		if err != nil || config.Policy != want.Policy || config.NoPersist != want.NoPersist {
			t.Errorf("%v: %+v, persists %v, %v", test.args, config.Policy, !config.NoPersist, err)
		}
	}
}

// TestMinFeeRateInFile: a minimum in the configuration file is one that was given.
func TestMinFeeRateInFile(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, configFile), "min-feerate = 0\nincremental-feerate = 0.5\n")
	config, err := configOf(t, "--network", "dev", "--datadir", dir)
	if err != nil || config.Policy.MinRelay != 0 || config.Policy.IncrementalRelay != 500 {
		t.Errorf("%+v, %v", config.Policy, err)
	}
}

// TestPoolOptionsRefused: sizes with which nothing can be computed are refused, and not
// found out about at the first reorganisation.
func TestPoolOptionsRefused(t *testing.T) {
	for _, size := range []string{"1m", "8000000T", "1025T"} {
		if _, err := configOf(t, "--network", "dev", "--datadir", t.TempDir(), "--mempool", size); err == nil {
			t.Errorf("--mempool %s is taken", size)
		}
	}
	if _, err := configOf(t, "--network", "dev", "--datadir", t.TempDir(), "--mempool", "1024T"); err != nil {
		t.Error(err)
	}
}
