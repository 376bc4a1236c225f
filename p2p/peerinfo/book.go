package peerinfo

import "net/netip"

// BookPlace is a place in one of the two tables of known addresses, and what is there.
type BookPlace struct {
	Address
	Source           netip.Addr // who told it; the zero value is a name
	Tried            bool       // a node answered there: it is in the tried table, else in the new one
	Bucket, Position int
}

// BookCount counts the addresses in both tables. One that is in several places of the
// new table is counted once.
type BookCount struct{ New, Tried int }
