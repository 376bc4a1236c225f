// Package machine tells what is left of the machine that a program runs on: of its memory,
// its disk, and the files that it may have open. What the system does not tell is zero.
package machine
