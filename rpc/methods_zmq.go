package rpc

import (
	"cmp"
	"context"
	"slices"

	"github.com/karatcoin/karat/rpc/zmqinfo"
)

func zmqMethods() []method {
	return []method{
		{name: "getzmqnotifications", read: noParams(getZMQNotifications), about: "Returns where the node publishes what by ZeroMQ."},
	}
}

// getZMQNotifications is Core's getzmqnotifications.
func getZMQNotifications(_ context.Context, s *Server) (any, error) {
	type notification struct {
		Type      string `json:"type"`
		Address   string `json:"address"`
		HighWater int    `json:"hwm"`
	}
	list := make([]notification, len(s.ZMQ))
	for i, e := range slices.SortedStableFunc(slices.Values(s.ZMQ), func(a, b zmqinfo.Endpoint) int { return cmp.Compare(a.Topic, b.Topic) }) {
		list[i] = notification{"pub" + e.Topic, e.Address, e.HighWater}
	}
	return list, nil
}
