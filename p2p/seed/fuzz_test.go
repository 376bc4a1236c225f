package seed

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzTable: whatever a file holds, the table is sound and goes on working.
func FuzzTable(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.json")
	table := newTable(port, false)
	for n := range 5 {
		table.visited(place(n, 1), meeting{full: n%2 == 0, agent: "/karat/"}, true, began)
	}
	if err := table.save(path); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`[{"address":"[::ffff:192.0.2.1]:9555","visits":1,"answers":1,"visited":1,"answered":1}]`))
	f.Add([]byte(`[null,{},{"address":"192.0.2.1:9555","visits":9223372036854775807,"answers":1,"failures":9223372036854775807,"visited":1,"answered":1}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		table := newTable(port, false)
		if table.load(path, began) != nil {
			if known, _ := table.counts(); known != 0 {
				t.Errorf("%d nodes of a file that cannot be read", known)
			}
			return
		}
		known, answered := table.counts()
		if known != answered {
			t.Errorf("%d nodes, and %d answered", known, answered)
		}
		list, _ := table.good()
		for i, at := range table.due(began, 100) {
			if !table.wanted(at) || at.Addr().Is4In6() {
				t.Errorf("a node at %s", at)
			}
			table.visited(at, fullNode, i%2 == 0, began.Add(time.Hour))
		}
		newAnswers(list, false)
	})
}

// FuzzAnswer: whatever is asked, the answer is none, or one that can be sent and is no
// longer than may be.
func FuzzAnswer(f *testing.F) {
	known := newAnswers(manyNodes(), false)
	for _, q := range []*dns.Msg{
		question("sEEd.example.org.", dns.TypeA), question("seed.example.org.", dns.TypeANY), question("x.seed.example.org.", dns.TypeAAAA),
		question("\\000.seed.example.org.", dns.TypeSOA), question("example.org.", dns.TypeNS), question("seed.example.org.", dns.TypeAAAA).SetEdns0(65535, true),
		new(dns.Msg).SetNotify("seed.example.org."),
	} {
		raw, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q := new(dns.Msg)
		if q.Unpack(raw) != nil {
			return
		}
		r := testZone.answer(q, known, 1)
		if r == nil {
			return
		}
		if packed, err := r.Pack(); err != nil || len(packed) > max(maxSize, len(raw)+maxSize/2) {
			t.Errorf("an answer of %d bytes, %v: %s", len(packed), err, r)
		}
	})
}
