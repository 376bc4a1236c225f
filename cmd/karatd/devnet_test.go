package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/karatcoin/karat/rpc"
)

// labOf runs a lab with commands on its standard input until they are done, and returns
// what it says after the words of the coins.
func labOf(t *testing.T, commands string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"dev", "--speed", "0", "--rpc-listen", "127.0.0.1:0", "--web", "none"}, args...)...)
	cmd.Env = append(os.Environ(), asKaratd+"=1")
	cmd.Stdin = strings.NewReader(commands)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, after, ok := strings.Cut(string(out), "ends it.\n")
	if !ok {
		t.Fatalf("it says %s", out)
	}
	return after
}

// TestLabConsole: a script of commands comes to the same end each time, and with another
// seed to another.
func TestLabConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("two labs")
	}
	const script = "# a comment\nmine 8\npartition 0 / 1,2\nmine 6\nstatus\nheal\nsettle\ndance\nmine 1 9\n"
	first := labOf(t, script, "--nodes", "3", "--seed", "7", "--delay", "2s")
	for _, want := range []string{"all nodes\n", "(cut)", "can be repeated: yes", `"dance" is no command: want one of mine`, "there is no node 9: they are 0 to 2"} {
		if !strings.Contains(first, want) {
			t.Errorf("it does not say %q:\n%s", want, first)
		}
	}
	if second := labOf(t, script, "--nodes", "3", "--seed", "7", "--delay", "2s"); second != first {
		t.Errorf("the same seed came to\n%s\nand to\n%s", first, second)
	}
	if other := labOf(t, "mine 8\n", "--nodes", "2", "--seed", "8"); strings.Contains(first, lastLine(other)) {
		t.Errorf("another seed came to the same: %s", other)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestLabByRPC: clients of any of the nodes give the commands.
func TestLabByRPC(t *testing.T) {
	cmd := exec.Command(os.Args[0], "dev", "--json", "--nodes", "3", "--mining", "hand", "--speed", "0", "--rpc-listen", "127.0.0.1:0", "--web", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asKaratd+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var started labStarted
	if err := json.NewDecoder(out).Decode(&started); err != nil || len(started.Nodes) != 3 {
		t.Fatalf("it says %+v, %v", started, err)
	}
	var clients []*rpc.Client
	for _, n := range started.Nodes {
		clients = append(clients, rpc.NewCookieClient(n.RPC, n.CookieFile))
	}
	type lab struct {
		Nodes []struct{ Height uint32 }
		Links []struct{ Cut bool }
	}
	heights := func(node int, method string, params ...any) (list []uint32) {
		t.Helper()
		var is lab
		if err := clients[node].Call(t.Context(), method, &is, params...); err != nil {
			t.Fatal(err)
		}
		for _, n := range is.Nodes {
			list = append(list, n.Height)
		}
		return list
	}
	heights(0, "lab_do", "mine 2 1")
	heights(1, "lab_do", "settle")
	heights(2, "lab_do", "partition 2")
	heights(0, "lab_do", "mine 1 0")
	heights(0, "lab_do", "settle")
	if got := heights(1, "lab_info"); len(got) != 3 || got[0] != 3 || got[1] != 3 || got[2] != 2 {
		t.Errorf("the nodes are at %v", got)
	}
	var height uint32
	if err := clients[2].Call(t.Context(), "getblockcount", &height); err != nil || height != 2 {
		t.Errorf("node 2 is at %d, %v", height, err)
	}
	for _, wrong := range []string{"dance", "mine 1", "mine 1 7", "loss 99"} {
		if err := clients[0].Call(t.Context(), "lab_do", nil, wrong); err == nil {
			t.Errorf("%q was done", wrong)
		}
	}
}

// TestLabRefuses: what cannot be is said, with what to do.
func TestLabRefuses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--seed 7", "--seed is for several nodes: say how many with --nodes"},
		{"--nodes 3 --mining tx", "--mining tx is for one node"},
		{"--nodes 300", "--nodes"},
		{"--nodes 3 --loss 95", "a loss of 0.95: it may be 0 to 0.9"},
		{"--nodes 3 --delay 48h", "a delay of 48h0m0s"},
	} {
		cmd := exec.Command(os.Args[0], append([]string{"dev"}, strings.Fields(c.args)...)...)
		cmd.Env = append(os.Environ(), asKaratd+"=1")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, %s", c.args, err, out)
		}
	}
}
