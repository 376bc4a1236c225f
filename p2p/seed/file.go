package seed

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"time"

	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/p2p/wire"
)

// maxFile is more than a table with maxNodes takes.
const maxFile = 32 << 20

// load reads a table, as far as the file holds one. Only nodes that answered are in it.
func (t *table) load(path string, now time.Time) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return err
	}
	var list []*node
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range list {
		if n == nil || !n.sound(now) {
			continue
		}
		n.At = netip.AddrPortFrom(n.At.Addr().Unmap(), n.At.Port())
		if t.wanted(n.At) && t.nodes[n.At] == nil {
			n.next = now
			t.insert(n)
		}
	}
	return nil
}

// sound reports whether a node of the file can be one: the file may be damaged, and what
// follows from its figures must not be.
func (n *node) sound(now time.Time) bool {
	for _, s := range n.Scores {
		if !(s.Reliability >= 0 && s.Reliability <= 1 && s.Weight >= 0 && s.Weight <= 1 && s.Count >= 0 && s.Count < math.MaxInt32) {
			return false
		}
	}
	return n.Answers > 0 && n.Answers <= n.Visits && n.Visits < math.MaxInt32 && n.Failures >= 0 && n.Failures <= n.Visits && len(n.Agent) <= wire.MaxUserAgent &&
		n.Answered >= 0 && n.Answered <= n.Visited && n.Visited <= now.Unix()
}

// save writes the nodes that answered, whole or not at all.
func (t *table) save(path string) error {
	t.mu.Lock()
	list := []node{}
	for _, n := range t.nodes {
		if n.Answers > 0 {
			list = append(list, *n)
		}
	}
	t.mu.Unlock()
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(path, append(data, '\n'))
}
