package web

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"html/template"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

const (
	listedPeers = 200
	listedBans  = 200
)

// isOperator reports whether a request comes from whom the node belongs to: by a browser
// of its own machine, at an address of that machine, and by no proxy.
func (s *Server) isOperator(r *http.Request) bool {
	return s.Operator && s.guard.visitorOf(r).local && atOwnHost(r)
}

// atOwnHost reports whether a request calls this machine by its loopback address. A page
// elsewhere whose name was made to lead here has another Host.
func atOwnHost(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return isLoopback(strings.Trim(host, "[]"))
}

type peersView struct {
	Frame
	Now            time.Time
	Peers          []peerinfo.Info
	In, Out        int
	More           int
	Received, Sent uint64
	Versions       []countRow
	Bans           []peerinfo.Ban
	Picture        template.HTML
	Active         bool
}

type countRow struct {
	Name  string
	Count int
}

// peersPage is the node's connections. It is for the operator: who is connected to whom is
// nobody else's business.
func (s *Server) peersPage(r *http.Request) (*page, error) {
	if !s.isOperator(r) || s.Network == nil {
		return nil, &failure{http.StatusForbidden, "For the operator", "Connections and addresses of peers are shown to the operator alone: start karatd with --web-operator, and open this page on the node's machine, at its loopback address.", nil}
	}
	now := s.Status.Now()
	return &page{version: fmt.Sprint(now.UnixMilli() / 1000), private: true, view: "network", make: func(context.Context) (any, error) {
		v := peersView{Frame: s.frame("Network", "network").live("block pool"), Now: now, Peers: s.Network.Peers(), Bans: s.Network.Bans(), Active: s.Network.Active()}
		v.Received, v.Sent = s.Network.Totals()
		versions := map[string]int{}
		for i := range v.Peers {
			if v.Peers[i].Inbound {
				v.In++
			} else {
				v.Out++
			}
			v.Peers[i].UserAgent = Printable(v.Peers[i].UserAgent, 60)
			versions[v.Peers[i].UserAgent]++
		}
		for name, n := range versions {
			v.Versions = append(v.Versions, countRow{name, n})
		}
		slices.SortFunc(v.Versions, func(a, b countRow) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Name, b.Name)) })
		v.Versions = v.Versions[:min(len(v.Versions), 20)]
		v.Picture = starOf(v.Peers)
		v.More = max(len(v.Peers)-listedPeers, 0)
		v.Peers, v.Bans = v.Peers[:min(len(v.Peers), listedPeers)], v.Bans[:min(len(v.Bans), listedBans)]
		return v, nil
	}}, nil
}

// starOf draws the node in the middle of its peers: the nearer, the faster they answer.
func starOf(peers []peerinfo.Info) template.HTML {
	if len(peers) == 0 {
		return ""
	}
	const side, least, most = 320.0, 50.0, 145.0
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="treemap star" viewBox="0 0 %d %d" role="img" aria-label="%d peers around this node">`, int(side), int(side), len(peers))
	for i := range peers[:min(len(peers), listedPeers)] {
		p := &peers[i]
		ping := p.MinPing.Seconds() * 1000 // from 1 ms to 1 s, by its logarithm
		far := most
		if ping > 0 {
			far = least + (most-least)*min(max(math.Log10(ping)/3, 0), 1)
		}
		angle := 2 * math.Pi * float64(i) / float64(min(len(peers), listedPeers))
		x, y := side/2+far*math.Cos(angle), side/2+far*math.Sin(angle)
		class, way := "out", "called by us"
		if p.Inbound {
			class, way = "in", "called us"
		}
		fmt.Fprintf(&b, `<line class="ray" x1="%d" y1="%d" x2="%s" y2="%s"/><circle class="%s" cx="%s" cy="%s" r="6"><title>%s, %s, ping %s</title></circle>`,
			int(side/2), int(side/2), num(x), num(y), class, num(x), num(y), html.EscapeString(Printable(p.Address, 60)), way, p.MinPing.Round(time.Millisecond))
	}
	fmt.Fprintf(&b, `<circle class="self" cx="%d" cy="%d" r="10"/></svg>`, int(side/2), int(side/2))
	return template.HTML(b.String())
}
