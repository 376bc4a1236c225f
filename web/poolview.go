package web

import (
	"math"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// poolAge is how long what was seen of the pool is shown. To walk through a large pool
// takes a while, and a visitor must not bring that about at will.
const poolAge = time.Second

// poolView is what pages show of the pool, from one look at it.
type poolView struct {
	s  *Server
	mu sync.Mutex // held while the pool is looked at: others wait for the same
	at time.Time
	v  *PoolPicture
}

// PoolPicture is the pool at one moment. It never changes.
type PoolPicture struct {
	pending.Info
	Corners  []pending.Corner // as Pool.Diagram
	Next     []*pending.Entry // what the next block would take
	NextSum  pending.Total
	Upcoming []Upcoming // at most a few blocks
	Beyond   int64      // weight units behind them
	Weight   int64      // of all
	Fees     types.Amount
}

// Upcoming is a block that could be mined of what waits now.
type Upcoming struct {
	N           int // 1 is the next one
	Weight      int64
	Fees        types.Amount
	Full        float64
	Least, Most types.FeeRate // of its chunks
	Median      types.FeeRate // of the chunk in the middle of its weight
}

// maxUpcoming is how many blocks that could follow are shown.
const maxUpcoming = 6

// get returns the pool as it was a moment ago, or is now.
func (p *poolView) get() *PoolPicture {
	p.mu.Lock()
	defer p.mu.Unlock()
	info := p.s.Pool.Info()
	now := time.Now() // the machine's clock, which a test of the node's clock does not stop
	if p.v != nil && (now.Sub(p.at) < poolAge && p.v.Position == info.Position || p.v.Sequence == info.Sequence && p.v.Position == info.Position && p.v.Loaded == info.Loaded) {
		return p.v
	}
	p.v, p.at = p.s.look(info), now
	return p.v
}

func (s *Server) look(info pending.Info) *PoolPicture {
	v := &PoolPicture{Info: info, Corners: s.Pool.Diagram()}
	last := v.Corners[len(v.Corners)-1]
	v.Weight, v.Fees = last.Weight, last.Fees
	room := int64(s.room())
	v.Next, _ = s.Pool.Select(pending.Selection{MaxWeight: int(room), MinFeeRate: 1})
	for _, e := range v.Next {
		v.NextSum.Add(e)
	}
	from := 0
	for n := 1; n <= maxUpcoming && from < len(v.Corners)-1; n++ {
		var b Upcoming
		b, from = upcoming(v.Corners, from, room)
		b.N = n
		v.Upcoming = append(v.Upcoming, b)
	}
	v.Beyond = last.Weight - v.Corners[from].Weight
	return v
}

// reserved is the weight that blocks keep for their header and coinbase.
const reserved = 8000

// room is the weight that transactions of a block can have.
func (s *Server) room() int { return max(s.Params.MaxBlockWeight-reserved, 0) }

// upcoming cuts a block off the diagram behind a corner, and returns where it ends.
func upcoming(c []pending.Corner, from int, room int64) (Upcoming, int) {
	base := c[from]
	end := from + sort.Search(len(c)-1-from, func(i int) bool { return c[from+1+i].Weight-base.Weight > room })
	if end == from {
		end++ // a chunk that fills more than a block could; it is shown all the same
	}
	b := Upcoming{Weight: c[end].Weight - base.Weight, Fees: c[end].Fees - base.Fees}
	b.Full = math.Min(1, float64(b.Weight)/float64(room))
	middle := from + 1 + sort.Search(end-from-1, func(i int) bool { return 2*(c[from+1+i].Weight-base.Weight) >= b.Weight })
	b.Most, b.Median, b.Least = rateOf(c, from+1), rateOf(c, middle), rateOf(c, end)
	return b, end
}

// rateOf is the feerate of the chunk before a corner.
func rateOf(c []pending.Corner, i int) types.FeeRate {
	weight := c[i].Weight - c[i-1].Weight
	if weight <= 0 {
		return 0
	}
	return types.FeeRate(float64(c[i].Fees-c[i-1].Fees) * 4000 / float64(weight))
}

// version names what is seen of the pool.
func (v *PoolPicture) version() string {
	return v.Position.Hash.String() + " " + strconv.FormatUint(v.Sequence, 10)
}
