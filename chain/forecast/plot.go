package forecast

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"time"
)

// The drawing has no colours of its own but names of classes, so that it can be read on white
// and on black.
const plotStyle = `<style>text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}.g{stroke:#888;stroke-opacity:.3}
.l{fill:none;stroke-width:1.5}.c0{stroke:#1a7f5a}.c1{stroke:#c2571a}@media (prefers-color-scheme:dark){text{fill:#ddd}.c0{stroke:#4cc99a}.c1{stroke:#ff9a5c}}</style>`

// Plot draws, for each course, how long blocks took by the network's rule and by another, as
// an SVG document. The two lists are of the same courses.
func Plot(spacing time.Duration, own, other []Report) []byte {
	const width, left, wide, high, each = 720, 70.0, 620.0, 110.0, 170
	var b bytes.Buffer
	f := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">`, width, each*len(own)+30, width, each*len(own)+30)
	f("%s", plotStyle)
	for i := range own {
		top := float64(i*each) + 30
		last := time.Second
		for _, r := range []Report{own[i], other[i]} {
			if n := len(r.Points); n > 0 {
				last = max(last, r.Points[n-1].At)
			}
		}
		f(`<text class="t" x="%.0f" y="%.0f">%s: %d blocks, %d due (by 2016: %d)</text>`, left, top-10, html.EscapeString(own[i].Course), own[i].Blocks, own[i].Due, other[i].Blocks)
		for power := -3; power <= 3; power++ { // times the target spacing
			y := top + high/2 - float64(power)*high/6
			f(`<path class="g" d="M%.0f %.1fH%.0f"/>`, left, y, left+wide)
			f(`<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`, left-6, y+4, short(time.Duration(math.Pow(10, float64(power))*float64(spacing))))
		}
		for k, r := range []Report{own[i], other[i]} {
			line := ""
			for j, p := range r.Points {
				off := min(max(math.Log10(float64(max(p.Spacing, 1))/float64(spacing)), -3), 3)
				line += fmt.Sprintf("%c%.1f %.1f", "ML"[min(j, 1)], left+wide*float64(p.At)/float64(last), top+high/2-off*high/6)
			}
			f(`<path class="l c%d" d="%s"/>`, k, line)
		}
		f(`<text x="%.0f" y="%.0f" text-anchor="end">%s</text>`, left+wide, top+high+14, short(last))
	}
	f(`<path class="l c0" d="M70 %d h30"/><text x="106" y="%d">this network's rule</text><path class="l c1" d="M260 %d h30"/><text x="296" y="%d">Bitcoin's 2016 blocks</text>`,
		each*len(own)+14, each*len(own)+18, each*len(own)+14, each*len(own)+18)
	f("</svg>")
	return b.Bytes()
}

// short writes a duration with one unit.
func short(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if d >= unit.size {
			return fmt.Sprintf("%.3g %s", float64(d)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%.2g s", d.Seconds())
}
