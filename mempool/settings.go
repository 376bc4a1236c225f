package mempool

import (
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
)

// The defaults of pending.Policy. All but the memory are Bitcoin Core's.
const (
	DefaultMaxBytes         = 64 << 20
	DefaultMinRelay         = standard.MinRelay // 0.1 grains a virtual byte
	DefaultIncrementalRelay = standard.IncrementalRelay
	DefaultExpiry           = 336 * time.Hour // two weeks
	DefaultMaxDataCarrier   = standard.MaxWeight / types.WitnessScale
	DefaultClusterVSize     = 101_000
)

// DefaultPolicy returns the policy of an operator who has set nothing.
func DefaultPolicy() pending.Policy {
	return pending.Policy{
		MaxBytes: DefaultMaxBytes, Expiry: DefaultExpiry,
		MinRelay: DefaultMinRelay, IncrementalRelay: DefaultIncrementalRelay, DustRelay: standard.DustRelay,
		MaxDataCarrier: DefaultMaxDataCarrier, MaxClusterCount: MaxClusterCount, MaxClusterVSize: DefaultClusterVSize,
	}
}
