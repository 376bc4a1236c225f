// Package karat embeds the networks that karat knows by name.
package karat

import _ "embed"

// MainGenesis is the genesis.json of the network "main".
//
//go:embed genesis.json
var MainGenesis []byte

// DevGenesis is the genesis.json of the network "dev", a private chain for
// development: blocks cost nothing, and its coins belong to ten keys that
// everybody knows: the secret key of number n is SHA-256("karat dev key n").
//
//go:embed dev.json
var DevGenesis []byte
