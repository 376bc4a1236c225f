package store

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"

	"github.com/karatcoin/karat/chain/types"
)

// coinTable holds the entries of the coin cache. It is a hash table without
// pointers, which the garbage collector passes over, and whose memory is known to
// the byte. A Go map takes from 150 to 300 bytes an entry where this takes 115 to
// 145: it doubles at once, and under the steady coming and going of coins also when
// it is half empty. A budget in bytes could not be kept with it.
//
// It consists of shards that grow one at a time. In a shard, an entry stands at the
// first free slot from the one that its hash names (linear probing). When one is
// removed, later ones move up, so that no mark of it has to stay. Hashes are keyed
// at random, so that nobody can make transactions whose outpoints collide.
type coinTable struct {
	seed   maphash.Seed
	shards [shardCount]shard
	limit  int // slots of a shard; beyond them clean entries go before it grows
	dirty  int
}

const shardCount = 64

type shard struct {
	states []state
	slots  []slot
	used   int
	dirty  int
}

type slot struct {
	outPoint types.OutPoint
	hash     uint32
	coin     types.Coin // zero if spent
}

// slotBytes is the memory of a slot and its state.
const slotBytes = 36 + 4 + 56 + 1

// state says whether a slot is used, and what is known of its coin. The upper four
// bits of a used slot's state are bits of its hash. By them most other entries are
// passed over without a look at the slot, which is a cache line away.
type state uint8

const (
	stateUsed state = 1
	// stateDirty: the database does not know that the coin exists, or, if it is
	// spent, that it does not.
	stateDirty state = 2
	// stateFresh: the database has nothing under this name, so that a coin that
	// is spent before the next flush leaves no trace. Only with stateDirty.
	stateFresh state = 4
	// stateSpent: there is no coin. Only with stateDirty.
	stateSpent state = 8

	stateTag state = 0xf0
)

func (s state) has(flags state) bool { return s&flags == flags }

// A shard with more than maxLoad of its slots used makes room: clean entries go until
// keepLoad is left. Both are in sixteenths. With linear probing a table that is
// fuller than this is slow.
const (
	maxLoad  = 13
	keepLoad = 10
)

// newCoinTable makes a table for about the given number of slots.
func newCoinTable(slots int) *coinTable {
	return &coinTable{seed: maphash.MakeSeed(), limit: max(slots/shardCount, 16)}
}

// full reports that dirty entries alone fill as much of the table as stays when room
// is made. Beyond that nearly every new entry would make room again.
func (t *coinTable) full() bool { return t.dirty >= t.limit*shardCount/16*keepLoad }

// locate splits the hash of an outpoint into its uses: the highest six bits choose
// the shard, others are the tag, and the lowest 32 name the slot.
func (t *coinTable) locate(outPoint *types.OutPoint) (in *shard, hash uint32, tag state) {
	var b [types.HashSize + 4]byte
	copy(b[:], outPoint.TxID[:])
	binary.LittleEndian.PutUint32(b[types.HashSize:], outPoint.Index)
	h := maphash.Bytes(t.seed, b[:])
	return &t.shards[h>>58], uint32(h), state(h>>50) & stateTag
}

// get returns an entry. The coin is the table's, and good until the next change.
func (t *coinTable) get(outPoint *types.OutPoint) (coin *types.Coin, s state, ok bool) {
	in, hash, tag := t.locate(outPoint)
	i, ok := in.find(outPoint, hash, tag)
	if !ok {
		return nil, 0, false
	}
	return &in.slots[i].coin, in.states[i] &^ stateTag, true // no copy: a block looks up thousands
}

// set adds or replaces an entry. The coin of a spent entry is not kept.
func (t *coinTable) set(outPoint *types.OutPoint, coin *types.Coin, s state) {
	in, hash, tag := t.locate(outPoint)
	i, ok := in.find(outPoint, hash, tag)
	if !ok {
		if in.used*16 >= len(in.states)*maxLoad {
			in.makeRoom(t.limit) // which moves entries, so that another slot is the right one
			i, _ = in.find(outPoint, hash, tag)
		}
		in.used++
		in.slots[i] = slot{outPoint: *outPoint, hash: hash}
	}
	t.count(in, in.states[i], -1)
	in.states[i] = s | stateUsed | tag
	t.count(in, s, 1)
	in.slots[i].coin = types.Coin{}
	if !s.has(stateSpent) {
		in.slots[i].coin = *coin
	}
}

// remove removes an entry that is there.
func (t *coinTable) remove(outPoint *types.OutPoint) {
	in, hash, tag := t.locate(outPoint)
	if i, ok := in.find(outPoint, hash, tag); ok {
		t.count(in, in.states[i], -1)
		in.removeAt(i)
	}
}

// count keeps the numbers of dirty entries, as n of them in state s come or go.
func (t *coinTable) count(in *shard, s state, n int) {
	if s.has(stateDirty) {
		t.dirty += n
		in.dirty += n
	}
}

// dirtyEntry is where a dirty entry stands, and the first bytes of its outpoint.
type dirtyEntry struct {
	prefix uint64
	shard  uint32
	slot   uint32
}

// eachDirty visits where all dirty entries stand.
func (t *coinTable) eachDirty(visit func(dirtyEntry)) {
	for i := range t.shards {
		in := &t.shards[i]
		for j, s := range in.states {
			if s.has(stateDirty) {
				visit(dirtyEntry{binary.BigEndian.Uint64(in.slots[j].outPoint.TxID[:8]), uint32(i), uint32(j)})
			}
		}
	}
}

// at returns a dirty entry. It is good as long as the table does not change.
func (t *coinTable) at(e dirtyEntry) (*slot, state) {
	in := &t.shards[e.shard]
	return &in.slots[e.slot], in.states[e.slot]
}

// clean notes that the database knows everything, after a flush. Spent entries go,
// and all others are clean.
func (t *coinTable) clean() {
	for i := range t.shards {
		in := &t.shards[i]
		for j := 0; j < len(in.states); j++ {
			if in.states[j].has(stateSpent) {
				in.removeAt(j)
				j-- // another entry may have moved up
				continue
			}
			in.states[j] &^= stateDirty | stateFresh
		}
		in.dirty = 0
	}
	t.dirty = 0
}

// home returns the slot that a hash names: the hash as a fraction of the slots, which
// takes a multiplication where a remainder takes a division.
func (in *shard) home(hash uint32) int { return int(uint64(hash) * uint64(len(in.states)) >> 32) }

// find returns the slot of an entry, or the free one where it would stand.
func (in *shard) find(outPoint *types.OutPoint, hash uint32, tag state) (int, bool) {
	if len(in.states) == 0 {
		return 0, false
	}
	for i := in.home(hash); ; {
		s := in.states[i]
		if s == 0 {
			return i, false
		}
		if s&stateTag == tag && in.slots[i].hash == hash && in.slots[i].outPoint == *outPoint {
			return i, true
		}
		if i++; i == len(in.states) {
			i = 0
		}
	}
}

// removeAt frees a slot, and moves up the entries behind it that could no longer be
// found past a free slot.
func (in *shard) removeAt(free int) {
	size := len(in.states)
	for i := free; ; {
		if i++; i == size {
			i = 0
		}
		if in.states[i] == 0 {
			break
		}
		distance := (i - in.home(in.slots[i].hash) + size) % size
		if distance >= (i-free+size)%size {
			in.states[free], in.slots[free] = in.states[i], in.slots[i]
			free = i
		}
	}
	in.states[free] = 0
	in.used--
}

// makeRoom evicts clean entries if the shard is as large as it should be and enough
// of them are clean. Otherwise it grows. Beyond the limit it grows only when the
// caller did not heed full.
func (in *shard) makeRoom(limit int) {
	size := len(in.states)
	if size >= limit && in.dirty*16 < size*(keepLoad+maxLoad)/2 {
		in.evict(max(in.dirty, size*keepLoad/16))
		return
	}
	grown := max(size+size/4, 16)
	if size < limit {
		grown = min(max(size+size/2, 16), limit)
	}
	old := *in
	in.states, in.slots = make([]state, grown), make([]slot, grown)
	for i, s := range old.states {
		if s != 0 {
			j := in.home(old.slots[i].hash)
			for in.states[j] != 0 {
				if j++; j == grown {
					j = 0
				}
			}
			in.states[j], in.slots[j] = s, old.slots[i]
		}
	}
}

// evict removes clean entries until the given number of entries is left. They are
// drawn at random, so that nobody can predict what stays, and from the whole shard.
// If they all came from one stretch, the rest would fill up, and to find anything
// there would take for ever.
func (in *shard) evict(keep int) {
	clean, surplus := in.used-in.dirty, in.used-keep
	for i := 0; i < len(in.states) && surplus > 0; {
		if in.states[i] == 0 || in.states[i].has(stateDirty) {
			i++
			continue
		}
		if rand.IntN(clean) >= surplus {
			i++
		} else {
			in.removeAt(i) // another may have moved up
			surplus--
		}
		clean = max(clean-1, 1) // one that has moved across the end may come twice
	}
}
