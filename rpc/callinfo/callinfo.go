// Package callinfo holds what is told of the calls that clients make: how many there were of
// each method, and how long they took.
package callinfo

import (
	"slices"
	"time"
)

// Bounds are the upper bounds of the classes that calls are counted in by their time. A last
// class has what took longer.
var Bounds = []time.Duration{
	100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond,
	100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Method is what is told of one method.
type Method struct {
	Name   string
	Calls  uint64
	Faults uint64        // of these, answered with an error
	Time   time.Duration // of all together
	Counts []uint64      // by the class of their time: one for each of Bounds, and a last one
}

// Add counts a call.
func (m *Method) Add(took time.Duration) {
	if m.Counts == nil {
		m.Counts = make([]uint64, len(Bounds)+1)
	}
	class, _ := slices.BinarySearch(Bounds, took)
	m.Counts[class]++
	m.Calls++
	m.Time += took
}
