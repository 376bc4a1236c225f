package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/internal/measured"
)

// node is a server that is measured.
type node struct {
	name    string
	address string
	process *exec.Cmd
	client  *http.Client
}

const user, password = "bench", "of-this-machine"

// connections that are kept alive.
const connections = 4

func start(name, address, program string, args ...string) (*node, error) {
	n := &node{name: name, address: address, process: exec.Command(program, args...)}
	n.client = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	n.process.Stderr = os.Stderr
	return n, n.process.Start()
}

// stop ends the process in order.
func (n *node) stop() {
	kill := time.AfterFunc(20*time.Second, func() { _ = n.process.Process.Kill() })
	defer kill.Stop()
	_ = n.process.Process.Signal(os.Interrupt)
	_ = n.process.Wait()
}

func request(method, params string) []byte {
	return []byte(`{"jsonrpc":"1.0","id":1,"method":"` + method + `","params":` + params + `}`)
}

// send makes a call and returns the length of the answer. Only a short answer is looked at:
// to parse long ones would take what is measured from the server.
func (n *node) send(ctx context.Context, body []byte) (size int64, short []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.SetBasicAuth(user, password)
	answer, err := n.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	var head bytes.Buffer
	if size, err = io.CopyN(&head, answer.Body, 2048); err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, answer.Body)
		size += rest
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %.200s", answer.StatusCode, head.Bytes())
	}
	return size, head.Bytes(), err
}

// ask makes a call whose answer is short.
func (n *node) ask(method, params string, result any) error {
	_, short, err := n.send(context.Background(), request(method, params))
	if err != nil {
		return err
	}
	var reply struct{ Result json.RawMessage }
	if err := json.Unmarshal(short, &reply); err != nil {
		return err
	}
	return json.Unmarshal(reply.Result, result)
}

// wait waits until the node has the whole chain, also in its index of transactions.
func (n *node) wait(height uint32) error {
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if n.process.ProcessState != nil {
			break
		}
		var at uint32
		var indexes struct {
			TxIndex struct{ Synced bool }
		}
		if n.ask("getblockcount", "[]", &at) == nil && at == height && n.ask("getindexinfo", "[]", &indexes) == nil && indexes.TxIndex.Synced {
			return nil
		}
	}
	return fmt.Errorf("%s has not come to block %d", n.name, height)
}

// measured is what the process uses.
func (n *node) measured() measured.Process { return measured.Process(n.process.Process.Pid) }

// load makes calls over the kept connections, and returns the server's processor time a
// call, and how many calls were answered a second.
func (n *node) load(bodies [][]byte) (each time.Duration, rate float64, err error) {
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, connections)
	before, began := n.measured().Processor(), time.Now()
	for range connections {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(bodies); i = int(next.Add(1)) - 1 {
				if _, _, err := n.send(context.Background(), bodies[i]); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	time.Sleep(20 * time.Millisecond) // what is behind the last answer
	used := n.measured().Processor() - before
	select {
	case err = <-failed:
	default:
	}
	return used / time.Duration(len(bodies)), float64(len(bodies)) / took.Seconds(), err
}

// measure repeats a call for about a time of the server's processor, and returns the time
// for one.
func (n *node) measure(body []byte, about time.Duration) (time.Duration, error) {
	count := 2 * connections
	for {
		each, _, err := n.load(slices.Repeat([][]byte{body}, count))
		if total := each * time.Duration(count); err != nil || total >= about || count > 1<<20 {
			return each, err
		}
		grow := 8
		if each > 0 {
			grow = min(8, 1+int(about/(each*time.Duration(count))))
		}
		count *= max(2, grow)
	}
}
