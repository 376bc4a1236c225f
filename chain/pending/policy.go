package pending

import (
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Policy is what the operator of a pool may set of what it keeps. mempool.DefaultPolicy
// is where to start from: in the zero value nothing would fit.
type Policy struct {
	MaxBytes         int           // of memory that the transactions may take
	Expiry           time.Duration // after which a transaction leaves
	MinRelay         types.FeeRate // the least that a transaction must pay at any time; 0 takes all
	IncrementalRelay types.FeeRate // what a replacement must pay more for its own size
	DustRelay        types.FeeRate // at which spending an output must not cost more than it holds
	MaxDataCarrier   int           // bytes of all OP_RETURN scripts of a transaction; 0 takes none
	MaxClusterCount  int           // transactions that may be connected by spending each other, 1 to 64
	MaxClusterVSize  int           // virtual bytes of those together
}
