package header

import "testing"

func TestHas(t *testing.T) {
	if s := StatusBody | StatusValid; !s.Has(StatusBody) || s.Has(StatusBody|StatusUndo) || !s.Has(0) {
		t.Error("Has is wrong")
	}
}

// The flags are on the disks of all nodes, so they are typed again here.
func TestStoredFlags(t *testing.T) {
	for flag, want := range map[Status]uint8{
		StatusBody: 1, StatusUndo: 2, StatusValid: 4, StatusInvalid: 8, StatusInvalidAncestor: 16,
	} {
		if uint8(flag) != want {
			t.Errorf("a flag is stored as %d, was always %d", flag, want)
		}
	}
}
