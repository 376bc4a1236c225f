package labinfo

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Verb is what a lab is told to do.
type Verb string

// The verbs.
const (
	Mine      Verb = "mine"      // N blocks, by whoever finds them or by Node
	Wait      Verb = "wait"      // until Time has passed
	Settle    Verb = "settle"    // until all news have arrived
	Partition Verb = "partition" // into Groups
	Heal      Verb = "heal"      // the partition
	Delay     Verb = "delay"     // of Time, of all links or of the one Between
	Loss      Verb = "loss"      // of a Share of the news
	Speed     Verb = "speed"     // of Rate seconds in one
)

// Anybody is no certain node: blocks are found by chance.
const Anybody = -1

// Command is what a lab is told to do. Its verb says which of the other fields count.
type Command struct {
	Verb    Verb
	N       int
	Node    int
	Time    time.Duration
	Groups  [][]int
	Between []int // two nodes; empty: all links
	Share   float64
	Rate    float64
}

// MaxCommand is the longest text of a command in bytes.
const MaxCommand = 1000

// usage tells how each verb is written.
var usage = []struct {
	verb        Verb
	form, about string
}{
	{Mine, "mine N [NODE]", "find N blocks, by chance or by one node"},
	{Wait, "wait TIME", "let a time such as 30s or 2h pass"},
	{Settle, "settle", "let all news arrive that are under way"},
	{Partition, "partition 0,1 / 2,3", "cut the links between groups of nodes"},
	{Heal, "heal", "mend all links"},
	{Delay, "delay TIME [A B]", "let news take so long, over all links or that of A and B"},
	{Loss, "loss PERCENT", "lose that share of the news, which are sent again"},
	{Speed, "speed RATE", "let RATE seconds pass in each; 0: on command only"},
}

// Usage returns how commands are written and what they do, a line each.
func Usage() (lines [][2]string) {
	for _, u := range usage {
		lines = append(lines, [2]string{u.form, u.about})
	}
	return lines
}

// Parse reads a command as a person writes it, such as "partition 0,1 / 2,3,4". Its
// errors say how it should be written.
func Parse(text string) (Command, error) {
	if len(text) > MaxCommand || !utf8.ValidString(text) {
		return Command{}, fmt.Errorf("a command is a text of at most %d bytes", MaxCommand)
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return Command{}, fmt.Errorf("there is no command: want one of %s", verbs())
	}
	c := Command{Verb: Verb(strings.ToLower(words[0])), Node: Anybody}
	for _, u := range usage {
		if u.verb == c.Verb {
			if !c.read(words[1:]) {
				return Command{}, fmt.Errorf("%s: want %s", c.Verb, u.form)
			}
			return c, nil
		}
	}
	return Command{}, fmt.Errorf("%.20q is no command: want one of %s", words[0], verbs())
}

func verbs() string {
	var list []string
	for _, u := range usage {
		list = append(list, string(u.verb))
	}
	return strings.Join(list, ", ")
}

// read reads what stands after the verb.
func (c *Command) read(words []string) (ok bool) {
	one := len(words) == 1
	switch c.Verb {
	case Mine:
		if len(words) == 2 {
			c.Node, ok = number(words[1])
			if !ok {
				return false
			}
			words = words[:1]
		}
		if len(words) == 1 {
			c.N, ok = number(words[0])
		}
		return ok
	case Wait:
		return one && c.readTime(words[0])
	case Settle, Heal:
		return len(words) == 0
	case Partition:
		return c.readGroups(strings.Join(words, " "))
	case Delay:
		if len(words) == 3 {
			a, isA := number(words[1])
			b, isB := number(words[2])
			if c.Between = []int{a, b}; !isA || !isB {
				return false
			}
			words = words[:1]
		}
		return len(words) == 1 && c.readTime(words[0])
	case Loss:
		if one {
			c.Share, ok = float(strings.TrimSuffix(words[0], "%"))
			c.Share /= 100
		}
		return ok
	default: // Speed
		if one {
			c.Rate, ok = float(words[0])
		}
		return ok
	}
}

// number reads a number of a node or of blocks.
func number(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

func float(text string) (f float64, ok bool) {
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && f >= 0 && !math.IsInf(f, 0)
}

// readTime reads a time. A bare number is seconds.
func (c *Command) readTime(text string) (ok bool) {
	if _, isNumber := float(text); isNumber {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	c.Time = d
	return err == nil && d >= 0
}

// readGroups reads numbers with commas or spaces between them, and strokes between groups.
func (c *Command) readGroups(text string) (ok bool) {
	for _, group := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == '|' }) {
		var numbers []int
		for _, word := range strings.FieldsFunc(group, func(r rune) bool { return r == ',' || r == ' ' }) {
			n, ok := number(word)
			if !ok || slices.Contains(numbers, n) {
				return false
			}
			numbers = append(numbers, n)
		}
		c.Groups = append(c.Groups, numbers)
	}
	return len(c.Groups) > 0
}
