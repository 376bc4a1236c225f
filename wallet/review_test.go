package wallet

import (
	"testing"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/types"
)

// TestAgesAreTold: who is asked to sign hears how old the coins have to be (BIP68).
func TestAgesAreTold(t *testing.T) {
	c := newCosigner(t, 1)
	for _, want := range []struct {
		version  uint32
		sequence uint32
		blocks   uint16
		seconds  uint32
	}{
		{2, 0xffffffff, 0, 0},
		{2, 0xfffffffd, 0, 0},
		{2, 0, 0, 0},
		{2, 144, 144, 0},
		{2, 0xffff, 0xffff, 0},
		{2, 0x10090, 144, 0}, // bits that mean nothing
		{2, 1<<22 | 169, 0, 86528},
		{2, 1<<31 | 144, 0, 0},
		{1, 144, 0, 0},
	} {
		tx := &types.Tx{Version: want.version, Inputs: []types.TxIn{{Sequence: want.sequence}}, Outputs: []types.TxOut{{Value: 1000}}}
		r, err := c.ReviewPSBT(psbt.New(tx, 2))
		must(t, err)
		if in := r.Inputs[0]; in.Blocks != want.blocks || in.Seconds != want.seconds {
			t.Errorf("version %d, sequence %#x: %d blocks, %d seconds", want.version, want.sequence, in.Blocks, in.Seconds)
		}
	}
}
