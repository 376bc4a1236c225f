package p2p

import (
	"errors"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The bounds of what is sent of old blocks, which any stranger may ask for. Recent blocks,
// headers and transactions are always sent: they are few, and the network lives by them.
const (
	uploadCycle = 24 * time.Hour
	historyAge  = 7 * 24 * time.Hour // of blocks that are refused for the sake of the target; Bitcoin Core's
	// historyRate and historyBurst bound the blocks below the recent ones that one address
	// draws. No node validates blocks faster than that, so that nobody waits who uses what
	// he asks for. A stranger on a very quick line gets no more than that.
	historyRate  = 32 << 20 // bytes a second
	historyBurst = 64 << 20
	maxDrains    = 256 // addresses whose rate is remembered for nothing
)

// errUpload is for a peer that asks for old blocks when enough was sent for the day.
// Another node has them too, and the peer finds it sooner so. Bitcoin Core hangs up too.
var errUpload = errors.New("it asks for old blocks, and the upload target of the day is reached")

// uploads bounds what is sent of old blocks: by a target a day, and for each address by a
// rate. Whoever waits for a block of the past gets one in turn.
type uploads struct {
	target  uint64 // bytes in uploadCycle; 0: none
	params  *consensus.Params
	now     func() time.Time
	reading chan struct{} // one slot: who holds it reads an old block

	mu sync.Mutex
	// Guarded by mu:
	began  time.Time // of the cycle; zero: nothing was sent yet
	sent   uint64    // in it
	drains map[string]*drain
}

// drain is what an address may draw at once of old blocks. It may be in debt.
type drain struct {
	bytes float64
	at    time.Time
}

func newUploads(target uint64, params *consensus.Params, now func() time.Time) *uploads {
	return &uploads{
		target: target, params: params, now: now, reading: make(chan struct{}, 1), drains: map[string]*drain{},
	}
}

// count counts bytes that were sent, of whatever kind.
func (u *uploads) count(bytes int) {
	if u.target == 0 {
		return
	}
	now := u.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.began.IsZero() || now.Sub(u.began) > uploadCycle {
		u.began, u.sent = now, 0
	}
	u.sent += uint64(bytes)
}

// state returns the target and what is left of it. Until the end of the cycle there must
// be room for the blocks that come, each once and as large as can be, or for half of
// the target if that is less. Else old blocks are not sent any more.
func (u *uploads) state() peerinfo.UploadTarget {
	s := peerinfo.UploadTarget{Timeframe: uploadCycle, Target: u.target, ServesHistory: true}
	if u.target == 0 {
		return s
	}
	now := u.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	sent := u.sent
	if s.TimeLeft = uploadCycle - now.Sub(u.began); u.began.IsZero() || s.TimeLeft < 0 {
		s.TimeLeft, sent = uploadCycle, 0
	}
	s.BytesLeft = u.target - min(sent, u.target)
	s.Reached = s.BytesLeft == 0
	blocks := uint64(s.TimeLeft / time.Second / time.Duration(max(u.params.TargetSpacing, 1)))
	room := min(blocks*uint64(u.params.MaxBlockWeight), u.target/2)
	s.ServesHistory = s.BytesLeft > room
	return s
}

// draw counts a block of the past that an address is sent, and returns how long it has
// to wait for the next.
func (u *uploads) draw(who string, bytes int) time.Duration {
	now := u.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.drains[who]
	if d == nil {
		u.forget(now)
		d = &drain{historyBurst, now}
		u.drains[who] = d
	}
	d.bytes = d.left(now) - float64(bytes)
	d.at = now
	return time.Duration(max(-d.bytes/historyRate, 0) * float64(time.Second))
}

// left is what may be drawn by now.
func (d *drain) left(now time.Time) float64 {
	return min(d.bytes+now.Sub(d.at).Seconds()*historyRate, historyBurst)
}

// forget forgets addresses that may draw as much as one that is not known. It assumes mu.
func (u *uploads) forget(now time.Time) {
	if len(u.drains) < maxDrains {
		return
	}
	for who, d := range u.drains {
		if d.left(now) >= historyBurst {
			delete(u.drains, who)
		}
	}
}
