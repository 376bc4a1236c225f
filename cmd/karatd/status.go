package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node/doctor"
)

func statusCommand(o *options) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show on one screen how the node is",
		Description: "Shows what the node of the data directory says of its chain, its peers, its pool and of\n" +
			"mining, and what `karatd doctor` finds. It takes the flags of run.\n\n" +
			"The exit code is 0 if the node runs and nothing is wrong, and 1 if not.",
		Flags:  append([]cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON"}, cmdline.UTCFlag()}, o.runFlags()...),
		Action: func(c *cli.Context) error { return showStatus(c, o) },
	}
}

// nodeStatus is what a node tells of itself. Parts that it does not tell are nil.
type nodeStatus struct {
	Network string         `json:"network"`
	DataDir string         `json:"datadir"`
	Running bool           `json:"running"`
	PID     int            `json:"pid,omitempty"`
	RPC     string         `json:"rpc,omitempty"`
	Uptime  int64          `json:"uptime,omitempty"`  // seconds
	MineTo  string         `json:"mine_to,omitempty"` // address that its own blocks pay; empty: it does not mine
	Chain   *chainStatus   `json:"chain,omitempty"`
	Peers   *peersStatus   `json:"peers,omitempty"`
	Pool    *poolStatus    `json:"pool,omitempty"`
	Mining  *miningStatus  `json:"mining,omitempty"`
	Stratum *stratumStatus `json:"stratum,omitempty"`
	Memory  *memoryStatus  `json:"memory,omitempty"`
	diagnosis
}

// The parts of answers that are shown, with the names that they have there.
type (
	chainStatus struct {
		Blocks  uint32     `json:"blocks"`
		Headers uint32     `json:"headers"`
		Best    types.Hash `json:"bestblockhash"`
		Time    int64      `json:"time"`
		Syncing bool       `json:"initialblockdownload"`
		Done    float64    `json:"verificationprogress"`
		Size    uint64     `json:"size_on_disk"`
		Pruned  bool       `json:"pruned"`
	}
	peersStatus struct {
		All       int      `json:"connections"`
		In        int      `json:"connections_in"`
		Out       int      `json:"connections_out"`
		NodeID    string   `json:"nodeid"`
		Version   string   `json:"subversion"`
		Listening []string `json:"listening"`
		Addresses []struct {
			Address string `json:"address"`
			Port    uint16 `json:"port"`
		} `json:"localaddresses"`
	}
	poolStatus struct {
		Count int     `json:"size"`
		Bytes uint64  `json:"bytes"`
		Usage uint64  `json:"usage"`
		Most  uint64  `json:"maxmempool"`
		Floor float64 `json:"mempoolminfee"` // coins per 1000 virtual bytes
	}
	miningStatus struct {
		Rate       float64 `json:"networkhashps"`
		Difficulty float64 `json:"difficulty"`
	}
	stratumStatus struct {
		Listening   string  `json:"listening"`
		Connections int     `json:"connections"`
		Rate        float64 `json:"hashrate10m"`
		Blocks      uint64  `json:"blocks"`
	}
	memoryStatus struct {
		Heap struct {
			Used  uint64 `json:"used"`
			Total uint64 `json:"total"`
		} `json:"heap"`
	}
)

// part asks for a part of the status; nil if it cannot be had. The first that fails has said why.
func part[T any](v *visit, method string) *T {
	var t T
	if !v.facts.Answers || v.ask(method, &t) != nil {
		return nil
	}
	return &t
}

// status asks the node for all.
func (v *visit) status() nodeStatus {
	s := nodeStatus{DataDir: v.dir, diagnosis: v.diagnose()}
	if v.params != nil {
		s.Network = v.params.Name
	}
	if s.Running = v.facts.Answers; !s.Running {
		return s
	}
	s.RPC = v.facts.RPC
	if v.running != nil {
		s.PID, s.MineTo = v.running.PID, v.running.MineTo
	}
	if uptime := part[int64](v, "uptime"); uptime != nil {
		s.Uptime = *uptime
	}
	s.Chain, s.Peers = part[chainStatus](v, "getblockchaininfo"), part[peersStatus](v, "getnetworkinfo")
	s.Pool, s.Mining = part[poolStatus](v, "getmempoolinfo"), part[miningStatus](v, "getmininginfo")
	if s.Stratum = part[stratumStatus](v, "getstratuminfo"); s.Stratum != nil && s.Stratum.Listening == "" {
		s.Stratum = nil
	}
	s.Memory = part[memoryStatus](v, "getmemoryinfo")
	return s
}

func showStatus(c *cli.Context, o *options) error {
	v := newVisit(c, o)
	s := v.status()
	return s.end(c, s, func(w io.Writer) { v.show(c, w, &s) })
}

// show shows the status on a screen of 80 columns.
func (v *visit) show(c *cli.Context, w io.Writer, s *nodeStatus) {
	well := "is well"
	switch {
	case !s.Running:
		well = "cannot be asked"
	case !s.Healthy:
		well = "is not well"
	}
	line(w, "node", "network %s: it %s (%s)", orUnknown(s.Network), well, summary(s.Findings))
	line(w, "data", "%s", orUnknown(s.DataDir))
	if s.Running {
		line(w, "runs", "for %s%s, RPC at %s", cmdline.Span(time.Duration(s.Uptime)*time.Second), process(s.PID), s.RPC)
	}
	if s.Chain != nil {
		v.showChain(c, w, s.Chain)
	}
	if s.Peers != nil {
		showPeers(w, s.Peers)
	}
	if p := s.Pool; p != nil {
		transactions := fmt.Sprintf("%d transactions", p.Count)
		if p.Count == 1 {
			transactions = "1 transaction"
		}
		line(w, "pool", "%s of %d virtual bytes, %s of %s of memory", transactions, p.Bytes, doctor.Size(p.Usage), doctor.Size(p.Most))
		line(w, "", "takes %s grains per virtual byte and more", types.FeeRate(p.Floor*types.GrainsPerCoin+0.5))
	}
	title := "mining"
	if s.MineTo != "" {
		line(w, title, "this node mines, and its blocks pay %s", s.MineTo)
		title = ""
	}
	if m := s.Mining; m != nil && v.params.Difficulty.Algorithm != consensus.DifficultyFixed {
		line(w, title, "the network makes about %s (difficulty %.4g)", hashRate(m.Rate), m.Difficulty)
	}
	if t := s.Stratum; t != nil {
		line(w, "miners", "%d at %s make %s, and have found %d blocks", t.Connections, t.Listening, hashRate(t.Rate), t.Blocks)
	}
	if s.Memory != nil {
		line(w, "memory", "%s in use, %s of the system", doctor.Size(s.Memory.Heap.Used), doctor.Size(s.Memory.Heap.Total))
	}
	printFindings(w, s.Findings)
}

func (v *visit) showChain(c *cli.Context, w io.Writer, s *chainStatus) {
	age := cmdline.Span(time.Since(time.Unix(s.Time, 0)))
	switch {
	case s.Syncing && s.Headers > s.Blocks:
		line(w, "chain", "syncing: block %d of %d (%.1f%%)", s.Blocks, s.Headers, 100*s.Done)
	case s.Headers > s.Blocks:
		line(w, "chain", "block %d; headers go up to %d", s.Blocks, s.Headers)
	default:
		line(w, "chain", "block %d, the best that is known", s.Blocks)
	}
	every := ""
	if v.params.Difficulty.Algorithm != consensus.DifficultyFixed {
		every = fmt.Sprintf("; one every %s is meant", cmdline.Span(time.Duration(v.params.TargetSpacing)*time.Second))
	}
	line(w, "", "of %s, %s ago%s", cmdline.Time(c, s.Time), age, every)
	kept := "all blocks are kept"
	if s.Pruned {
		kept = "old blocks are removed"
	}
	line(w, "", "%s on disk, %s", doctor.Size(s.Size), kept)
}

func showPeers(w io.Writer, s *peersStatus) {
	line(w, "peers", "%d: %d called, %d have called", s.All, s.Out, s.In)
	switch {
	case len(s.Addresses) > 0:
		line(w, "", "reached by others at %s", net.JoinHostPort(s.Addresses[0].Address, strconv.Itoa(int(s.Addresses[0].Port))))
	case len(s.Listening) == 0:
		line(w, "", "it listens for none")
	default:
		line(w, "", "it listens at %s; where others reach it is not known", s.Listening[0])
	}
}

// line writes a line of the screen.
func line(w io.Writer, title, format string, args ...any) {
	paragraph(w, fmt.Sprintf("%-8s", title), fmt.Sprintf(format, args...))
}

func orUnknown(text string) string {
	if text == "" {
		return "?"
	}
	return text
}

func process(pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" as process %d", pid)
}
