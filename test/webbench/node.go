package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/karatcoin/karat/internal/measured"
)

const user, password = "bench", "of-this-machine"

// node is a karatd that runs.
type node struct {
	web, rpc string
	process  *exec.Cmd
	ended    chan struct{}
}

func (b *bench) start(home string, args ...string) (*node, error) {
	secret := filepath.Join(b.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return nil, err
	}
	web, err := measured.FreePort()
	if err != nil {
		return nil, err
	}
	rpc, err := measured.FreePort()
	if err != nil {
		return nil, err
	}
	args = append([]string{"--network", b.genesis, "--datadir", home, "--no-discovery", "--log-level", "warn", "--web", web, "--rpc-listen", rpc, "--rpc-user", user, "--rpc-password-file", secret}, args...)
	n := &node{web: "http://" + web, rpc: "http://" + rpc, process: exec.Command(b.karatd, args...), ended: make(chan struct{})}
	n.process.Stderr = os.Stderr
	if err := n.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = n.process.Wait()
		close(n.ended)
	}()
	return n, nil
}

// stop ends the process in order.
func (n *node) stop() {
	kill := time.AfterFunc(time.Minute, func() { _ = n.process.Process.Kill() })
	defer kill.Stop()
	_ = n.process.Process.Signal(os.Interrupt)
	<-n.ended
}

func (n *node) ask(method string, result any) error {
	r, err := http.NewRequest(http.MethodPost, n.rpc, strings.NewReader(`{"id":1,"method":"`+method+`","params":[]}`))
	if err != nil {
		return err
	}
	r.SetBasicAuth(user, password)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var reply struct{ Result json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&reply); err != nil {
		return err
	}
	return json.Unmarshal(reply.Result, result)
}

func (n *node) height() (height uint32) {
	_ = n.ask("getblockcount", &height)
	return height
}

// wait waits until the node has come to a height, and some indexes with it.
func (n *node) wait(height uint32, indexes ...string) error {
	for end := time.Now().Add(30 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		select {
		case <-n.ended:
			return fmt.Errorf("the node has ended")
		default:
		}
		var states map[string]struct{ Synced bool }
		if n.height() < height || n.ask("getindexinfo", &states) != nil {
			continue
		}
		all := true
		for _, name := range indexes {
			all = all && states[name].Synced
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("the node has not come to block %d with its indexes", height)
}

// measured is what the process uses.
func (n *node) measured() measured.Process { return measured.Process(n.process.Process.Pid) }
