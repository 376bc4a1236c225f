package lab

import (
	"container/heap"
	"time"
)

// event is something that happens at a moment of the lab's time: a block is found, or
// news cross a link.
type event struct {
	at     time.Duration
	number uint64 // of two at the same time the one that was put on the list first comes first
	link   *link  // nil: a block is found
}

// list is what will happen, the next first.
type list struct {
	events []event
	last   uint64
}

// Len implements heap.Interface.
func (l *list) Len() int { return len(l.events) }

// Less implements heap.Interface.
func (l *list) Less(i, j int) bool {
	a, b := l.events[i], l.events[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

// Swap implements heap.Interface.
func (l *list) Swap(i, j int) { l.events[i], l.events[j] = l.events[j], l.events[i] }

// Push implements heap.Interface.
func (l *list) Push(x any) { l.events = append(l.events, x.(event)) }

// Pop implements heap.Interface.
func (l *list) Pop() any {
	last := l.events[len(l.events)-1]
	l.events = l.events[:len(l.events)-1]
	return last
}

// add puts something on the list; a nil link is a block.
func (l *list) add(at time.Duration, k *link) {
	l.last++
	heap.Push(l, event{at, l.last, k})
}

// next returns when the next thing happens.
func (l *list) next() (at time.Duration, ok bool) {
	if len(l.events) == 0 {
		return 0, false
	}
	return l.events[0].at, true
}

// take takes the next off the list, which is not empty.
func (l *list) take() event { return heap.Pop(l).(event) }

// news is how much of the list is news under way.
func (l *list) news() (n int) {
	for _, e := range l.events {
		if e.link != nil {
			n++
		}
	}
	return n
}

// postpone moves blocks that would be found before a moment to it.
func (l *list) postpone(to time.Duration) {
	for i, e := range l.events {
		if e.link == nil && e.at < to {
			l.events[i].at = to
		}
	}
	heap.Init(l)
}
