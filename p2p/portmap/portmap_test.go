package portmap

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const ownPort = 9555

// mapper is a Mapper whose waits end when the test says so.
type mapper struct {
	*Mapper
	waits chan time.Duration // one for each wait
	next  chan time.Time     // ends it
	log   *syncBuffer
	stop  func()
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startMapper runs a Mapper that knows these routers and no others. It searches where
// it is told, or else nowhere.
func startMapper(t *testing.T, search netip.AddrPort, gateways ...netip.Addr) *mapper {
	m := &mapper{waits: make(chan time.Duration), next: make(chan time.Time), log: &syncBuffer{}}
	if !search.IsValid() {
		search = netip.MustParseAddrPort("[2001:db8::1]:1") // of no network of IPv4
	}
	m.Mapper = New(Options{
		Port: ownPort, Name: "karat", Search: search, Gateways: func() []netip.Addr { return gateways },
		Logger: slog.New(slog.NewTextHandler(m.log, nil)),
		After: func(d time.Duration) <-chan time.Time {
			select {
			case m.waits <- d:
			case <-t.Context().Done():
			}
			return m.next
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		for {
			select {
			case <-m.waits:
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				return
			}
		}
	})
	t.Cleanup(m.stop)
	return m
}

// expect waits until the Mapper waits, and checks what it says then.
func (m *mapper) expect(t *testing.T, wait time.Duration, external string) {
	t.Helper()
	if got := <-m.waits; got != wait {
		t.Errorf("waits for %s, want %s", got, wait)
	}
	got := ""
	if list := m.External(); len(list) > 0 {
		got = list[0].String()
	}
	if got != external {
		t.Errorf("external address %q, want %q\n%s", got, external, m.log)
	}
}

// fakeNATPMP answers NAT-PMP on an address of the loopback.
type fakeNATPMP struct {
	addr netip.Addr
	mu   sync.Mutex
	// Guarded by mu:
	seconds  uint32 // of a lease
	external [4]byte
	ports    map[uint16]uint16 // external to internal
	silent   bool
	answer   func(question []byte) []byte // instead; nil: as it should
}

func startNATPMP(t *testing.T) *fakeNATPMP {
	usual := answerWithin
	t.Cleanup(func() { answerWithin = usual })
	answerWithin = 20 * time.Second // this machine may have other things to do
	f := &fakeNATPMP{seconds: 600, external: [4]byte{203, 0, 113, 5}, ports: map[uint16]uint16{}}
	f.addr = netip.AddrFrom4([4]byte{127, byte(1 + rand.N(250)), byte(rand.N(250)), byte(2 + rand.N(250))})
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.addr, 5351)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if answer := f.handle(buf[:n]); answer != nil {
				conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	return f
}

func (f *fakeNATPMP) handle(q []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.silent:
		return nil
	case f.answer != nil:
		return f.answer(q)
	case len(q) == 2:
		return append([]byte{0, 128, 0, 0, 0, 0, 0, 1}, f.external[:]...)
	}
	internal, want := binary.BigEndian.Uint16(q[4:]), binary.BigEndian.Uint16(q[6:])
	seconds := min(binary.BigEndian.Uint32(q[8:]), f.seconds)
	if seconds == 0 {
		f.ports = map[uint16]uint16{}
	} else {
		f.ports[want] = internal
	}
	a := []byte{0, 128 + q[1], 0, 0, 0, 0, 0, 1}
	a = binary.BigEndian.AppendUint16(a, internal)
	a = binary.BigEndian.AppendUint16(a, want)
	return binary.BigEndian.AppendUint32(a, seconds)
}

func (f *fakeNATPMP) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// TestNATPMP: a port is mapped, kept, mapped again when the router forgot it, and given
// back at the end.
func TestNATPMP(t *testing.T) {
	f := startNATPMP(t)
	m := startMapper(t, netip.AddrPort{}, f.addr)
	m.expect(t, 5*time.Minute, "203.0.113.5:9555")
	f.set(func() {
		if f.ports[ownPort] != ownPort {
			t.Errorf("mapped: %v", f.ports)
		}
	})
	f.set(func() { f.ports, f.external = map[uint16]uint16{}, [4]byte{198, 51, 100, 9} }) // it was restarted
	m.next <- time.Time{}
	m.expect(t, 5*time.Minute, "198.51.100.9:9555")
	f.set(func() { f.seconds = 7200 })
	m.next <- time.Time{}
	m.expect(t, renewMost, "198.51.100.9:9555")
	// Behind a second router the address is of no use to anybody outside.
	for _, inner := range [][4]byte{{192, 168, 1, 2}, {100, 64, 0, 1}, {0, 0, 0, 0}, {127, 0, 0, 1}} {
		f.set(func() { f.external = inner })
		m.next <- time.Time{}
		m.expect(t, renewMost, "")
	}
	m.stop()
	f.set(func() {
		if len(f.ports) != 0 {
			t.Errorf("left: %v", f.ports)
		}
	})
	if len(m.External()) != 0 {
		t.Error("there is an external address after the end")
	}
}

// TestHostileNATPMP: whatever a router answers, there is no mapping and the node goes on.
func TestHostileNATPMP(t *testing.T) {
	f := startNATPMP(t)
	answers := []func(q []byte) []byte{
		func([]byte) []byte { return []byte{1} },
		func([]byte) []byte { return make([]byte, 65000) },
		func(q []byte) []byte { return append([]byte{0, 128, 0, 3}, make([]byte, 8)...) }, // no address
		func(q []byte) []byte { // a port of its choice, for no time
			if len(q) == 2 {
				return append([]byte{0, 128, 0, 0}, 0, 0, 0, 0, 203, 0, 113, 5)
			}
			return append([]byte{0, 130, 0, 0}, make([]byte, 12)...)
		},
	}
	f.set(func() { f.answer = answers[0] })
	m := startMapper(t, netip.AddrPort{}, f.addr)
	m.expect(t, retryAfter, "")
	for _, answer := range answers[1:] {
		f.set(func() { f.answer = answer })
		m.next <- time.Time{}
		m.expect(t, retryAfter, "")
	}
	if n := strings.Count(m.log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want one:\n%s", n, m.log)
	}
}

// fakeUPnP is a router that speaks UPnP on the loopback.
type fakeUPnP struct {
	t      *testing.T
	search netip.AddrPort
	server *httptest.Server
	mu     sync.Mutex
	// Guarded by mu:
	service  string
	external string
	ports    map[string]string // external to internal client, port and lease
	taken    map[string]bool
	forever  bool                                         // it knows no leases
	location string                                       // instead of its own
	describe func(w http.ResponseWriter, r *http.Request) // instead
	control  func(w http.ResponseWriter, r *http.Request) // instead
}

func startUPnP(t *testing.T) *fakeUPnP {
	f := &fakeUPnP{t: t, service: "WANIPConnection:1", external: "203.0.113.7", ports: map[string]string{}, taken: map[string]bool{}}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	f.search = netip.MustParseAddrPort(conn.LocalAddr().String())
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if !strings.HasPrefix(string(buf[:n]), "M-SEARCH * HTTP/1.1\r\n") || !strings.Contains(string(buf[:n]), "MAN: \"ssdp:discover\"") {
				t.Errorf("bad search %q", buf[:n])
			}
			f.mu.Lock()
			location := f.location
			f.mu.Unlock()
			if location == "" {
				location = f.server.URL + "/description.xml"
			}
			for _, st := range []string{"upnp:rootdevice", deviceType + "1"} {
				fmt.Fprintf(&packet{conn, from}, "HTTP/1.1 200 OK\r\nST: %s\r\nUSN: uuid:1::%s\r\nLOCATION: %s\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\n\r\n", st, st, location)
			}
		}
	}()
	return f
}

// packet sends all that is written to it at once.
type packet struct {
	conn *net.UDPConn
	to   netip.AddrPort
}

func (p *packet) Write(b []byte) (int, error) { return p.conn.WriteToUDPAddrPort(b, p.to) }

func (f *fakeUPnP) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.URL.Path == "/description.xml" && f.describe != nil:
		f.describe(w, r)
	case r.URL.Path == "/description.xml":
		fmt.Fprintf(w, `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://192.0.2.66:1/</URLBase><device>
<deviceType>%s1</deviceType><friendlyName>Router</friendlyName><deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:%s</serviceType><serviceId>urn:upnp-org:serviceId:1</serviceId>
<SCPDURL>/scpd.xml</SCPDURL><controlURL>/control</controlURL><eventSubURL>/event</eventSubURL>
</service></serviceList></device></deviceList></device></deviceList></device></root>`, deviceType, f.service)
	case r.URL.Path == "/control" && f.control != nil:
		f.control(w, r)
	case r.URL.Path == "/control":
		f.act(w, r)
	default:
		f.t.Errorf("asked for %s", r.URL)
	}
}

func (f *fakeUPnP) act(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, 10_000)
	n, _ := r.Body.Read(body)
	field := func(name string) string {
		if found := regexp.MustCompile("<" + name + ">([^<]*)<").FindSubmatch(body[:n]); found != nil {
			return string(found[1])
		}
		return ""
	}
	namespace := "urn:schemas-upnp-org:service:" + f.service
	action := strings.Trim(strings.TrimPrefix(r.Header.Get("SOAPACTION"), `"`+namespace), `"#`)
	fault := 0
	result := ""
	port := field("NewExternalPort")
	switch action {
	case "GetExternalIPAddress":
		result = "<NewExternalIPAddress>" + f.external + "</NewExternalIPAddress>"
	case "AddPortMapping":
		switch {
		case f.taken[port]:
			fault = errorConflict
		case f.forever && field("NewLeaseDuration") != "0":
			fault = errorPermanentLease
		default:
			f.ports[port] = field("NewInternalClient") + ":" + field("NewInternalPort") + " " + field("NewProtocol") + " " + field("NewLeaseDuration") + " " + field("NewPortMappingDescription")
		}
	case "DeletePortMapping":
		delete(f.ports, port)
	default:
		f.t.Errorf("action %q", action)
	}
	const envelope = `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>%s</s:Body></s:Envelope>`
	if fault != 0 {
		w.WriteHeader(500)
		fmt.Fprintf(w, envelope, "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>"+strconv.Itoa(fault)+"</errorCode></UPnPError></detail></s:Fault>")
		return
	}
	fmt.Fprintf(w, envelope, "<u:"+action+"Response xmlns:u=\""+namespace+"\">"+result+"</u:"+action+"Response>")
}

// mapped returns what a port is forwarded to, and how many ports are.
func (f *fakeUPnP) mapped(port uint16) (to string, count int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ports[strconv.Itoa(int(port))], len(f.ports)
}

func (f *fakeUPnP) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// TestUPnP: as TestNATPMP, with what differs: services of three names, ports that are
// taken, and routers that know no leases.
func TestUPnP(t *testing.T) {
	for _, service := range []string{"WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1"} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			f := startUPnP(t)
			f.set(func() { f.service = service })
			m := startMapper(t, f.search)
			m.expect(t, renewMost, "203.0.113.7:9555")
			if got, _ := f.mapped(ownPort); got != "127.0.0.1:9555 TCP 7200 karat" {
				t.Errorf("mapped to %q", got)
			}
			f.set(func() { f.ports, f.external = map[string]string{}, "198.51.100.9" })
			m.next <- time.Time{}
			m.expect(t, renewMost, "198.51.100.9:9555")
			m.stop()
			if _, left := f.mapped(0); left != 0 {
				t.Errorf("%d ports are left", left)
			}
		})
	}
	t.Run("taken and for ever", func(t *testing.T) {
		t.Parallel()
		f := startUPnP(t)
		f.set(func() { f.forever, f.taken["9555"] = true, true })
		m := startMapper(t, f.search)
		if got := <-m.waits; got != renewMost {
			t.Fatalf("waits for %s\n%s", got, m.log)
		}
		port := m.External()[0].Port()
		if got, _ := f.mapped(port); port == ownPort || got != "127.0.0.1:9555 TCP 0 karat" {
			t.Errorf("port %d is mapped to %q", port, got)
		}
		m.next <- time.Time{} // the same port again
		<-m.waits
		if _, count := f.mapped(0); m.External()[0].Port() != port || count != 1 {
			t.Errorf("%d ports are mapped; %s, before it was %d", count, m.External()[0], port)
		}
		m.stop()
		if _, left := f.mapped(0); left != 0 {
			t.Errorf("%d ports are left", left)
		}
	})
}

// TestHostileUPnP: a device cannot make us call another host, nor hold or wait for much.
func TestHostileUPnP(t *testing.T) {
	elsewhere := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was made to call elsewhere: %s", r.URL) }))
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Listener.Close()
	elsewhere.Listener = l
	elsewhere.Start()
	t.Cleanup(elsewhere.Close)
	_, port, _ := net.SplitHostPort(elsewhere.Listener.Addr().String())
	endless := func(w http.ResponseWriter, begin string) {
		w.Write([]byte(begin))
		for n := 0; ; n += 1 << 10 {
			if n > 8<<20 { // more than all buffers on the way
				t.Error("8 MiB were read")
				return
			}
			if _, err := w.Write(bytes.Repeat([]byte("<a>"), 1<<10/3)); err != nil {
				return
			}
		}
	}
	for name, change := range map[string]func(f *fakeUPnP){
		"location elsewhere": func(f *fakeUPnP) { f.location = "http://127.0.0.2:" + port + "/" },
		"location by name":   func(f *fakeUPnP) { f.location = "http://localhost:" + port + "/" },
		"redirection": func(f *fakeUPnP) {
			f.describe = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }
		},
		"control elsewhere": func(f *fakeUPnP) {
			f.describe = func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `<root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
<controlURL>http://127.0.0.2:%s/</controlURL></service></serviceList></device></root>`, port)
			}
		},
		"no end of description": func(f *fakeUPnP) {
			f.describe = func(w http.ResponseWriter, _ *http.Request) {
				endless(w, `<root xmlns="urn:schemas-upnp-org:device-1-0">`)
			}
		},
		"no end of answer": func(f *fakeUPnP) {
			f.control = func(w http.ResponseWriter, _ *http.Request) {
				endless(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">`)
			}
		},
		"no address":  func(f *fakeUPnP) { f.external = strings.Repeat("nowhere", 1000) },
		"no services": func(f *fakeUPnP) { f.service = "Layer3Forwarding:1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startUPnP(t)
			f.set(func() { change(f) })
			m := startMapper(t, f.search)
			m.expect(t, retryAfter, "")
			m.stop()
			if n := len(m.log.String()); n > 2000 {
				t.Errorf("%d bytes of log", n)
			}
		})
	}
}

// TestAnswers: only a router's answer counts, and only if it describes itself where it is.
func TestAnswers(t *testing.T) {
	answer := func(st, location string) []byte {
		return []byte("HTTP/1.1 200 OK\r\nST: " + st + "\r\nLOCATION: " + location + "\r\n\r\n")
	}
	from := netip.MustParseAddr("192.168.1.1")
	for _, c := range []struct {
		answer []byte
		useful bool
	}{
		{answer(deviceType+"1", "http://192.168.1.1:5000/x"), true},
		{answer(deviceType+"2", "http://192.168.1.1/x"), true},
		{answer("upnp:rootdevice", "http://192.168.1.1:5000/x"), false},
		{answer(deviceType+"1", "http://192.168.1.2:5000/x"), false},
		{answer(deviceType+"1", "http://router.example:5000/x"), false},
		{answer(deviceType+"1", "file:///etc/passwd"), false},
		{answer(deviceType+"1", "https://192.168.1.1:5000/x"), false},
		{answer(deviceType+"1", ""), false},
		{[]byte("HTTP/1.1 500 No\r\nST: " + deviceType + "1\r\nLOCATION: http://192.168.1.1:1/\r\n\r\n"), false},
		{[]byte("nonsense"), false},
		{nil, false},
	} {
		if got := readAnswer(c.answer, from); (got != nil) != c.useful {
			t.Errorf("%q: %v", c.answer, got)
		}
	}
}

func TestDefaultRoutes(t *testing.T) {
	const table = "Iface\tDestination\tGateway \tFlags\n" +
		"eth0\t000200C0\t00000000\t0001\n" +
		"eth0\t00000000\t010200C0\t0003\n" +
		"tun0\t00000000\t00000000\t0003\n" +
		"eth1\t00000000\tnonsense\t0003\nshort\n"
	got := defaultRoutes(table)
	want := netip.MustParseAddr("192.0.2.1")
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		want = netip.MustParseAddr("1.2.0.192") // the machine would have written another text
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
