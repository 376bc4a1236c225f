package forecast

import (
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// Steady is miners of one rate who come and stay.
func Steady(rate float64, d time.Duration) Course {
	return Course{Name: "steady", For: d, Rate: func(time.Duration, float64) float64 { return rate }}
}

// Visitor is a guest with many times the hash rate, who comes after a third of the time and
// goes after two.
func Visitor(rate, times float64, d time.Duration) Course {
	return Course{Name: "visitor", For: d, Rate: func(at time.Duration, _ float64) float64 {
		if at >= d/3 && at < 2*d/3 {
			return rate * (1 + times)
		}
		return rate
	}}
}

// Hoppers is miners of many times the hash rate who are here only while a block takes less
// than it does for those who stay.
func Hoppers(rate, times float64, spacing, d time.Duration) Course {
	usual := rate * spacing.Seconds()
	return Course{Name: "hoppers", For: d, Rate: func(_ time.Duration, hashes float64) float64 {
		if hashes < usual {
			return rate * (1 + times)
		}
		return rate
	}}
}

// Liars is miners of whom a share writes times that are ahead as far as the rules allow, or
// behind.
func Liars(rate, share float64, ahead bool, d time.Duration) Course {
	c := Steady(rate, d)
	c.Name, c.Liars, c.Lie = "clocks behind", share, -24*time.Hour
	if ahead {
		c.Name, c.Lie = "clocks ahead", consensus.MaxFutureSeconds*time.Second
	}
	return c
}

// Courses are those that a network should stand: of miners whose rate the network was made
// for, and all that may happen to them.
func Courses(rate float64, spacing, d time.Duration) []Course {
	return []Course{
		Steady(rate, d), Visitor(rate, 50, d), Hoppers(rate, 5, spacing, d), Liars(rate, 0.4, true, d), Liars(rate, 0.4, false, d),
	}
}
