package seed

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/karatcoin/karat/p2p/addrbook"
)

var testZone = zone{host: "seed.example.org.", nameserver: "ns.example.org."}

// manyNodes are good nodes: of each kind 200, five in each group.
func manyNodes() (list []netip.AddrPort) {
	for n := range 200 {
		list = append(list, place(n/5, n%5), netip.MustParseAddrPort(fmt.Sprintf("[2001:%x::%x]:9555", 0x4000+n/5, n)))
	}
	return list
}

func question(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, qtype)
}

func TestAnswers(t *testing.T) {
	known := newAnswers(manyNodes(), false)
	if known.count4 != 200 || known.count6 != 200 {
		t.Errorf("%d and %d are good", known.count4, known.count6)
	}
	seen := map[string]bool{}
	for range 200 {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			r := testZone.answer(question("sEEd.example.org.", qtype), known, 1)
			if !r.Authoritative || r.RecursionAvailable || r.Rcode != dns.RcodeSuccess || len(r.Answer) < 14 || len(r.Answer) > maxAnswer {
				t.Fatalf("answer %s", r)
			}
			groups := map[addrbook.Group]int{}
			for _, rr := range r.Answer {
				var ip netip.Addr
				switch rr := rr.(type) {
				case *dns.A:
					ip, _ = netip.AddrFromSlice(rr.A)
				case *dns.AAAA:
					ip, _ = netip.AddrFromSlice(rr.AAAA)
				}
				seen[ip.String()] = true
				group := addrbook.GroupOf(netip.AddrPortFrom(ip, port))
				if groups[group]++; groups[group] > 2 {
					t.Fatalf("%d of %s", groups[group], group)
				}
				if h := rr.Header(); h.Ttl != ttl || h.Rrtype != qtype || h.Name != "sEEd.example.org." {
					t.Fatalf("record %s", rr)
				}
			}
		}
	}
	if len(seen) < 250 {
		t.Errorf("only %d of 400 are ever told", len(seen))
	}
}

// TestAnswersFit: everything goes into 512 bytes, whatever the name's length.
func TestAnswersFit(t *testing.T) {
	known := newAnswers(manyNodes(), false)
	for n := 1; n <= maxName/4-1; n++ {
		z := zone{host: strings.Repeat(strings.Repeat("a", n)+".", 4), nameserver: strings.Repeat(strings.Repeat("b", n)+".", 4)}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeTXT} {
			q := question(z.host, qtype)
			q.SetEdns0(4096, true)
			packed, err := z.answer(q, known, 1).Pack()
			if err != nil || len(packed) > maxSize {
				t.Errorf("name of %d bytes, %s: %d bytes, %v", len(z.host), dns.TypeToString[qtype], len(packed), err)
			}
		}
	}
}

// TestQuestions: what is asked of other names, in other ways, and for what there is not.
func TestQuestions(t *testing.T) {
	known, none := newAnswers(manyNodes(), false), &answers{}
	edns := func(version uint8) *dns.Msg {
		q := question(testZone.host, dns.TypeA).SetEdns0(1232, false)
		q.IsEdns0().SetVersion(version)
		return q
	}
	with := func(change func(q *dns.Msg)) *dns.Msg {
		q := question(testZone.host, dns.TypeA)
		change(q)
		return q
	}
	for _, c := range []struct {
		name  string
		q     *dns.Msg
		known *answers
		rcode int
		first string // of the answer, or else of the authority
	}{
		{"name server", question(testZone.host, dns.TypeNS), known, dns.RcodeSuccess, "NS"},
		{"authority", question(testZone.host, dns.TypeSOA), known, dns.RcodeSuccess, "SOA"},
		{"nobody good", question(testZone.host, dns.TypeA), none, dns.RcodeSuccess, "authority SOA"},
		{"no such type", question(testZone.host, dns.TypeTXT), known, dns.RcodeSuccess, "authority SOA"},
		{"everything", question(testZone.host, dns.TypeANY), known, dns.RcodeSuccess, "authority SOA"},
		{"transfer", question(testZone.host, dns.TypeAXFR), known, dns.RcodeSuccess, "authority SOA"},
		{"below", question("x9."+testZone.host, dns.TypeA), known, dns.RcodeNameError, "authority SOA"},
		{"above", question("example.org.", dns.TypeA), known, dns.RcodeRefused, ""},
		{"elsewhere", question("notseed.example.org.", dns.TypeA), known, dns.RcodeRefused, ""},
		{"root", question(".", dns.TypeNS), known, dns.RcodeRefused, ""},
		{"class", with(func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassCHAOS }), known, dns.RcodeRefused, ""},
		{"update", with(func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }), known, dns.RcodeNotImplemented, ""},
		{"edns", edns(0), known, dns.RcodeSuccess, "A"},
		{"edns of the future", edns(1), known, dns.RcodeBadVers, ""},
	} {
		r := testZone.answer(c.q, c.known, 7)
		got := ""
		switch {
		case len(r.Answer) > 0:
			got = dns.TypeToString[r.Answer[0].Header().Rrtype]
		case len(r.Ns) > 0:
			got = "authority " + dns.TypeToString[r.Ns[0].Header().Rrtype]
			soa := r.Ns[0].(*dns.SOA)
			if soa.Hdr.Name != testZone.host || soa.Ns != testZone.nameserver || soa.Serial != 7 || soa.Mbox != "hostmaster."+testZone.host {
				t.Errorf("%s: %s", c.name, soa)
			}
		}
		if r.Rcode != c.rcode || got != c.first {
			t.Errorf("%s: %s, %q, want %s, %q", c.name, dns.RcodeToString[r.Rcode], got, dns.RcodeToString[c.rcode], c.first)
		}
		if packed, err := r.Pack(); err != nil || len(packed) > maxSize {
			t.Errorf("%s: %d bytes, %v", c.name, len(packed), err)
		}
	}
	if r := testZone.answer(with(func(q *dns.Msg) { q.Question = nil }), known, 1); r != nil {
		t.Errorf("no question: %s", r)
	}
}

// TestLimits: who writes another's address on its questions sends that one little, and
// an honest resolver is told to ask by TCP, or later.
func TestLimits(t *testing.T) {
	l := newLimits()
	victim, honest := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")
	got := map[verdict]int{}
	for n := range 10_000 {
		got[l.take(victim, began.Add(time.Duration(n)*time.Millisecond))]++
	}
	if most := askedBurst + 10*askedRate; got[full] > most || got[short] > 5000 {
		t.Errorf("in ten seconds: %v", got)
	}
	if l.take(honest, began.Add(10*time.Second)) != full {
		t.Error("who asks for the first time gets nothing")
	}
	// Everybody's addresses at once: all together are bounded, and so is what is kept.
	l, got = newLimits(), map[verdict]int{}
	for n := range 50_000 {
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n)}), 24)
		got[l.take(from, began)]++
	}
	if got[full] > allBurst || len(l.askers) > maxAskers {
		t.Errorf("%v, %d askers are kept", got, len(l.askers))
	}
}

func TestListenerIsLimited(t *testing.T) {
	l := &limitedListener{from: map[netip.Prefix]int{}}
	in := 0
	for n := range 1000 {
		if l.admit(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(n / 10)}), 24)) {
			in++
		}
	}
	if in != maxTCP || l.from[netip.MustParsePrefix("192.0.0.0/24")] != maxTCPEach {
		t.Errorf("%d were let in: %v", in, l.from)
	}
	for range maxTCPEach {
		l.left(netip.MustParsePrefix("192.0.0.0/24"))
	}
	if !l.admit(netip.MustParsePrefix("203.0.113.0/24")) || l.all != maxTCP-maxTCPEach+1 {
		t.Errorf("%d are in", l.all)
	}
}
