package peerinfo

import "time"

// UploadTarget is how many bytes a node means to send its peers in a time, and how far it
// is. The idea is Bitcoin Core's -maxuploadtarget. Without a target the bytes and times
// that are left are 0, as Core tells it.
type UploadTarget struct {
	Timeframe     time.Duration
	Target        uint64 // bytes; 0: none
	Reached       bool
	ServesHistory bool          // old blocks are sent still
	BytesLeft     uint64        // until it is reached
	TimeLeft      time.Duration // until it counts anew
}
