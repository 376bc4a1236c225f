package doctor

import (
	"fmt"
	"time"
)

const (
	mebibyte = 1 << 20
	// fullDisk is what the node does not write into, with a margin: see package store.
	fullDisk = 160 * mebibyte
	// lowDisk, beside what blocks take in a week, leaves time to do something.
	lowDisk       = 512 * mebibyte
	week          = 7 * 24 * time.Hour
	fewNodes      = 1000
	lowMemory     = 20 // of the memory a twentieth
	leastMemory   = 192 * mebibyte
	leastFiles    = 64
	usualFloor    = 100 // grains per 1000 virtual bytes
	budgetMemory  = 10  // of the memory at most nine tenths
	leastToGrowBy = 144 // blocks, of which something can be told
)

// machine looks at what is left of disk, memory and files. in is nil while no node runs.
func (d *diagnosis) machine(m *Machine, in *Inside) {
	d.disk(m, in)
	memory := m.Memory
	if memory.Total > 0 && memory.Available < leastMemory && memory.Available < memory.Total/lowMemory {
		d.add("memory-low", fmt.Sprintf("%s of %s are available; the node has %s", size(memory.Available), size(memory.Total), size(memory.Mine)))
	}
	sum, parts := uint64(0), []string{}
	for _, b := range m.Budgets {
		sum += b.Bytes
		parts = append(parts, fmt.Sprintf("%s: %s", b.Flag, size(b.Bytes)))
	}
	if memory.Total > 0 && sum > memory.Total/budgetMemory*(budgetMemory-1) {
		d.add("memory-budget", append([]string{fmt.Sprintf("up to %s of %s", size(sum), size(memory.Total))}, parts...)...)
	}
	if f := m.Files; f.Limit > 0 && f.Open > 0 && f.Open+leastFiles > f.Limit {
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
		growth = weekOf(&in.Chain)
		need += growth
	}
	switch {
	case disk.ReadOnly:
		d.add("disk-read-only", m.DataDir)
	case disk.Free < fullDisk:
		d.add("disk-full", left)
	case disk.TotalNodes > 0 && disk.FreeNodes < fewNodes:
		d.add("disk-files", fmt.Sprintf("%s: %d more of %d", m.DataDir, disk.FreeNodes, disk.TotalNodes))
	case disk.Free < need && growth > 0:
		d.add("disk-low", left, fmt.Sprintf("blocks have taken %s a week on average", size(growth)))
	case disk.Free < need:
		d.add("disk-low", left)
	}
}

// weekOf is about what the chain will grow by in a week, at its pace until now.
func weekOf(c *Chain) uint64 {
	if c.Size <= 0 || c.Spacing <= 0 || c.Tip.Height < leastToGrowBy {
		return 0
	}
	growth := uint64(float64(c.Size) / float64(c.Tip.Height) * float64(week/c.Spacing))
	if c.Pruned && c.Target > 0 {
		growth = min(growth, uint64(max(0, c.Target-c.Size)))
	}
	return growth
}
