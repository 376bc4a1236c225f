package node

import (
	"context"
	"errors"
	"log/slog"

	"github.com/karatcoin/karat/rpc"
)

// Reload takes from a new configuration what can change while the node runs: the level of the
// log, whom peers the node lets in and trusts, the users of RPC with their lists, and from
// where they may connect; and it reads the file of bans again. With an error nothing has
// changed but what the error does not name: the lists are checked before any of them counts.
func (n *Node) Reload(config Config) error {
	s := n.running.Load()
	if s == nil {
		return errors.New("the node does not run yet")
	}
	allow, trust, err := config.lists()
	if err != nil {
		return err
	}
	users := &rpc.Auth{Before: s.auth}
	if !n.config.RPCNoCookie {
		users.KeepCookie()
	}
	locked, err := config.addUsers(users)
	if err != nil {
		return err
	}
	if err := s.peers.ReloadBans(); err != nil {
		return err
	}
	s.peers.SetLists(allow, trust)
	s.auth.Adopt(users)
	s.locked.Store(&locked)
	s.server.SetAllowIP(config.RPCAllowIP)
	if config.LogLevel != nil && n.config.LogLevel != nil {
		n.setLevel(config.LogLevel.Level())
	}
	n.ownLog.Info("options were read again", "level", n.level(), "allowed_peers", len(allow), "trusted_peers", len(trust), "bans", len(s.peers.Bans()), "rpc_lists", len(config.RPCAllow))
	return nil
}

func (n *Node) level() slog.Level {
	if n.config.LogLevel == nil {
		return slog.LevelInfo
	}
	return n.config.LogLevel.Level()
}

// setLevel sets the level of the log. If it has changed, debug lines of all parts go with it, as at the start;
// else what a client has switched stays.
func (n *Node) setLevel(level slog.Level) {
	if n.config.LogLevel.Level() == level {
		return
	}
	n.config.LogLevel.Set(level)
	on := n.config.Logger.Enabled(context.Background(), slog.LevelDebug)
	for name := range n.logs.Categories() {
		n.logs.SetCategory(name, on)
	}
}
