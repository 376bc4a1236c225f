package rpc

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func banMethods() []method {
	return []method{
		{name: "setban", read: setBan, about: "Keeps peers out for a time, and hangs up on those that are there; or lets them in again. Peers are named by an address, by a subnet, or by a node's id, which says little: whoever is kept out can make another. Bans outlive the node's end.", params: []param{
			{name: "subnet", kind: kindString, about: "An address, a subnet (192.168.0.0/24, 192.168.0.0/255.255.255.0, 2001:db8::/32) or a node id"},
			{name: "command", kind: kindString, about: "add or remove"},
			{name: "bantime", kind: kindNumber, optional: "86400", about: "For how many seconds, or until when if absolute; 0 for the default"},
			{name: "absolute", kind: kindBool, optional: "false", about: "bantime is a time in seconds since 1970"}}},
		{name: "listbanned", read: noParams(listBanned), about: "Returns who is kept out, since when and until when. (automatic is karat's: it was not the operator who banned them, but what they sent.)"},
		{name: "clearbanned", read: noParams(clearBanned), about: "Lets all in again who are kept out."},
	}
}

// defaultBan is how long a ban lasts if nobody says how long. It is Core's.
const defaultBan = 24 * time.Hour

// setBan is Core's setban. Node ids are karat's.
func setBan(s *Server, a *args) work {
	who, err := peerinfo.ParseSelector(a.text(0, ""))
	command, bantime, absolute := a.text(1, ""), a.integer(2, 0), a.flag(3, false)
	now := s.Control.Now()
	until := now.Add(defaultBan)
	switch {
	case command != "add" && command != "remove":
		a.fail(failf(CodeMisc, "%s", a.method.help()))
	case err != nil:
		a.fail(failf(CodeInvalidSubnet, "Error: Invalid IP/Subnet"))
	case command == "remove":
	case absolute && bantime < now.Unix():
		a.fail(failf(CodeInvalidParam, "Error: Absolute timestamp is in the past"))
	case absolute:
		until = time.Unix(min(bantime, math.MaxUint32), 0)
	case bantime > 0:
		until = time.Unix(now.Unix()+min(bantime, math.MaxUint32), 0)
	}
	return func(context.Context) (any, error) {
		if command == "remove" {
			err := s.Network.LiftBan(who)
			if errors.Is(err, peerinfo.ErrNotBanned) {
				return nil, failf(CodeInvalidSubnet, "Error: Unban failed. Requested address/subnet was not previously manually banned.")
			}
			return nil, err
		}
		err := s.Network.SetBan(who, until)
		if errors.Is(err, peerinfo.ErrBanned) {
			return nil, failf(CodeNodeAdded, "Error: IP/Subnet already banned")
		}
		return nil, err
	}
}

// banJSON is a ban.
type banJSON struct {
	Who       string `json:"address"`
	Since     int64  `json:"ban_created"`
	Until     int64  `json:"banned_until"`
	Duration  int64  `json:"ban_duration"`
	Left      int64  `json:"time_remaining"`
	Automatic bool   `json:"automatic"`
}

// listBanned is Core's listbanned.
func listBanned(_ context.Context, s *Server) (any, error) {
	now := s.Control.Now().Unix()
	list := []banJSON{}
	for _, b := range s.Network.Bans() {
		since, until := b.Since.Unix(), b.Until.Unix()
		list = append(list, banJSON{b.Who.String(), since, until, until - since, until - now, b.Automatic})
	}
	return list, nil
}

// clearBanned is Core's clearbanned.
func clearBanned(_ context.Context, s *Server) (any, error) {
	return nil, s.Network.ClearBans()
}
