package web

import (
	"testing"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// TestVersions: what is told of a transaction is not what was told of the same one elsewhere, or
// with another witness.
func TestVersions(t *testing.T) {
	at := func(hash byte, best bool) (info header.Info) {
		info.Hash, info.OnBestChain = types.Hash{hash}, best
		return info
	}
	seen := map[string]bool{}
	for _, f := range []foundTx{
		{entry: &pending.Entry{WTxID: types.Hash{1}}}, {entry: &pending.Entry{WTxID: types.Hash{2}}},
		{info: at(1, false)}, {info: at(2, false)}, {info: at(1, true)}, {info: at(1, false), n: 1},
	} {
		if v := f.version(); seen[v] {
			t.Errorf("%+v has the version of another", f)
		} else {
			seen[v] = true
		}
	}
}
