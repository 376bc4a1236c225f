// Package karat knows the networks that have names, and where people keep their
// data.
package karat

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
)

// Version is that of the node and the wallet.
const Version = "0.1.0"

// MainGenesis is the genesis.json of the network "main".
//
//go:embed genesis.json
var MainGenesis []byte

// DevGenesis is the genesis.json of the network "dev", a private chain for
// development: blocks cost nothing, and its coins belong to words that everybody
// knows: "test" eleven times and "junk".
//
//go:embed dev.json
var DevGenesis []byte

// LoadNetwork returns the parameters of a network by its name, "main" or
// "dev", or by the path of a genesis.json.
func LoadNetwork(nameOrPath string) (*consensus.Params, error) {
	switch nameOrPath {
	case "main":
		return network.Parse(MainGenesis)
	case "dev":
		return network.Parse(DevGenesis)
	}
	data, err := os.ReadFile(nameOrPath)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(nameOrPath, "./"+string(filepath.Separator)) {
		return nil, fmt.Errorf("network %q is neither main, dev nor the path of a genesis.json", nameOrPath)
	}
	if err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	params, err := network.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("network file %s: %w", nameOrPath, err)
	}
	return params, nil
}

// DataDir returns the folder of a network's data: the one with the network's
// name in the data directory, by default in ~/.karat.
func DataDir(base string, params *consensus.Params) (string, error) {
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home directory (%w): name a data directory with --datadir", err)
		}
		base = filepath.Join(home, ".karat")
	}
	return filepath.Join(base, params.Name), nil
}
