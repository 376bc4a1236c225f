package sim

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"
)

// The drawings have no colours of their own but names of classes, so that they can be
// read on white and on black.
const style = `<style>
text{font:12px sans-serif;fill:#222}.title{font-size:15px;font-weight:bold}.axis{stroke:#888;stroke-width:1;fill:none}.grid{stroke:#888;stroke-opacity:.25}
.link{stroke:#888;stroke-opacity:.18;stroke-width:.6;fill:none}.line{fill:none;stroke-width:2}
.c0{fill:#1a7f5a;stroke:#1a7f5a}.c1{fill:#2f6fd0;stroke:#2f6fd0}.c2{fill:#b8860b;stroke:#b8860b}.c3{fill:#c2571a;stroke:#c2571a}.evil{fill:none;stroke:#c01048;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#ddd}.c0{fill:#4cc99a;stroke:#4cc99a}.c1{fill:#7fb2ff;stroke:#7fb2ff}.c2{fill:#e6c04a;stroke:#e6c04a}.c3{fill:#ff9a5c;stroke:#ff9a5c}.evil{stroke:#ff6b93}}
</style>`

// drawing is an SVG document that is being written.
type drawing struct{ b bytes.Buffer }

func newDrawing(width, height int) *drawing {
	d := &drawing{}
	d.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">`, width, height, width, height)
	d.f("%s", style)
	return d
}

func (d *drawing) f(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

func (d *drawing) text(x, y float64, class, anchor, format string, args ...any) {
	d.f(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, fmt.Sprintf(format, args...))
}

func (d *drawing) end() []byte {
	d.f("</svg>")
	return d.b.Bytes()
}

// The room of a drawing's content.
const (
	left, top    = 50.0, 50.0
	wide, high   = 560.0, 320.0
	mapSide      = 600.0
	percentSteps = 200
)

// propagation draws which share of the nodes has a block, and a payment, after how long.
func (r *Report) propagation() []byte {
	d := newDrawing(660, 430)
	longest := max(r.Blocks.last(), r.Payments.last(), time.Second)
	scale := wide / (math.Ceil(longest.Seconds()*2) / 2)
	d.text(left, 25, "title", "start", "Nodes that have it, by time: %d nodes, %.0f%% hostile", r.Options.Nodes, 100*r.Options.Hostile)
	for percent := 0.0; percent <= 100; percent += 25 {
		y := top + high*(1-percent/100)
		d.f(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, left, y, left+wide)
		d.text(left-6, y+4, "", "end", "%.0f%%", percent)
	}
	step := 0.5
	for wide/scale/step > 12 {
		step *= 2
	}
	for s := 0.0; s*scale <= wide+0.1; s += step {
		d.f(`<path class="grid" d="M%.1f %.1fV%.1f"/>`, left+s*scale, top, top+high)
		d.text(left+s*scale, top+high+18, "", "middle", "%gs", s)
	}
	d.f(`<path class="axis" d="M%.1f %.1fV%.1fH%.1f"/>`, left, top, top+high, left+wide)
	for i, s := range []struct {
		name string
		Spread
	}{{"blocks", r.Blocks}, {"payments", r.Payments}} {
		if len(s.Took) == 0 {
			continue
		}
		d.f(`<path class="line c%d" style="fill:none" d="%s"/>`, i, s.path(scale))
		d.text(left+float64(i)*280, top+high+45, fmt.Sprint("c", i), "start", "%s: half %s, 95%% %s, all %s", s.name, show(s.At(50)), show(s.At(95)), show(s.At(100)))
	}
	return d.end()
}

// last is the longest time.
func (s Spread) last() time.Duration {
	if len(s.Took) == 0 {
		return 0
	}
	return s.Took[len(s.Took)-1]
}

// path is the line of the shares.
func (s Spread) path(scale float64) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "M%.1f %.1f", left, top+high)
	for i := range percentSteps {
		percent := 100 * float64(i+1) / percentSteps
		took := s.At(percent)
		if took == math.MaxInt64 {
			break
		}
		fmt.Fprintf(&b, "L%.1f %.1f", left+took.Seconds()*scale, top+high*(1-percent/100))
	}
	return b.String()
}

// drawMap draws where the nodes are, who called whom, and when the last block came.
func (r *Report) drawMap() []byte {
	d := newDrawing(660, 720)
	d.text(30, 25, "title", "start", "The last block: %d nodes, seed %d", r.Options.Nodes, r.Options.Seed)
	at := func(p place) (x, y float64) { return 30 + p.x*mapSide, 40 + p.y*mapSide }
	d.f(`<path class="link" d="`)
	for _, l := range r.links {
		x, y := at(l[0])
		toX, toY := at(l[1])
		d.f("M%.0f %.0fL%.0f %.0f", x, y, toX, toY)
	}
	d.f(`"/>`)
	var times []time.Duration
	for _, n := range r.dots {
		if !n.evil && n.took > 0 {
			times = append(times, n.took)
		}
	}
	slices.Sort(times)
	for _, n := range r.dots {
		x, y := at(n.place)
		if n.evil {
			d.f(`<path class="evil" d="M%.1f %.1fl8 8m0 -8l-8 8"/>`, x-4, y-4)
			continue
		}
		d.f(`<circle class="c%d" cx="%.1f" cy="%.1f" r="5"/>`, quarter(times, n.took), x, y)
	}
	for i, name := range []string{"first quarter", "second", "third", "last"} {
		x := 40 + 110*float64(i)
		d.f(`<circle class="c%d" cx="%.1f" cy="672" r="5"/>`, i, x)
		upTo := ""
		if len(times) > 0 {
			upTo = show(times[(len(times)-1)*(i+1)/4])
		}
		d.text(x+10, 676, "", "start", "%s", name)
		d.text(x+10, 692, "", "start", "to %s", upTo)
	}
	d.f(`<path class="evil" d="M496 668l8 8m0 -8l-8 8"/>`)
	d.text(512, 676, "", "start", "hostile")
	return d.end()
}

// quarter tells in which quarter of the times one is.
func quarter(times []time.Duration, took time.Duration) int {
	for i := range 3 {
		if len(times) > 0 && took <= times[(len(times)-1)*(i+1)/4] {
			return i
		}
	}
	return 3
}
