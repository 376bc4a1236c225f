package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/cmdline"
)

// TestSeedCommand: it answers for its name until it is stopped, and options of the file
// that have the names of its own are the node's.
func TestSeedCommand(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, configFile), "listen = \"192.0.2.1:53\"\nconnect = [\"192.0.2.1:1\"]\nmap-port = true\n")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, in := io.Pipe()
	done := make(chan int, 1)
	var errs strings.Builder
	go func() {
		done <- run(ctx, []string{"karatd", "--network", "dev", "--datadir", dir, "seed", "--host", "seed.example.org",
			"--nameserver", "ns.example.org", "--listen", "127.0.0.1:0"}, cmdline.Streams{In: strings.NewReader(""), Out: in, Err: &errs})
		in.Close()
	}()
	found := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := regexp.MustCompile(`dig @(\S+) -p (\d+) (\S+)`).FindStringSubmatch(lines.Text()); match != nil {
			r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(match[1], match[2]))
			}}
			list, err := r.LookupNS(ctx, match[3])
			found = fmt.Sprint(len(list), err)
			if err == nil {
				found = list[0].Host
			}
			cancel()
		}
	}
	if code := <-done; code != 0 || found != "ns.example.org." {
		t.Errorf("exit code %d, name server %q\n%s", code, found, &errs)
	}
}

func TestBadSeed(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	names := []string{"--host", "seed.example.org", "--nameserver", "ns.example.org", "--listen", "127.0.0.1:0"}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "--host NAME"},
		{[]string{"--host", "seed.example.org"}, 2, "--nameserver NAME"},
		{append(names, "--host", "a..b"), 1, `"a..b" is no name`},
		{append(names, "--connect", "nowhere"), 1, `"nowhere" is no address`},
		{append(names, "--port", "70000"), 2, "--port 70000"},
		{append(names, "--listen", taken.LocalAddr().String()), 1, "--listen"},
	} {
		code, stdout, stderr := karatdFor(t, append([]string{"--network", "dev", "--datadir", t.TempDir(), "seed"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
			t.Errorf("%v: exit code %d\n%s%s", c.args, code, stdout, stderr)
		}
	}
}
