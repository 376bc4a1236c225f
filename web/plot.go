package web

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// A plot is SVG that the server draws. Its colours are classes of the style sheet, so that
// it is light or dark as the page is, and what it shows is said in words beside it, for
// those who cannot see it.

const (
	plotWidth, plotHeight           = 520, 210
	plotLeft, plotRight             = 64, 10
	plotTop, plotBottom             = 12, 28
	plotInnerWidth, plotInnerHeight = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
)

// point is one of a plot. Its text is shown by who points at it.
type point struct {
	X, Y float64
	Text string
}

// plot is a line, or bars, over a number.
type plot struct {
	Label  string // what it shows, in words
	Series []series
	Bars   bool // the first series counts in bars, whose X are 0, 1, 2, …
	Log    bool // the height is a logarithm
	X, Y   func(float64) string
	Zero   bool // the height begins at zero
}

type series struct {
	Class  string // of the style sheet
	Name   string
	Points []point
	Steps  bool
}

// bounds are the least and greatest of all points.
func (p *plot) bounds() (x0, x1, y0, y1 float64) {
	x0, x1, y0, y1 = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for _, at := range s.Points {
			x0, x1 = min(x0, at.X), max(x1, at.X)
			if y := p.height(at.Y); !math.IsInf(y, 0) && !math.IsNaN(y) {
				y0, y1 = min(y0, y), max(y1, y)
			}
		}
	}
	if p.Zero && !p.Log {
		y0 = min(y0, 0)
	}
	if y1 <= y0 {
		y0, y1 = y0-math.Abs(y0)/10-0.1, y1+math.Abs(y1)/10+0.1
		if p.Zero && !p.Log {
			y0 = 0
		}
	}
	if x1 <= x0 {
		x1 = x0 + 1
	}
	if p.Bars {
		x0, x1 = 0, float64(len(p.Series[0].Points)) // up to the end of the last one
	}
	if !p.Log {
		step := p.step(y0, y1)
		y0, y1 = math.Floor(y0/step)*step, math.Ceil(y1/step)*step
	}
	return x0, x1, y0, y1
}

// step is a round number of which three to six make the height.
func (p *plot) step(y0, y1 float64) float64 {
	least := (y1 - y0) / 5
	ten := math.Pow(10, math.Floor(math.Log10(least)))
	step := 10 * ten
	for _, round := range []float64{1, 2, 4, 5} {
		if round*ten >= least*0.999 {
			step = round * ten
			break
		}
	}
	if p.Bars { // nothing is counted in halves
		step = max(step, 1)
	}
	return step
}

func (p *plot) height(y float64) float64 {
	if p.Log {
		return math.Log10(y)
	}
	return y
}

// SVG draws the plot; it is empty without points.
func (p *plot) SVG() template.HTML {
	if len(p.Series) == 0 || len(p.Series[0].Points) < 2 {
		return ""
	}
	x0, x1, y0, y1 := p.bounds()
	if math.IsInf(x0, 0) || math.IsInf(y1-y0, 0) || math.IsNaN(y1-y0) {
		return ""
	}
	at := func(pt point) (x, y float64) {
		y = p.height(pt.Y)
		if math.IsInf(y, -1) || math.IsNaN(y) {
			y = y0
		}
		x = pt.X
		if p.Bars {
			x += 0.5 // a line passes over the middles of the bars
		}
		return plotLeft + (x-x0)/(x1-x0)*plotInnerWidth, plotTop + (y1-y)/(y1-y0)*plotInnerHeight
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, html.EscapeString(p.Label))
	p.axes(&b, x0, x1, y0, y1)
	for i, s := range p.Series {
		if p.Bars && i == 0 {
			drawBars(&b, s, at)
		} else {
			drawLine(&b, s, at)
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// axes draws lines across, with what they stand for.
func (p *plot) axes(b *strings.Builder, x0, x1, y0, y1 float64) {
	const marks = 5
	lines := 4
	if !p.Log {
		lines = max(int(math.Round((y1-y0)/p.step(y0, y1))), 1)
	}
	last := ""
	for i := range lines + 1 {
		share := float64(i) / float64(lines)
		value := y0 + (y1-y0)*share
		y := plotTop + plotInnerHeight - plotInnerHeight*share
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%s" y2="%s"/>`, plotLeft, plotWidth-plotRight, num(y), num(y))
		if p.Log {
			value = math.Pow(10, value)
		}
		if text := p.Y(value); text != last {
			fmt.Fprintf(b, `<text class="mark" x="%d" y="%s" text-anchor="end">%s</text>`, plotLeft-6, num(y+4), html.EscapeString(text))
			last = text
		}
	}
	last = ""
	step := (x1 - x0) / (marks - 1)
	if p.Bars {
		step = math.Ceil(step) // they stand where bars begin
	}
	for i := range marks {
		value, anchor := x0+step*float64(i), "middle"
		switch {
		case i == 0:
			anchor = "start"
		case value > x1+step/100: // of bars there may be fewer
			continue
		case value > x1-step/100:
			anchor = "end"
		}
		if text := p.X(value); text != last {
			fmt.Fprintf(b, `<text class="mark" x="%s" y="%d" text-anchor="%s">%s</text>`,
				num(plotLeft+(value-x0)/(x1-x0)*plotInnerWidth), plotHeight-8, anchor, html.EscapeString(text))
			last = text
		}
	}
}

func drawLine(b *strings.Builder, s series, at func(point) (x, y float64)) {
	fmt.Fprintf(b, `<path class="line %s" d="`, s.Class)
	before := 0.0
	for i, pt := range s.Points {
		x, y := at(pt)
		switch {
		case i == 0:
			fmt.Fprintf(b, "M%s %s", num(x), num(y))
		case s.Steps:
			fmt.Fprintf(b, "L%s %sL%s %s", num(x), num(before), num(x), num(y))
		default:
			fmt.Fprintf(b, "L%s %s", num(x), num(y))
		}
		before = y
	}
	fmt.Fprintf(b, `"><title>%s</title></path>`, html.EscapeString(s.Name))
}

func drawBars(b *strings.Builder, s series, at func(point) (x, y float64)) {
	width := float64(plotInnerWidth) / float64(max(len(s.Points), 1))
	for i, pt := range s.Points {
		_, y := at(pt)
		fmt.Fprintf(b, `<rect class="bar %s" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`, s.Class,
			num(plotLeft+width*float64(i)+0.5), num(y), num(max(width-1, 0.5)), num(max(plotTop+plotInnerHeight-y, 0)), html.EscapeString(pt.Text))
	}
}

// num writes a coordinate.
func num(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// brief writes a number in few characters, with a prefix of its unit.
func brief(f float64) string {
	if f == 0 {
		return "0"
	}
	prefixes := []string{"", "k", "M", "G", "T", "P", "E", "Z"}
	i := 0
	for math.Abs(f) >= 999.5 && i < len(prefixes)-1 {
		f /= 1000
		i++
	}
	return strconv.FormatFloat(f, 'g', 3, 64) + prefixes[i]
}
