package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// dayFlag is how long a day of TestDevDay is, in the chain's time: `make dev-day` makes it
// whole.
var dayFlag = flag.Duration("day", 10*time.Minute, "how much of a day at a block a second TestDevDay goes through")

// usage is what a process holds.
type usage struct {
	resident, log, disk int64 // bytes
	files               int
}

// counted counts what is written.
type counted struct{ n atomic.Int64 }

func (c *counted) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func usageOf(t *testing.T, d *daemon, dir string) (u usage) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kibi, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			u.resident = kibi << 10
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(files)
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() { // files come and go
			u.disk += info.Size()
		}
		return nil
	})
	return u
}

// TestDevDay goes through a day at a block a second as fast as blocks can be made: payments,
// pages, snapshots that are gone back to, reorganisations. What the process holds at the end
// is what it held early on, but for the headers of the blocks, which every node keeps.
func TestDevDay(t *testing.T) {
	if testing.Short() {
		t.Skip("goes through ten minutes of blocks")
	}
	log := &counted{}
	d, started := startDevLogging(t, log, "--mining", "hand")
	const step = 5 * time.Minute
	began, early := time.Now(), usage{}
	most := usage{}
	blocks := 0
	for at := time.Duration(0); at < *dayFlag; at += step {
		for range 5 { // minutes
			call[any](d, "dev_send", blocks%9, started.Accounts[(blocks+1)%9].Address, 1)
			call[any](d, "dev_mine", 60, 1)
			blocks += 60
		}
		id := call[int](d, "dev_snapshot")
		call[any](d, "dev_setbalance", started.Accounts[3].Address, 100+blocks%7)
		call[any](d, "dev_reorg", 6)
		call[any](d, "dev_revert", id)
		for _, page := range []string{"", "mempool", "block/" + strconv.Itoa(blocks), "address/" + started.Accounts[0].Address, "api/blocks"} {
			answer, err := http.Get(started.Web + page)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Fatalf("/%s: %s", page, answer.Status)
			}
		}
		u := usageOf(t, d, started.DataDir)
		u.log = log.n.Load()
		if at >= *dayFlag/4 && early == (usage{}) {
			early = u
		}
		most.resident, most.files = max(most.resident, u.resident), max(most.files, u.files)
		if at%time.Hour == 0 {
			t.Logf("%6s: %6d blocks, %4d MB of memory, %3d files, %4d MB on disk, %6d KB of log, %s", at, blocks, u.resident>>20, u.files, u.disk>>20, u.log>>10, time.Since(began).Round(time.Second))
		}
	}
	end := usageOf(t, d, started.DataDir)
	end.log = log.n.Load()
	t.Logf("%6s: %6d blocks, %4d MB of memory (most %d), %3d files (most %d), %4d MB on disk, %6d KB of log, %s", *dayFlag, blocks, end.resident>>20, most.resident>>20, end.files, most.files, end.disk>>20, end.log>>10, time.Since(began).Round(time.Second))
	if height := call[int](d, "getblockcount"); height != blocks {
		t.Errorf("height %d after %d blocks", height, blocks)
	}
	// A header in the tree takes 400 bytes, with its place in the maps.
	const perBlock, slack = 600, 48 << 20
	if grown := end.resident - early.resident; grown > slack+perBlock*int64(blocks) {
		t.Errorf("memory grew by %d MB after the first quarter", grown>>20)
	}
	if end.files > early.files+16 {
		t.Errorf("%d files are open, %d after the first quarter", end.files, early.files)
	}
	if perHour := end.log / int64(max(1, dayFlag.Hours())); perHour > 1<<20 {
		t.Errorf("%d KB of log in an hour", perHour>>10)
	}
	endDev(d)
}
