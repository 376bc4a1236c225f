package peerinfo

// Budgets is what all peers together take, and what they may.
type Budgets struct {
	Memory        int64   // bytes that wait because of peers
	MaxMemory     int64   // beyond which the peer that holds most and moves least goes
	Processors    float64 // that strangers have kept busy lately for nothing
	MaxProcessors float64 // beyond which those who take more than their part wait
	Handshakes    int     // callers whose handshake is not over
	MaxHandshakes int     // beyond which one gives way
}
