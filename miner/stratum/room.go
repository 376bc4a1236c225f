package stratum

import (
	"math"
	"slices"
	"time"
)

// usefulFor is how long a connection is of use after a share, and at its beginning.
const usefulFor = time.Minute

// makeRoom ends a connection in favour of one from a place, and reports whether it could.
// Strangers who only connect cannot keep miners out in this way, nor can those who hand in
// shares that cost nothing.
func (s *Server) makeRoom(from place) bool {
	now := s.o.Clock()
	s.mu.Lock()
	c := s.idlest()
	if c == nil || now.UnixNano()-c.useful.Load() < int64(usefulFor) {
		c = s.crowding(from, now)
	}
	if c == nil {
		s.mu.Unlock()
		return false
	}
	delete(s.connections, c) // it is chosen once
	s.mu.Unlock()
	c.end(errNoUse)
	return true
}

// idlest returns the connection that has been of no use for longest. It assumes mu.
func (s *Server) idlest() *connection {
	var idlest *connection
	for c := range s.connections {
		if idlest == nil || c.useful.Load() < idlest.useful.Load() {
			idlest = c
		}
	}
	return idlest
}

// crowd is what the connections of one place are and do.
type crowd struct {
	connections int
	speed       float64 // difficulties a second
}

// crowding returns a connection of a place that has many for the little they do, the one
// that does least; nil: there is none that may be ended for who comes. No place is left
// with fewer than who comes would have, so that who is alone is ended for nobody. It
// assumes mu.
func (s *Server) crowding(from place, now time.Time) *connection {
	places := map[string]crowd{}
	for c := range s.connections {
		p := places[c.from.name]
		places[c.from.name] = crowd{p.connections + 1, p.speed + c.speed(now)}
	}
	worst, name := math.Inf(1), ""
	for n, p := range places {
		if each := p.speed / float64(p.connections); p.connections > places[from.name].connections+1 && each < worst {
			worst, name = each, n
		}
	}
	if name == "" || worst > farAbove*s.slow(now) {
		return nil
	}
	var least *connection
	for c := range s.connections {
		if c.from.name == name && (least == nil || c.speed(now) < least.speed(now)) {
			least = c
		}
	}
	return least
}

// farAbove is by how much a farm is faster than those who only take places. It keeps its
// own as long as a quarter of all are so much slower: who is slow must give way to others
// and not the farm to them.
const farAbove = 100

// slow is the speed than which a quarter of the connections are not faster. It assumes mu.
func (s *Server) slow(now time.Time) float64 {
	speeds := make([]float64, 0, len(s.connections))
	for c := range s.connections {
		speeds = append(speeds, c.speed(now))
	}
	slices.Sort(speeds)
	return speeds[len(speeds)/4]
}

// speed is the work of a connection in difficulties a second, since it began.
func (c *connection) speed(now time.Time) float64 {
	return math.Float64frombits(c.work.Load()) / max(1, now.Sub(c.joined).Seconds())
}
