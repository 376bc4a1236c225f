package seed

import (
	"math/rand/v2"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/karatcoin/karat/p2p/addrbook"
)

// What an answer holds. All of it goes into 512 bytes, which every resolver takes, and
// which is no great gain for who asks in another's name.
const (
	maxSize      = dns.MinMsgSize
	maxName      = 128 // letters of a name of ours
	maxAnswer    = 20
	maxPerGroup  = 2  // in one answer: an owner of many addresses must not fill it
	answersReady = 64 // of each kind, of which each question gets one
)

// How long answers may be kept.
const (
	ttl     = 60   // of addresses, seconds
	zoneTTL = 3600 // of what hardly changes
)

// zone is the names that do not change.
type zone struct {
	host       string // absolute, as nameserver
	nameserver string
}

// soa returns the zone's start of authority, which also says for how long a negative
// answer holds (RFC 2308).
func (z zone) soa(name string, serial uint32) *dns.SOA {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  z.nameserver, Mbox: "hostmaster." + z.host, Serial: serial, Refresh: zoneTTL, Retry: zoneTTL, Expire: 24 * zoneTTL, Minttl: ttl,
	}
}

// answers are answers that were made before anybody asked.
type answers struct {
	v4, v6         [][]netip.Addr
	count4, count6 int // of good nodes
}

// newAnswers makes answers of good nodes. In a laboratory all nodes may be at one place.
func newAnswers(good []netip.AddrPort, local bool) *answers {
	a := &answers{}
	var v4, v6 []netip.AddrPort
	for _, at := range good {
		if at.Addr().Is4() {
			v4 = append(v4, at)
		} else {
			v6 = append(v6, at)
		}
	}
	a.count4, a.count6 = len(v4), len(v6)
	for range answersReady {
		a.v4 = append(a.v4, sample(v4, local))
		a.v6 = append(a.v6, sample(v6, local))
	}
	return a
}

// sample returns some of the nodes at random, few of each group.
func sample(nodes []netip.AddrPort, local bool) (some []netip.Addr) {
	groups := map[addrbook.Group]int{}
	for n := 0; n < len(nodes) && len(some) < maxAnswer; n++ {
		i := n + rand.IntN(len(nodes)-n)
		nodes[n], nodes[i] = nodes[i], nodes[n]
		group := addrbook.GroupOf(nodes[n])
		if groups[group]++; groups[group] <= maxPerGroup || local {
			some = append(some, nodes[n].Addr())
		}
	}
	return some
}

// answer returns the answer to a question, or nil for a message that gets none. All that
// it holds goes into maxSize bytes.
func (z zone) answer(q *dns.Msg, known *answers, serial uint32) *dns.Msg {
	if len(q.Question) != 1 {
		return nil
	}
	r := new(dns.Msg).SetReply(q)
	r.Authoritative, r.RecursionAvailable, r.Compress = true, false, true
	if opt := q.IsEdns0(); opt != nil {
		r.SetEdns0(maxSize, false)
		if opt.Version() != 0 {
			r.Rcode = dns.RcodeBadVers
			return r
		}
	}
	question := q.Question[0]
	switch {
	case q.Opcode != dns.OpcodeQuery:
		return new(dns.Msg).SetRcode(q, dns.RcodeNotImplemented)
	case question.Qclass != dns.ClassINET || !dns.IsSubDomain(z.host, question.Name):
		return new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	case dns.CanonicalName(question.Name) != z.host:
		r.Rcode = dns.RcodeNameError
		r.Ns = []dns.RR{z.soa(z.hostIn(question.Name), serial)}
		return r
	}
	r.Answer = z.records(question, known, serial)
	if len(r.Answer) == 0 {
		r.Ns = []dns.RR{z.soa(question.Name, serial)}
	}
	return r
}

// hostIn returns the end of a name that is the zone's, in the letters of who asked.
func (z zone) hostIn(name string) string { return name[len(name)-len(z.host):] }

// records returns what the host's name stands for. There is nothing for questions of any
// type at once (RFC 8482).
func (z zone) records(question dns.Question, known *answers, serial uint32) (list []dns.RR) {
	header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: ttl}
	// Message header, question, and what EDNS adds; a record names the host in two bytes.
	room := maxSize - 12 - (len(z.host) + 1 + 4) - 11
	switch question.Qtype {
	case dns.TypeA:
		for _, a := range choose(known.v4, room/(12+4)) {
			list = append(list, &dns.A{Hdr: header, A: a.AsSlice()})
		}
	case dns.TypeAAAA:
		for _, a := range choose(known.v6, room/(12+16)) {
			list = append(list, &dns.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	case dns.TypeNS:
		header.Ttl = zoneTTL
		list = append(list, &dns.NS{Hdr: header, Ns: z.nameserver})
	case dns.TypeSOA:
		soa := z.soa(question.Name, serial)
		soa.Hdr.Ttl = zoneTTL
		list = append(list, soa)
	}
	return list
}

// choose returns one of the answers that are ready, at most so many addresses of it.
func choose(ready [][]netip.Addr, most int) []netip.Addr {
	if len(ready) == 0 {
		return nil
	}
	one := ready[rand.N(len(ready))]
	return one[:min(len(one), most)]
}
