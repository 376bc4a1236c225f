package psbt

import (
	"bytes"
	"reflect"
	"testing"
)

// encode returns the encoding of a packet, nil if it has none.
func encode(t *testing.T, p *Packet) []byte {
	t.Helper()
	raw, err := p.AppendTo(nil)
	if err != nil {
		return nil
	}
	return raw
}

// checkPacket holds what is true of every packet that was read: what it is written as is
// read as the same and written so again.
func checkPacket(t *testing.T, p *Packet) {
	t.Helper()
	raw := encode(t, p)
	again, err := Decode(raw)
	if err != nil {
		t.Fatalf("what was written is not read: %v", err)
	}
	if !bytes.Equal(encode(t, again), raw) {
		t.Fatal("the second encoding differs from the first")
	}
	third, err := Decode(encode(t, again))
	if err != nil || !reflect.DeepEqual(again, third) {
		t.Fatalf("equal bytes are not read as equal packets: %v", err)
	}
}
