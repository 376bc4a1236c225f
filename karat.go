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
	"github.com/karatcoin/karat/internal/wholefile"
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

// NetworkFile is the genesis.json of a network that was joined, in its data folder.
const NetworkFile = "genesis.json"

// builtIn returns the genesis.json of a network that is built in, nil for others.
func builtIn(name string) []byte {
	switch name {
	case "main":
		return MainGenesis
	case "dev":
		return DevGenesis
	}
	return nil
}

// IsBuiltIn reports whether a name is that of a network that is built in. No other should have
// it: --network could not mean both.
func IsBuiltIn(name string) bool { return builtIn(name) != nil }

// LoadNetwork returns the parameters of a network by its name, "main" or "dev", or by the path
// of its file, packed or not. No data directory is looked into.
func LoadNetwork(nameOrPath string) (*consensus.Params, error) {
	if text := builtIn(nameOrPath); text != nil {
		return network.Parse(text)
	}
	data, err := wholefile.Read(nameOrPath, network.MaxFile)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(nameOrPath, "./"+string(filepath.Separator)) {
		return nil, fmt.Errorf("network %q is neither main, dev nor the path of a genesis.json, and was not joined here (karatd network join)", nameOrPath)
	}
	if err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	params, err := network.Unpack(data)
	if err != nil {
		return nil, fmt.Errorf("network file %s: %w", nameOrPath, err)
	}
	return params, nil
}

// FindNetwork is LoadNetwork for a program with a data directory: a network that was joined
// there is found by its name. Of one that is built in, the file there may tell first peers.
func FindNetwork(base, nameOrPath string) (*consensus.Params, error) {
	if network.CheckName(nameOrPath) != nil {
		return LoadNetwork(nameOrPath)
	}
	dir, err := DataDir(base, &consensus.Params{Name: nameOrPath})
	if err != nil {
		return LoadNetwork(nameOrPath) // what is wrong with the directory is said where one is needed
	}
	path := filepath.Join(dir, NetworkFile)
	if _, err := os.Stat(path); err != nil {
		return LoadNetwork(nameOrPath)
	}
	joined, err := LoadNetwork(path)
	if err != nil || !IsBuiltIn(nameOrPath) {
		return joined, err
	}
	params, err := LoadNetwork(nameOrPath)
	if err == nil && joined.Identity() == params.Identity() {
		params.Bootstrap = joined.Bootstrap
	}
	return params, err
}

// DataDir returns the folder of a network's data: the one with the network's
// name in the data directory, by default in ~/.karat. A ~ at the beginning is the home
// directory, though no shell has seen it. The folder need not exist, but what the data
// directory is in must: a path that is mistyped is not made to exist.
func DataDir(base string, params *consensus.Params) (string, error) {
	given := base != ""
	if !given {
		base = filepath.Join("~", ".karat")
	}
	if rest, ok := strings.CutPrefix(base, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home directory (%w): name a data directory with --datadir", err)
		}
		base = home + rest
	}
	if parent := filepath.Dir(filepath.Clean(base)); given {
		if _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("data directory %s: there is no folder %s to make it in", base, parent)
		}
	}
	return filepath.Join(base, params.Name), nil
}
