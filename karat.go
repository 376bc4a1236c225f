// Package karat knows the networks that have names, and where people keep their
// data.
package karat

import (
	"bytes"
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

// maxNetworkFile is how long a genesis.json may be, in bytes.
const maxNetworkFile = 1 << 20

// LoadNetwork returns the parameters of a network by its name, "main" or
// "dev", or by the path of a genesis.json.
func LoadNetwork(nameOrPath string) (*consensus.Params, error) {
	switch nameOrPath {
	case "main":
		return network.Parse(MainGenesis)
	case "dev":
		return network.Parse(DevGenesis)
	}
	data, err := wholefile.Read(nameOrPath, maxNetworkFile)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(nameOrPath, "./"+string(filepath.Separator)) {
		return nil, fmt.Errorf("network %q is neither main, dev nor the path of a genesis.json", nameOrPath)
	}
	if err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	params, err := network.Parse(bytes.TrimPrefix(data, []byte("\ufeff"))) // which some editors write
	if err != nil {
		return nil, fmt.Errorf("network file %s: %w", nameOrPath, err)
	}
	return params, nil
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
