package cmdline

import (
	"strings"

	"github.com/karatcoin/karat/internal/spelling"
)

// nearest returns the name that a word probably means, or nothing if none is near. A
// third of the letters may be wrong, and the beginning of a name is near as well. A
// name that is further away would be a guess, and send people the wrong way.
func nearest(word string, names []string) string {
	best, least := "", (len(word)+2)/3+1
	for _, name := range names {
		d := spelling.Distance(word, name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 1
		}
		if len(name) > 1 && d < least {
			best, least = name, d
		}
	}
	return best
}
