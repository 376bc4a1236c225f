package web

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// maxRibbons is how many coins on a side of a picture are drawn one by one.
const maxRibbons = 14

// ribbon is a coin that comes from somewhere or goes there.
type ribbon struct {
	Value types.Amount
	Class string
	Path  string // of the page where it comes from or goes to; empty: none
	Text  string
}

// flow draws where the coins of a transaction come from and go to. Both sides are as
// high as their money.
func flow(label string, in, out []ribbon) template.HTML {
	const width, height, trunk, gap = 720.0, 240.0, 110.0, 6.0
	sum := func(list []ribbon) (total float64) {
		for _, r := range list {
			total += float64(r.Value)
		}
		return total
	}
	total := max(sum(in), sum(out))
	if total <= 0 || len(in) == 0 || len(out) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="flow" viewBox="0 0 %d %d" role="group" aria-label="%s">`, int(width), int(height), html.EscapeString(label))
	side := func(list []ribbon, outer, inner float64) {
		list = foldRibbons(list)
		thick := func(r ribbon) float64 { return max(float64(r.Value)/total*trunk, 0.8) }
		all := 0.0
		for _, r := range list {
			all += thick(r)
		}
		space := min((height-2*gap-all)/float64(max(len(list)-1, 1)), 40)
		y := (height - all - space*float64(len(list)-1)) / 2
		at := (height - all) / 2
		middle := (outer + inner) / 2
		for _, r := range list {
			t := thick(r)
			if r.Path != "" {
				fmt.Fprintf(&b, `<a href="%s" aria-label="%s">`, html.EscapeString(r.Path), html.EscapeString(r.Text))
			}
			fmt.Fprintf(&b, `<path class="ribbon %s" d="M%s %sC%s %s %s %s %s %sL%s %sC%s %s %s %s %s %sZ"><title>%s</title></path>`, r.Class,
				num(outer), num(y), num(middle), num(y), num(middle), num(at), num(inner), num(at),
				num(inner), num(at+t), num(middle), num(at+t), num(middle), num(y+t), num(outer), num(y+t), html.EscapeString(r.Text))
			if r.Path != "" {
				b.WriteString(`</a>`)
			}
			y += t + space
			at += t
		}
	}
	side(in, 0, width/2)
	side(out, width, width/2)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// foldRibbons makes one of all that are too many. The last is kept, which is the fee where there is one.
func foldRibbons(list []ribbon) []ribbon {
	if len(list) <= maxRibbons {
		return list
	}
	last := list[len(list)-1]
	rest := ribbon{Class: "rest", Text: fmt.Sprintf("%d more", len(list)-maxRibbons)}
	for _, r := range list[maxRibbons-1 : len(list)-1] {
		rest.Value += r.Value
	}
	return append(append(append([]ribbon(nil), list[:maxRibbons-1]...), rest), last)
}
