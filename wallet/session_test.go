package wallet

import (
	"errors"
	"testing"
)

// Whoever finds second that no node is left is told why as well.
func TestNobodyIsSaidTwice(t *testing.T) {
	why := errors.New("it closed the connection")
	r := &remote{}
	s := &session{all: []*remote{r}}
	if err := s.drop(t.Context(), r, joined{ErrUnreachable, why}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.nobody(); !errors.Is(err, why) {
			t.Errorf("nobody is left: %v", err)
		}
	}
}
