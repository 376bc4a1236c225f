package labinfo

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Command{
		"mine 3":                {Verb: Mine, N: 3, Node: Anybody},
		"  MINE 3  0 ":          {Verb: Mine, N: 3, Node: 0},
		"wait 90":               {Verb: Wait, Time: 90 * time.Second, Node: Anybody},
		"wait 1h30m":            {Verb: Wait, Time: 90 * time.Minute, Node: Anybody},
		"settle":                {Verb: Settle, Node: Anybody},
		"partition 0,1 / 2,3,4": {Verb: Partition, Groups: [][]int{{0, 1}, {2, 3, 4}}, Node: Anybody},
		"partition 0 1|2":       {Verb: Partition, Groups: [][]int{{0, 1}, {2}}, Node: Anybody},
		"partition 4":           {Verb: Partition, Groups: [][]int{{4}}, Node: Anybody},
		"heal":                  {Verb: Heal, Node: Anybody},
		"delay 500ms":           {Verb: Delay, Time: time.Second / 2, Node: Anybody},
		"delay 2s 0 4":          {Verb: Delay, Time: 2 * time.Second, Between: []int{0, 4}, Node: Anybody},
		"loss 10%":              {Verb: Loss, Share: 0.1, Node: Anybody},
		"loss 5":                {Verb: Loss, Share: 0.05, Node: Anybody},
		"speed 60":              {Verb: Speed, Rate: 60, Node: Anybody},
	} {
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "dance", "mine", "mine x", "mine -1", "mine 1 2 3", "mine 1 -2", "wait", "wait long", "wait -3s", "settle now", "partition", "partition a",
		"partition 0,0", "partition /", "heal 1", "delay", "delay 1s 2", "delay 1s a b", "delay -1s", "loss", "loss much", "loss -1", "speed", "speed NaN",
		"speed Inf", "speed -1", strings.Repeat("x", MaxCommand+1), "mine \xff",
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%.40q is read as %+v", text, got)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	for _, line := range Usage() {
		if verb, _, _ := strings.Cut(line[0], " "); !strings.Contains(verbs(), verb) {
			t.Errorf("%q is no verb", verb)
		}
	}
}
