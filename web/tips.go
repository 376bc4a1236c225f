package web

import (
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// To find all branches takes a walk over all headers, so that it is done now and then.
const (
	tipsSoon = time.Second      // at the earliest, and then when there is a new tip
	tipsLate = 10 * time.Second // at the latest
)

// tipsView is the ends of all branches as they were a moment ago.
type tipsView struct {
	headers Headers
	mu      sync.Mutex // held while they are looked for: others wait for the same
	at      time.Time
	tip     types.Index
	tips    []header.Tip
}

func (v *tipsView) get() []header.Tip {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, tip := time.Now(), v.headers.Tip()
	if age := now.Sub(v.at); v.tips == nil || age > tipsLate || age > tipsSoon && tip != v.tip {
		v.tips, v.at, v.tip = v.headers.Tips(), now, tip
	}
	return v.tips
}
