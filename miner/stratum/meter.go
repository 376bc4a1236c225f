package stratum

import (
	"time"

	"github.com/karatcoin/karat/miner/stratuminfo"
)

// The slots of a meter: an hour in steps short enough for a minute.
const (
	slotSeconds = 10
	slots       = 3600 / slotSeconds
)

// meter knows the work of each ten seconds of the last hour.
type meter struct {
	work  [slots]float32 // difficulties; a slot is used again after an hour
	since int64          // the slot in which it began, counted from 1970
	now   int64          // the newest one
}

// advance clears the slots that were not used for an hour.
func (m *meter) advance(now time.Time) {
	slot := now.Unix() / slotSeconds
	if m.since == 0 {
		m.since, m.now = slot, slot
	}
	for range min(slot-m.now, slots) {
		m.now++
		m.work[m.now%slots] = 0
	}
	m.now = max(m.now, slot)
}

// add counts work.
func (m *meter) add(difficulty float64, now time.Time) {
	m.advance(now)
	m.work[m.now%slots] += float32(difficulty)
}

// rates returns the hashes a second.
func (m *meter) rates(now time.Time) stratuminfo.Rates {
	m.advance(now)
	over := func(seconds int64) float64 {
		sum, have := 0.0, min(m.now-m.since+1, seconds/slotSeconds)
		for i := range have {
			sum += float64(m.work[(m.now-i)%slots])
		}
		return sum * hashesPerDifficulty / float64(have*slotSeconds)
	}
	return stratuminfo.Rates{Minute: over(60), TenMinutes: over(600), Hour: over(3600)}
}
