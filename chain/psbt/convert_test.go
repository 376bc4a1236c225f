package psbt

import (
	"errors"
	"testing"
)

// TestConvert: each vector that can be read becomes the other version and back, and is of the
// same transaction.
func TestConvertVectors(t *testing.T) {
	converted := 0
	for _, v := range readVectors(t) {
		p, err := DecodeBase64(v.Base64)
		if err != nil {
			continue
		}
		before, err := p.UnsignedTx()
		if err != nil {
			if other := 2 - p.Version; p.Convert(other) == nil && other == 0 {
				t.Errorf("%s: converted without a lock time", v.Case)
			}
			continue
		}
		for _, version := range []uint32{2, 0, 2} {
			if err := p.Convert(version); err != nil {
				t.Fatalf("%s: %v", v.Case, err)
			}
			if p, err = Decode(encode(t, p)); err != nil {
				t.Fatalf("%s: version %d is not read: %v", v.Case, version, err)
			}
			after, err := p.UnsignedTx()
			if err != nil || after.TxID() != before.TxID() || p.Version != version {
				t.Errorf("%s: version %d is of another transaction, %v", v.Case, version, err)
			}
		}
		converted++
	}
	if converted < 10 {
		t.Errorf("only %d were converted", converted)
	}
	if err := (&Packet{}).Convert(1); !errors.Is(err, ErrFormat) {
		t.Errorf("version 1: %v", err)
	}
}
