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
	began int64          // in seconds since 1970; 0: it has not
	now   int64          // the newest slot, counted from 1970
}

// advance clears the slots that were not used for an hour.
func (m *meter) advance(now time.Time) {
	slot := now.Unix() / slotSeconds
	if m.began == 0 {
		m.began, m.now = now.Unix(), slot
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
		sum, first := 0.0, max(m.now-seconds/slotSeconds+1, m.began/slotSeconds)
		for slot := first; slot <= m.now; slot++ {
			sum += float64(m.work[slot%slots])
		}
		covered := now.Unix() - max(first*slotSeconds, m.began) // the newest slot is not over yet
		return sum * hashesPerDifficulty / float64(max(covered, 1))
	}
	return stratuminfo.Rates{Minute: over(60), TenMinutes: over(600), Hour: over(3600)}
}
