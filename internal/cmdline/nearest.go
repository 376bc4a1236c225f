package cmdline

import "strings"

// nearest returns the name that a word probably means, or nothing if none is near. A
// third of the letters may be wrong, and the beginning of a name is near as well. A
// name that is further away would be a guess, and send people the wrong way.
func nearest(word string, names []string) string {
	best, least := "", (len(word)+2)/3+1
	for _, name := range names {
		d := distance(word, name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 1
		}
		if len(name) > 1 && d < least {
			best, least = name, d
		}
	}
	return best
}

// distance returns how many letters have to be added, removed, replaced or swapped
// with their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
