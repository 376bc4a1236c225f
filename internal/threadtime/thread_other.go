//go:build !linux

package threadtime

import "time"

// Now returns the time on the clock: what a thread has worked is not asked of this
// system. So waiting counts as work.
func Now() time.Duration { return time.Duration(time.Now().UnixNano()) }
