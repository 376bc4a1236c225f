package web

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// maxTiles is how many transactions a picture shows one by one. The rest is one tile.
const maxTiles = 500

// tile is a transaction in a picture: as large as its weight, as bright as its feerate.
type tile struct {
	Weight int
	Rate   types.FeeRate
	Path   string // of its page; empty: none
	Text   string
}

// rateClass is one of nine colours, from what pays nothing to what pays most.
func rateClass(r types.FeeRate) int {
	if r <= 0 {
		return 0
	}
	return min(max(1+int(math.Floor(2*math.Log10(float64(r)/1000)+1)), 1), 8)
}

// treemap draws tiles that fill a square together, those of the best feerates first.
func treemap(label string, tiles []tile) template.HTML {
	if len(tiles) == 0 {
		return ""
	}
	const side = 360.0
	tiles = slices.Clone(tiles)
	slices.SortStableFunc(tiles, func(a, b tile) int { return b.Weight - a.Weight })
	total := 0
	for i := range tiles {
		total += tiles[i].Weight
	}
	if len(tiles) > maxTiles {
		rest := tile{Text: fmt.Sprintf("%d smaller transactions", len(tiles)-maxTiles)}
		for _, t := range tiles[maxTiles:] {
			rest.Weight += t.Weight
		}
		tiles = append(tiles[:maxTiles], rest)
	}
	slices.SortStableFunc(tiles, func(a, b tile) int { return int(b.Rate - a.Rate) })
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="treemap" viewBox="0 0 %d %d" role="group" aria-label="%s">`, int(side), int(side), html.EscapeString(label))
	split(&b, tiles, float64(total), 0, 0, side, side)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// split divides a rectangle among tiles: in halves of about equal weight, along its
// longer side.
func split(b *strings.Builder, tiles []tile, total, x, y, w, h float64) {
	if len(tiles) == 1 {
		drawTile(b, &tiles[0], x, y, w, h)
		return
	}
	n, sum := 0, 0.0
	for n < len(tiles)-1 && (n == 0 || sum+float64(tiles[n].Weight)/2 <= total/2) {
		sum += float64(tiles[n].Weight)
		n++
	}
	share := sum / total
	if w >= h {
		split(b, tiles[:n], sum, x, y, w*share, h)
		split(b, tiles[n:], total-sum, x+w*share, y, w*(1-share), h)
		return
	}
	split(b, tiles[:n], sum, x, y, w, h*share)
	split(b, tiles[n:], total-sum, x, y+h*share, w, h*(1-share))
}

func drawTile(b *strings.Builder, t *tile, x, y, w, h float64) {
	if t.Path != "" {
		fmt.Fprintf(b, `<a href="%s" tabindex="-1" aria-label="%s">`, html.EscapeString(t.Path), html.EscapeString(t.Text))
	}
	fmt.Fprintf(b, `<rect class="r%d" x="%.2f" y="%.2f" width="%.2f" height="%.2f"><title>%s</title></rect>`,
		rateClass(t.Rate), x, y, w, h, html.EscapeString(t.Text))
	if t.Path != "" {
		b.WriteString(`</a>`)
	}
}
