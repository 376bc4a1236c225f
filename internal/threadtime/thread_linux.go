package threadtime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time for which the thread of the goroutine that calls has worked since
// it began. The goroutine must be locked to its thread (runtime.LockOSThread).
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0 // which no kernel answers
	}
	return time.Duration(t.Nano())
}
