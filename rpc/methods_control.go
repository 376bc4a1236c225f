package rpc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func controlMethods() []method {
	return []method{
		{name: "help", read: help, about: "Lists all methods, or explains one.", params: []param{
			{name: "command", kind: kindString, optional: "all commands", about: "The method to explain"}}},
		{name: "stop", read: noParams(stop), about: "Stops the node."},
		{name: "uptime", read: noParams(uptime), about: "Returns the seconds since the node was started."},
		{name: "getrpcinfo", read: noParams(getRPCInfo), about: "Returns the calls that are being answered."},
	}
}

// help is Core's help, in Core's layout: explorers read the list to find out what a
// node can do.
func help(s *Server, a *args) work {
	name := a.text(0, "")
	return func(context.Context) (any, error) {
		if name == "" {
			return s.helpList(), nil
		}
		if m := s.table[name]; m != nil {
			return m.help(), nil
		}
		return "help: unknown command: " + name, nil
	}
}

func (s *Server) helpList() string {
	byCategory := map[string][]string{}
	for _, m := range s.table {
		usage, _, _ := strings.Cut(m.help(), "\n")
		byCategory[m.category] = append(byCategory[m.category], usage)
	}
	var sections []string
	for _, category := range slices.Sorted(maps.Keys(byCategory)) {
		slices.Sort(byCategory[category])
		sections = append(sections, fmt.Sprintf("== %s ==\n%s", category, strings.Join(byCategory[category], "\n")))
	}
	return strings.Join(sections, "\n\n")
}

// stop is Core's stop. The answer comes before the end: the server gives calls that
// are under way a moment.
func stop(_ context.Context, s *Server) (any, error) {
	s.Control.Stop()
	return "karat stopping", nil
}

// uptime is Core's uptime.
func uptime(_ context.Context, s *Server) (any, error) {
	return int64(s.Control.Uptime().Seconds()), nil
}

// getRPCInfo is Core's getrpcinfo. The log goes to the standard error, so its path
// is empty.
func getRPCInfo(_ context.Context, s *Server) (any, error) {
	calls := []map[string]any{}
	for _, call := range s.active.list() {
		calls = append(calls, map[string]any{"method": call.method, "duration": time.Since(call.since).Microseconds()})
	}
	return map[string]any{"active_commands": calls, "logpath": ""}, nil
}
