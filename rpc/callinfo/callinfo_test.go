package callinfo

import (
	"testing"
	"time"
)

func TestAdd(t *testing.T) {
	var m Method
	for _, took := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, time.Second, time.Hour} {
		m.Add(took)
	}
	if m.Calls != 5 || m.Time != time.Hour+time.Second+201*time.Microsecond {
		t.Errorf("%+v", m)
	}
	for class, want := range map[int]uint64{0: 2, 1: 1, 8: 1, len(Bounds): 1} {
		if m.Counts[class] != want {
			t.Errorf("class %d: %d, want %d", class, m.Counts[class], want)
		}
	}
}
