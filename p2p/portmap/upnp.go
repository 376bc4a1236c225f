package portmap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/huin/goupnp"
	igd "github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"
)

// The bounds of what UPnP's devices make us read and wait for.
const (
	searchTime   = 2 * time.Second
	maxDevices   = 8
	maxDatagrams = 512 // of a search; a device answers with a few
	maxDatagram  = 2048
	maxBody      = 128 << 10
	maxHeaders   = 8 << 10
	requestTime  = 5 * time.Second
	maxAttempts  = 3 // at ports that others may have
)

// deviceType begins what a router calls itself; its version follows.
const deviceType = "urn:schemas-upnp-org:device:InternetGatewayDevice:"

// The errors of a router that mean something to us (WANIPConnection, 2.4.16).
const (
	errorConflict       = 718 // another machine has the port
	errorPermanentLease = 725 // it knows mappings without an end only
)

// connection is the service of a router that forwards ports; goupnp has three of them.
type connection interface {
	AddPortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string, internalPort uint16, internalClient string, enabled bool, description string, lease uint32) error
	DeletePortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
}

// device is a router that speaks UPnP.
type device struct {
	connection
	host netip.Addr
	own  netip.Addr // ours, as seen from it
	port uint16     // ours
	name string
}

// String implements router.
func (d *device) String() string { return "UPnP at " + d.host.String() }

// forward implements router.
func (d *device) forward(ctx context.Context, want uint16) (netip.AddrPort, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, maxAttempts*requestTime)
	defer cancel()
	text, err := d.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return netip.AddrPort{}, 0, fmt.Errorf("%s: %w", d, err)
	}
	at, err := netip.ParseAddr(text)
	if err != nil || at.Zone() != "" {
		return netip.AddrPort{}, 0, fmt.Errorf("%s: its address is %.40q", d, text)
	}
	seconds := uint32(lease / time.Second)
	for range maxAttempts {
		err = d.AddPortMappingCtx(ctx, "", want, "TCP", d.port, d.own.String(), true, d.name, seconds)
		var fault *soap.SOAPFaultError
		if !errors.As(err, &fault) {
			break
		}
		switch fault.Detail.UPnPError.Errorcode {
		case errorPermanentLease:
			seconds = 0
		case errorConflict:
			want = uint16(1024 + rand.N(1<<16-1024))
		}
	}
	if err != nil {
		return netip.AddrPort{}, 0, fmt.Errorf("%s: %w", d, err)
	}
	return netip.AddrPortFrom(at.Unmap(), want), lease, nil
}

// remove implements router.
func (d *device) remove(ctx context.Context, port uint16) error {
	return d.DeletePortMappingCtx(ctx, "", port, "TCP")
}

// search yields the routers on the local networks that speak UPnP.
func (m *Mapper) search(ctx context.Context) iter.Seq[router] {
	return func(yield func(router) bool) {
		for location := range m.locations(ctx) {
			d, err := m.describe(ctx, location)
			if err != nil {
				m.log.Debug("a device that is of no use", "location", location, "err", shorten(err))
				continue
			}
			if !yield(d) {
				return
			}
		}
	}
}

// describe asks a device what it is.
func (m *Mapper) describe(ctx context.Context, location *url.URL) (*device, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	at, err := hostOf(location)
	if err != nil {
		return nil, err
	}
	client := boundedClient(at.Addr())
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	root := &goupnp.RootDevice{}
	decoder := xml.NewDecoder(response.Body)
	decoder.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := decoder.Decode(root); err != nil {
		return nil, err
	}
	root.SetURLBase(location) // and not what the device calls its base: that may be anywhere
	d := &device{host: at.Addr(), port: m.o.Port, name: m.o.Name, connection: findConnection(root, location, client)}
	if d.connection == nil {
		return nil, errors.New("it forwards no ports")
	}
	d.own, err = ownAddress(at)
	return d, err
}

// findConnection returns the first service that forwards ports, which uses the client.
func findConnection(root *goupnp.RootDevice, location *url.URL, client *http.Client) connection {
	if list, err := igd.NewWANIPConnection2ClientsFromRootDevice(root, location); err == nil {
		list[0].SOAPClient.HTTPClient = *client
		return list[0]
	}
	if list, err := igd.NewWANIPConnection1ClientsFromRootDevice(root, location); err == nil {
		list[0].SOAPClient.HTTPClient = *client
		return list[0]
	}
	if list, err := igd.NewWANPPPConnection1ClientsFromRootDevice(root, location); err == nil {
		list[0].SOAPClient.HTTPClient = *client
		return list[0]
	}
	return nil
}

// ownAddress returns the address of this machine by which it reaches another. Nothing is
// sent.
func ownAddress(to netip.AddrPort) (netip.Addr, error) {
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return at.Addr().Unmap(), err
}

// boundedClient returns a client that calls one host and reads a bounded answer.
func boundedClient(host netip.Addr) *http.Client {
	transport := &http.Transport{
		DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaders,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if to, err := netip.ParseAddrPort(address); err != nil || to.Addr() != host {
				return nil, fmt.Errorf("%s points to %.100s", host, address)
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	return &http.Client{
		Timeout: requestTime, Transport: boundedTransport{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it points elsewhere") },
	}
}

// boundedTransport bounds the bodies of answers.
type boundedTransport struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxBody), response.Body}
	}
	return response, err
}

// locations searches for routers (UPnP Device Architecture 1.1, section 1.3), and yields
// where those that answer describe themselves, each at its own address, as they answer.
func (m *Mapper) locations(ctx context.Context) iter.Seq[*url.URL] {
	return func(yield func(*url.URL) bool) {
		ctx, cancel := context.WithTimeout(ctx, searchTime)
		from := searchFrom(m.o.Search.Addr())
		// With room for all, so that a search does not wait while a slow device is asked.
		found := make(chan *url.URL, maxDevices*len(from))
		var searches sync.WaitGroup
		for _, own := range from {
			searches.Go(func() { searchOn(ctx, own, m.o.Search, found) })
		}
		go func() {
			searches.Wait()
			close(found)
		}()
		defer searches.Wait()
		defer cancel()
		n := 0
		for location := range found {
			if n++; n > maxDevices || !yield(location) {
				return
			}
		}
	}
}

// searchFrom returns our addresses on the networks to search. A search of one host, as
// in tests, needs none in particular.
func searchFrom(to netip.Addr) (list []netip.Addr) {
	if to.IsLoopback() {
		return []netip.Addr{to}
	}
	own, _ := net.InterfaceAddrs()
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() && prefix.Addr().IsPrivate() && len(list) < maxDevices {
			list = append(list, prefix.Addr())
		}
	}
	return list
}

// searchOn searches one network until the context ends. Every device is heard once.
func searchOn(ctx context.Context, own netip.Addr, to netip.AddrPort, found chan<- *url.URL) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 0)))
	if err != nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for _, version := range []string{"1", "2"} {
		question := "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + deviceType + version + "\r\n\r\n"
		if _, err := conn.WriteToUDPAddrPort([]byte(question), to); err != nil {
			return
		}
	}
	heard := map[netip.Addr]bool{}
	buf := make([]byte, maxDatagram)
	for range maxDatagrams {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		location := readAnswer(buf[:n], from.Addr().Unmap())
		if location == nil || heard[from.Addr()] || len(heard) >= maxDevices {
			continue
		}
		heard[from.Addr()] = true
		found <- location
	}
}

// readAnswer reads an answer to a search. Nil is for one that is of no use: of another
// kind of device, or one that describes itself somewhere else than it is.
func readAnswer(answer []byte, from netip.Addr) *url.URL {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		return nil
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("ST"), deviceType) {
		return nil
	}
	location, err := response.Location()
	if err != nil || location.Scheme != "http" {
		return nil
	}
	if at, err := hostOf(location); err != nil || at.Addr() != from {
		return nil
	}
	return location
}

// hostOf returns the address that a URL names. A host's name is an error: it would have
// to be looked up.
func hostOf(u *url.URL) (netip.AddrPort, error) {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return netip.ParseAddrPort(net.JoinHostPort(u.Hostname(), port))
}
