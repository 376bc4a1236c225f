package descriptor

import "testing"

// TestLocks: the locks that a transaction has to meet, wherever they stand in the script.
func TestLocks(t *testing.T) {
	a, b := "pk("+keyA+")", "pk("+keyB+")"
	for text, want := range map[string]Locks{
		a:                             {},
		"and_v(v:" + a + ",older(9))": {Older: 9},
		"or_i(and_v(v:" + a + ",older(9)),and_v(v:" + b + ",older(12)))":         {Older: 12},
		"and_v(v:" + a + ",and_v(v:after(7),older(4194310)))":                    {Older: 4194310, After: 7},
		"or_d(" + a + ",and_v(v:" + b + ",after(1800000000)))":                   {After: 1800000000},
		"or_i(and_v(v:" + a + ",older(9)),and_v(v:" + b + ",older(4194310)))":    {Older: 1}, // of both kinds
		"or_i(and_v(v:" + a + ",after(9)),and_v(v:" + b + ",after(1800000000)))": {After: 1},
	} {
		m := leafOf(t, text)
		if got, ok := m.Locks(); ok && got != want || !ok && want.Older+want.After != 1 {
			t.Errorf("%s: %+v, %t", text, got, ok)
		}
	}
}
