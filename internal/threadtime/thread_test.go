package threadtime

import (
	"runtime"
	"testing"
	"time"
)

// TestNow: work counts, and waiting does not where the system tells them apart.
func TestNow(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := Now()
	for sum, rounds := 0, 0; Now()-began < time.Millisecond; rounds++ {
		for i := range 10_000 {
			sum += i
		}
		if rounds > 1_000_000 {
			t.Fatal("work does not count")
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	began = Now()
	time.Sleep(50 * time.Millisecond)
	if waited := Now() - began; waited > 25*time.Millisecond {
		t.Errorf("waiting counts as %s", waited)
	}
}
