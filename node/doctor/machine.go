package doctor

import (
	"fmt"
	"time"
)

// What is too little. Bytes, unless said.
const (
	mebibyte = 1 << 20
	week     = 7 * 24 * time.Hour

	fullDisk  = 160 * mebibyte // free: the node leaves so much alone, with a margin (package store)
	lowDisk   = 512 * mebibyte // free beside what blocks take in a week: it leaves time to do something
	fewInodes = 1000           // of files that the file system can still hold
	fewFiles  = 64             // that the node can still open

	lowMemory      = 192 * mebibyte // available, if that is also a small share of all
	lowMemoryShare = 0.05
	budgetShare    = 0.9 // of the memory, which the node's budgets may be together

	leastToGrowBy = 144 // blocks, from which on their mean size says something
)

// machine looks at what is left of disk, memory and files. in is nil while no node runs.
func (d *diagnosis) machine(m *Machine, in *Inside) {
	d.disk(m, in)
	memory := m.Memory
	if memory.Total > 0 && memory.Available < lowMemory && float64(memory.Available) < lowMemoryShare*float64(memory.Total) {
		d.add("memory-low", fmt.Sprintf("%s of %s are available; the node has %s", size(memory.Available), size(memory.Total), size(memory.Mine)))
	}
	sum, parts := uint64(0), []string{}
	for _, b := range m.Budgets {
		sum += b.Bytes
		parts = append(parts, fmt.Sprintf("%s: %s", b.Flag, size(b.Bytes)))
	}
	if memory.Total > 0 && float64(sum) > budgetShare*float64(memory.Total) {
		d.add("memory-budget", append([]string{fmt.Sprintf("up to %s of %s", size(sum), size(memory.Total))}, parts...)...)
	}
	if f := m.Files; f.Limit > 0 && f.Open > 0 && f.Open+fewFiles > f.Limit {
		d.add("files-low", fmt.Sprintf("%d of %d are open", f.Open, f.Limit))
	}
}

func (d *diagnosis) disk(m *Machine, in *Inside) {
	disk := m.Disk
	if disk.Total == 0 {
		return
	}
	left := fmt.Sprintf("%s: %s of %s are free", m.DataDir, size(disk.Free), size(disk.Total))
	need, growth := uint64(lowDisk), uint64(0)
	if in != nil {
		growth = growthInAWeek(&in.Chain)
		need += growth
	}
	switch {
	case disk.ReadOnly:
		d.add("disk-read-only", m.DataDir)
	case disk.Free < fullDisk:
		d.add("disk-full", left)
	case disk.Inodes > 0 && disk.FreeInodes < fewInodes:
		d.add("disk-files", fmt.Sprintf("%s: %d more of %d", m.DataDir, disk.FreeInodes, disk.Inodes))
	case disk.Free < need && growth > 0:
		d.add("disk-low", left, fmt.Sprintf("blocks have taken %s a week on average", size(growth)))
	case disk.Free < need:
		d.add("disk-low", left)
	}
}

// growthInAWeek estimates by how many bytes the chain will grow in a week, at its pace until
// now. 0: that cannot be told.
func growthInAWeek(c *Chain) uint64 {
	if c.Size <= 0 || c.Spacing <= 0 || c.Tip.Height < leastToGrowBy {
		return 0
	}
	growth := uint64(float64(c.Size) / float64(c.Tip.Height) * float64(week/c.Spacing))
	if c.Pruned && c.Target > 0 {
		growth = min(growth, uint64(max(0, c.Target-c.Size)))
	}
	return growth
}
