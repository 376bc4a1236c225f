package portmap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// maxGateways bounds how many routers are asked by NAT-PMP.
const maxGateways = 4

// answerWithin is how long a router may take. Those that speak NAT-PMP answer at
// once, and the others most often refuse.
var answerWithin = 1500 * time.Millisecond

// natPMP is a router that may speak NAT-PMP. Its answers are read into 16 bytes.
type natPMP struct {
	gateway netip.Addr
	port    uint16
}

func (r *natPMP) client() *natpmp.Client {
	return natpmp.NewClientWithTimeout(net.IP(r.gateway.AsSlice()), answerWithin)
}

// String implements router.
func (r *natPMP) String() string { return "NAT-PMP at " + r.gateway.String() }

// forward implements router. It may go on for answerWithin after the context has ended.
func (r *natPMP) forward(ctx context.Context, want uint16) (netip.AddrPort, time.Duration, error) {
	client := r.client()
	at, err := client.GetExternalAddress()
	if err == nil && ctx.Err() == nil {
		var mapped *natpmp.AddPortMappingResult
		mapped, err = client.AddPortMapping("tcp", int(r.port), int(want), int(lease/time.Second))
		if err == nil {
			external := netip.AddrPortFrom(netip.AddrFrom4(at.ExternalIPAddress), mapped.MappedExternalPort)
			held := time.Duration(mapped.PortMappingLifetimeInSeconds) * time.Second
			if held == 0 || external.Port() == 0 || mapped.InternalPort != r.port {
				return netip.AddrPort{}, 0, fmt.Errorf("%s: it forwards another port than was asked for, or none", r)
			}
			return external, held, nil
		}
	}
	return netip.AddrPort{}, 0, fmt.Errorf("%s: %w", r, errors.Join(err, ctx.Err()))
}

// remove implements router.
func (r *natPMP) remove(context.Context, uint16) error {
	_, err := r.client().AddPortMapping("tcp", int(r.port), 0, 0)
	return err
}

// gateways returns the addresses that may be those of routers: where Linux sends what is
// not for a network of its own, and the first address of each private network.
func gateways() (list []netip.Addr) {
	if table, err := os.ReadFile("/proc/net/route"); err == nil {
		list = defaultRoutes(string(table))
	}
	own, _ := net.InterfaceAddrs()
	for _, a := range own {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Is4() || !prefix.Addr().IsPrivate() || prefix.Bits() > 30 {
			continue
		}
		if first := prefix.Masked().Addr().Next(); first != prefix.Addr() && !slices.Contains(list, first) {
			list = append(list, first)
		}
	}
	return list
}

// defaultRoutes reads /proc/net/route: interface, destination and gateway, the addresses
// in hexadecimal and in the order of the machine's bytes.
func defaultRoutes(table string) (list []netip.Addr) {
	for _, line := range strings.Split(table, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != "00000000" {
			continue
		}
		n, err := strconv.ParseUint(fields[2], 16, 32)
		if err != nil {
			continue
		}
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], uint32(n))
		if a := netip.AddrFrom4(b); !a.IsUnspecified() {
			list = append(list, a)
		}
	}
	return list
}
