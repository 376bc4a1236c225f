package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"strings"
	"time"
)

func controlMethods() []method {
	return []method{
		{name: "help", read: help, about: "Lists all methods, or explains one.", params: []param{
			{name: "command", kind: kindString, optional: "all commands", about: "The method to explain"}}},
		{name: "stop", read: stop, about: "Stops the node.", params: []param{
			{name: "wait", kind: kindNumber, optional: "0", hidden: true, about: "How many milliseconds to wait before that, a minute at most"}}},
		{name: "uptime", read: noParams(uptime), about: "Returns the seconds since the node was started."},
		{name: "getrpcinfo", read: noParams(getRPCInfo), about: "Returns the calls that are being answered, with the microseconds since each began, and the file of the log, if it goes to one."},
		{name: "getmemoryinfo", read: getMemoryInfo, about: "Returns what is told of memory. locked is that which is kept from being swapped out: the node has none, as it holds no keys of a wallet. (peers, processors, handshakes and heap are karat's: the bytes that are held because of all peers together and how many may be; how many processors strangers have kept busy lately for nothing, and how many they may; the callers whose handshake is not over; and what the program has in use and has of the system.)", params: []param{
			{name: "mode", kind: kindString, optional: "stats", about: "stats; mallocinfo is of allocators that this node does not use"}}},
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
		if m.category == hidden {
			continue
		}
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
func stop(s *Server, a *args) work {
	wait := min(max(a.int32(0, 0), 0), time.Minute.Milliseconds())
	return func(ctx context.Context) (any, error) {
		if wait > 0 {
			select {
			case <-time.After(time.Duration(wait) * time.Millisecond):
			case <-ctx.Done():
			}
		}
		s.Control.Stop()
		return "karat stopping", nil
	}
}

// uptime is Core's uptime.
func uptime(_ context.Context, s *Server) (any, error) {
	return int64(s.Control.Uptime().Seconds()), nil
}

// rpcInfoJSON is the answer of getrpcinfo.
type rpcInfoJSON struct {
	Calls   []callJSON `json:"active_commands"`
	LogPath string     `json:"logpath"`
}

// callJSON is a call that is being answered.
type callJSON struct {
	Method   string `json:"method"`
	Duration int64  `json:"duration"` // microseconds
}

// getRPCInfo is Core's getrpcinfo.
func getRPCInfo(_ context.Context, s *Server) (any, error) {
	info := rpcInfoJSON{Calls: []callJSON{}}
	for _, call := range s.active.list() {
		info.Calls = append(info.Calls, callJSON{call.method, time.Since(call.since).Microseconds()})
	}
	if s.Logs != nil {
		info.LogPath = s.Logs.Path()
	}
	return info, nil
}

// memoryJSON is the answer of getmemoryinfo.
type memoryJSON struct {
	Locked     lockedJSON     `json:"locked"`
	Peers      budgetJSON     `json:"peers"`
	Processors processorsJSON `json:"processors"`
	Handshakes budgetJSON     `json:"handshakes"`
	Heap       heapJSON       `json:"heap"`
}

// lockedJSON is Core's memory for secrets, of which this node has none.
type lockedJSON struct {
	Used       int `json:"used"`
	Free       int `json:"free"`
	Total      int `json:"total"`
	Locked     int `json:"locked"`
	ChunksUsed int `json:"chunks_used"`
	ChunksFree int `json:"chunks_free"`
}

// processorsJSON is how many processors strangers keep busy for nothing.
type processorsJSON struct {
	Used  json.Number `json:"used"`
	Limit json.Number `json:"limit"`
}

// budgetJSON is what peers make the node hold.
type budgetJSON struct {
	Used  int64 `json:"used"`
	Limit int64 `json:"limit"`
}

// heapJSON is the program's memory.
type heapJSON struct {
	Used  uint64 `json:"used"`
	Total uint64 `json:"total"`
}

// getMemoryInfo is Core's getmemoryinfo.
func getMemoryInfo(s *Server, a *args) work {
	switch mode := a.text(0, "stats"); mode {
	case "stats":
	case "mallocinfo":
		a.fail(failf(CodeInvalidParam, "mallocinfo mode not available"))
	default:
		a.fail(failf(CodeInvalidParam, "unknown mode %.100s", mode))
	}
	return func(context.Context) (any, error) {
		b := s.Network.Budgets()
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
		metrics.Read(samples)
		return memoryJSON{
			Peers: budgetJSON{b.Memory, b.MaxMemory}, Processors: processorsJSON{double(b.Processors), double(b.MaxProcessors)},
			Handshakes: budgetJSON{int64(b.Handshakes), int64(b.MaxHandshakes)}, Heap: heapJSON{samples[0].Value.Uint64(), samples[1].Value.Uint64()},
		}, nil
	}
}
