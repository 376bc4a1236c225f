package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

// TestBlockOptions: what is set comes to the node, and what cannot be is told.
func TestBlockOptions(t *testing.T) {
	for _, test := range []struct {
		args   []string
		change func(*node.Config)
		fault  string
	}{
		{nil, func(*node.Config) {}, ""},
		{[]string{"--block-max-weight", "100000"}, func(c *node.Config) { c.BlockMaxWeight = 100_000 }, ""},
		{[]string{"--block-max-weight", "8000"}, func(c *node.Config) { c.BlockMaxWeight = 8000 }, ""},
		{[]string{"--block-reserved-weight", "2000"}, func(c *node.Config) { c.BlockReservedWeight = 2000 }, ""},
		{[]string{"--block-min-feerate", "0"}, func(c *node.Config) { c.BlockMinFeeRate = 0 }, ""},
		{[]string{"--block-min-feerate", "2.5"}, func(c *node.Config) { c.BlockMinFeeRate = 2500 }, ""},
		{[]string{"--block-max-weight", "4000001"}, nil, "--block-max-weight (4000001) exceeds consensus maximum block weight (4000000)"},
		{[]string{"--block-max-weight", "7999"}, nil, "--block-reserved-weight (8000) exceeds --block-max-weight (7999)"},
		{[]string{"--block-reserved-weight", "1999"}, nil, "--block-reserved-weight (1999) is lower than minimum safety value of (2000)"},
		{[]string{"--block-reserved-weight", "4000001"}, nil, "--block-reserved-weight (4000001) exceeds consensus maximum block weight (4000000)"},
		{[]string{"--block-min-feerate", "-1"}, nil, "--block-min-feerate"},
		{[]string{"--block-min-feerate", "100000.001"}, nil, "at most 100000.000"},
	} {
		want := node.Config{BlockMaxWeight: 4_000_000, BlockReservedWeight: 8000, BlockMinFeeRate: 1}
		config, err := configOf(t, append([]string{"--network", "dev", "--datadir", t.TempDir()}, test.args...)...)
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%v: %v, want %s", test.args, err, test.fault)
			}
			continue
		}
		test.change(&want)
		if err != nil || config.BlockMaxWeight != want.BlockMaxWeight || config.BlockReservedWeight != want.BlockReservedWeight || config.BlockMinFeeRate != want.BlockMinFeeRate {
			t.Errorf("%v: %d, %d, %s, %v", test.args, config.BlockMaxWeight, config.BlockReservedWeight, config.BlockMinFeeRate, err)
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, configFile), "block-max-weight = 1000000\nblock-min-feerate = 0.5\n")
	config, err := configOf(t, "--network", "dev", "--datadir", dir)
	if err != nil || config.BlockMaxWeight != 1_000_000 || config.BlockMinFeeRate != 500 {
		t.Errorf("in the file: %d, %s, %v", config.BlockMaxWeight, config.BlockMinFeeRate, err)
	}
}

// TestMineRateRefuses: a rate that is none is refused with an example.
func TestMineRateRefuses(t *testing.T) {
	for _, rate := range []string{"fast", "0.5", "-1kH/s", "0"} {
		var out, errs strings.Builder
		code := run(t.Context(), []string{"karatd", "--network", "dev", "--datadir", filepath.Join(t.TempDir(), "x"), "--mine", "--mine-rate", rate}, cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
		if code != 2 || !strings.Contains(errs.String(), "such as 50kH/s") {
			t.Errorf("--mine-rate %s: exit %d, %s", rate, code, errs.String())
		}
	}
}
