package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
)

// TestFutureTip: a tip that is more than two hours ahead of the clock is warned of, and no
// longer when the clock is right.
func TestFutureTip(t *testing.T) {
	params, err := karat.LoadNetwork(regtest)
	if err != nil {
		t.Fatal(err)
	}
	tip := time.Unix(int64(params.Genesis.Timestamp), 0)
	for ahead, want := range map[time.Duration]int{2 * time.Hour: 0, 2*time.Hour + time.Second: 1} {
		now := tip.Add(-ahead)
		n, err := Open(context.Background(), Config{DataDir: t.TempDir(), Params: params, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		got := (&control{node: n}).Warnings()
		if len(got) != want || want == 1 && !strings.Contains(got[0], "from the future") {
			t.Errorf("%s ahead: %q", ahead, got)
		}
		now = tip
		if n.lookForWarnings(); len(n.warnings.List()) != 0 {
			t.Errorf("the clock is right again: %v", n.warnings.List())
		}
		closeNode(t, n)
	}
}
