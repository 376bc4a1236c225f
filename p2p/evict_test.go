package p2p

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// crowd is callers without merits, each younger than the one before and of a network
// of its own.
func crowd(n int, change func(i int, c *candidate)) []candidate {
	list := make([]candidate, n)
	for i := range list {
		list[i] = candidate{number: i, group: uint64(i), network: peerinfo.IPv4, since: time.Unix(int64(i), 0), full: true, relaysTxs: true}
		if change != nil {
			change(i, &list[i])
		}
	}
	return list
}

// TestEvict: each merit protects as many as it should, and beyond that the youngest of
// the largest group goes.
func TestEvict(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		change func(i int, c *candidate)
		want   func(number int) bool
	}{
		"youngest":       {nil, func(n int) bool { return n == 99-protectGroups }},
		"largest_group":  {func(i int, c *candidate) { c.group = uint64(max(i, 60)) }, func(n int) bool { return n <= 60 }},
		"unwanted_first": {func(i int, c *candidate) { c.unwanted = i == 90 }, func(n int) bool { return n == 90 }},
	} {
		t.Run(name, func(t *testing.T) {
			if number, ok := evict(crowd(100, c.change)); !ok || !c.want(number) {
				t.Errorf("number %d goes: %v", number, ok)
			}
		})
	}
	for name, c := range map[string]struct {
		most   int
		change func(i int, c *candidate)
	}{
		"group":      {protectGroups, func(i int, c *candidate) { c.group = 1000 + uint64(i) }},
		"ping":       {protectPing, func(i int, c *candidate) { c.ping = time.Duration(i) * time.Millisecond }},
		"tx":         {protectTx, func(i int, c *candidate) { c.lastTx = now }},
		"block":      {protectBlock, func(i int, c *candidate) { c.lastBlock = now }},
		"block_only": {protectBlocksFor + protectBlock, func(i int, c *candidate) { c.relaysTxs, c.lastBlock = false, now }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, extra := range []int{0, 1} {
				first := 100 - c.most - extra // the young ones, of a group that is large
				victims := 0
				list := crowd(100, func(i int, e *candidate) {
					e.group = uint64(i % 50)
					if e.group += 2; i >= first {
						e.group = 1
						c.change(i, e)
					}
				})
				for number, ok := evict(list); ok; number, ok = evict(list) {
					if number < first {
						break
					}
					victims++
					list = slices.DeleteFunc(list, func(e candidate) bool { return e.number == number })
				}
				if most := extra; victims > most && name != "group" || victims > extra+1 && name == "group" {
					t.Errorf("%d of %d with the merit go", victims, c.most+extra)
				}
			}
		})
	}
}

// TestEvictFew: a handful of callers is never asked to give way.
func TestEvictFew(t *testing.T) {
	for n := range protectGroups + protectPing + protectTx + protectBlock + 1 {
		if number, ok := evict(crowd(n, nil)); ok {
			t.Errorf("of %d callers number %d goes", n, number)
		}
	}
}

// TestEvictAged: of those without other merits half stay by age, a quarter of them for
// rare networks, and a rare network that has too few leaves its share to the others.
func TestEvictAged(t *testing.T) {
	for name, c := range map[string]struct {
		network func(i int) string
		want    []int // protected, of 12
	}{
		"oldest":       {func(int) string { return peerinfo.IPv4 }, []int{0, 1, 2, 3, 4, 5}},
		"three_onions": {func(i int) string { return pick(i == 3 || i == 8 || i == 9, peerinfo.Onion) }, []int{0, 1, 2, 3, 8, 9}},
		"local":        {func(i int) string { return pick(i > 6, peerinfo.Unroutable) }, []int{0, 1, 2, 7, 8, 9}},
		"two_kinds": {func(i int) string {
			return pick(i == 11, peerinfo.Onion) + pick(i > 5 && i < 11, peerinfo.I2P)
		}, []int{0, 1, 2, 6, 7, 11}},
	} {
		t.Run(name, func(t *testing.T) {
			list := crowd(12, func(i int, e *candidate) { e.network = c.network(i) })
			rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			left := protectAged(slices.Clone(list))
			for _, e := range list {
				protected := !slices.ContainsFunc(left, func(l candidate) bool { return l.number == e.number })
				if protected != slices.Contains(c.want, e.number) {
					t.Errorf("number %d is protected: %v", e.number, protected)
				}
			}
		})
	}
}

func pick(is bool, network string) string {
	if is {
		return network
	}
	return ""
}

// TestEvictCrowds: whatever a crowd of strangers from a few networks does that costs
// nothing, it drives out none of the honest callers that came before it, as long as these
// are of more networks than one each.
func TestEvictCrowds(t *testing.T) {
	for _, groups := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			const honest, places = 50, 114
			random := rand.New(rand.NewPCG(1, uint64(groups)))
			list := crowd(honest, func(i int, c *candidate) {
				c.group, c.ping = random.Uint64(), time.Duration(50+random.IntN(200))*time.Millisecond
			})
			networks := make([]uint64, groups)
			for i := range networks {
				networks[i] = random.Uint64()
			}
			for i := range 2000 {
				if len(list) == places {
					number, ok := evict(list)
					if !ok || number < honest {
						t.Fatalf("call %d: number %d goes: %v", i, number, ok)
					}
					list = slices.DeleteFunc(list, func(c candidate) bool { return c.number == number })
				}
				list = append(list, candidate{number: honest + i, group: networks[i%groups], network: peerinfo.IPv4,
					since: time.Unix(int64(honest+i), 0), ping: time.Millisecond, full: true, relaysTxs: true})
			}
		})
	}
}
