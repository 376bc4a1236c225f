// Package threadtime tells how long a thread has worked. Time in which it waited, for a
// lock, for the network or for its turn on a busy machine, does not count: so it is known
// what a piece of work has cost.
//
//	runtime.LockOSThread()
//	defer runtime.UnlockOSThread()
//	began := threadtime.Now()
//	work()
//	cost := threadtime.Now() - began
package threadtime
