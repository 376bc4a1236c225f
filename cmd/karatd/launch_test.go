package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/internal/stratumtest"
)

// guide is a document whose sh blocks are commands, and whose other blocks are what they show.
type guide struct {
	commands []command
	shown    []string // lines
}

type command struct {
	line  string
	alone bool // in a terminal of its own
}

func readGuide(t *testing.T, name string) (g guide) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", name))
	if err != nil {
		t.Fatal(err)
	}
	in, alone := "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			if in, alone = map[bool]string{true: line}[in == ""], false; in == "```" {
				in = "output"
			}
		case in == "```sh" && line == "# in a terminal of its own":
			alone = true
		case in == "```sh":
			g.commands = append(g.commands, command{line, alone})
		case in == "output" && line != "...":
			g.shown = append(g.shown, line)
		}
	}
	return g
}

// people runs guides as their readers do, in one folder, with the real programs.
type people struct {
	t       *testing.T
	dir     string
	env     []string
	ports   *strings.Replacer
	screen  said
	running []*exec.Cmd
}

// newPeople finds free ports for those of the guides, and puts both programs on the path.
func newPeople(t *testing.T, ports ...string) *people {
	t.Helper()
	p := &people{t: t, dir: t.TempDir()}
	var pairs []string
	for _, port := range ports {
		pairs = append(pairs, "127.0.0.1:"+port, freeport.At(t, loopback))
	}
	p.ports = strings.NewReplacer(pairs...)
	bin := mustMkdir(t, p.dir, "bin")
	writeFile(t, filepath.Join(bin, "karatd"), "#!/bin/sh\n"+asKaratd+"=1 exec "+shellWord(os.Args[0])+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(bin, "karatd"), 0o700); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "karat"), "../karat")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The first node has the network's own ports, which another on this machine may have.
	p.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+p.dir,
		"KARAT_LISTEN="+p.ports.Replace("127.0.0.1:19655"), "KARAT_RPC_LISTEN="+p.ports.Replace("127.0.0.1:19654"))
	t.Cleanup(func() {
		for _, cmd := range p.running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return p
}

func (p *people) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

// run runs a command of a guide. One in a terminal of its own goes on; it has started when it
// says how to end it. One that asks for what takes a while is asked again.
func (p *people) run(c command, enough func(string) bool) (out string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*patience)
	defer cancel()
	line := p.ports.Replace(c.line)
	if c.alone {
		cmd := p.shell(p.t.Context(), "exec "+line)
		var own said
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&own, &p.screen), &own
		if err := cmd.Start(); err != nil {
			p.t.Fatal(err)
		}
		p.running = append(p.running, cmd)
		for !strings.Contains(own.String(), "Stop with Ctrl-C.") {
			if err := ctx.Err(); err != nil {
				p.t.Fatalf("%s: %v: %s", c.line, err, own.String())
			}
			if err := cmd.Process.Signal(syscall.Signal(0)); errors.Is(err, os.ErrProcessDone) {
				p.t.Fatalf("%s ended: %s", c.line, own.String())
			}
			time.Sleep(20 * time.Millisecond)
		}
		return own.String()
	}
	for {
		text, err := p.shell(ctx, line).CombinedOutput()
		if err != nil {
			p.t.Fatalf("%s: %v: %s", c.line, err, text)
		}
		if enough == nil || enough(string(text)) {
			_, _ = p.screen.Write(text)
			return string(text)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// The differences between two screens: what is found by chance, measured, or chosen by the test.
var (
	plainHash    = regexp.MustCompile(`[0-9a-f]{64}`)
	plainAddress = regexp.MustCompile(`myco1p[0-9a-z]+`)
	plainRate    = regexp.MustCompile(`^[0-9.e+]+ [kMG]?H/s (here|at launch): at bits [0-9a-f]{8}`)
	plainTime    = regexp.MustCompile(`found in [0-9.hmµs]+$`)
	plainPort    = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
)

func plain(line string) string {
	line = plainAddress.ReplaceAllString(plainHash.ReplaceAllString(line, "HASH"), "ADDRESS")
	line = plainTime.ReplaceAllString(plainRate.ReplaceAllString(line, "RATE"), "found")
	return strings.TrimRight(plainPort.ReplaceAllString(line, "HERE"), " ")
}

// compare checks that everything that a guide shows came out.
func (p *people) compare(g guide) {
	p.t.Helper()
	var got []string
	for line := range strings.Lines(p.screen.String()) {
		got = append(got, plain(strings.TrimSuffix(line, "\n")))
	}
	if len(g.shown) == 0 {
		p.t.Error("the guide shows nothing")
	}
	for _, line := range g.shown {
		if !slices.Contains(got, plain(line)) {
			p.t.Errorf("the guide shows what did not come: %s", line)
		}
	}
	if p.t.Failed() {
		p.t.Logf("what came:\n%s", p.screen.String())
	}
}

// TestLaunchGuide: from nothing to three nodes with pages, a faucet, a door for miners and two
// wallets with coins, by the six commands of the guide; then what the guide to mining says. With
// KARAT_LAUNCH the commands are the guide's to the letter; else the network is made for less hash
// rate, so that its genesis block and its first blocks come at once.
func TestLaunchGuide(t *testing.T) {
	whole := os.Getenv("KARAT_LAUNCH") != ""
	if testing.Short() && !whole {
		t.Skip("it takes some time")
	}
	p := newPeople(t, "19655", "19654", "19580", "3333", "29655", "29654", "39655", "39654")
	g := readGuide(t, "launch.md")
	if len(g.commands) < 6 || !strings.Contains(g.commands[5].line, " create ") {
		t.Fatalf("the six commands are not there: %v", g.commands)
	}
	start := time.Now()
	for i, c := range g.commands {
		if i == 0 && !whole {
			c.line += " --hashrate 200kH/s"
		}
		var enough func(string) bool
		if strings.HasSuffix(c.line, " balance") {
			enough = func(out string) bool { return strings.Contains(out, "confirmed  1.00000000") }
		}
		if strings.HasSuffix(c.line, " getconnectioncount") {
			enough = func(out string) bool { return out == "2\n" }
		}
		p.run(c, enough)
		if i == 5 {
			t.Logf("six commands took %s", time.Since(start).Round(time.Second))
		}
		if i == 7 {
			t.Logf("both wallets had coins in a block after %s", time.Since(start).Round(time.Second))
		}
	}
	p.compare(g)
	p.lookAtPages()
	p.mineByStratum(!whole)

	g = readGuide(t, "mine.md")
	p.screen = said{}
	for _, c := range g.commands {
		var enough func(string) bool
		if strings.HasSuffix(c.line, " balance") {
			enough = func(out string) bool { return !strings.Contains(out, "immature  0.00000000") }
		}
		p.run(c, enough)
		if strings.HasSuffix(c.line, " stop") {
			two := p.running[1]
			if err := two.Wait(); err != nil {
				t.Errorf("the node of two ended with %v", err)
			}
			p.running = slices.Delete(p.running, 1, 2)
		}
	}
	p.compare(g)
	for _, cmd := range p.running {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v ended with %v", cmd.Args, err)
		}
	}
	p.running = nil
}

// lookAtPages looks at the explorer, the faucet, and how others join.
func (p *people) lookAtPages() {
	p.t.Helper()
	at := "http://" + p.ports.Replace("127.0.0.1:19580")
	for path, want := range map[string]string{"/": "mycoin", "/faucet": "Give me", "/about": "karatd network join " + at, "/network.json": "karat_network"} {
		answer, err := http.Get(at + path)
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			p.t.Errorf("%s: %s, %v, no %q", path, answer.Status, err, want)
		}
	}
}

// mineByStratum connects as a miner does, and is given work. If the network is easy, it mines a
// block.
func (p *people) mineByStratum(easy bool) {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.ports.Replace("127.0.0.1:3333"))
	if err != nil {
		p.t.Fatal(err)
	}
	c := stratumtest.New(conn)
	defer c.Close()
	address := strings.TrimSpace(p.run(command{line: "karat --datadir two address"}, nil))
	if err := c.Start(address + ".rig"); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if _, err := c.Job(ctx); err != nil {
		p.t.Fatal(err)
	}
	for n := uint32(0); easy; n++ {
		job, _ := c.Current()
		share, ok := job.Search(n, 0, 50_000)
		if !ok {
			continue
		}
		err := c.Submit(share)
		if err == nil {
			return
		}
		var refused *stratumtest.Refusal
		if !errors.As(err, &refused) || ctx.Err() != nil { // a stale one is refused
			p.t.Fatal(err)
		}
	}
}
