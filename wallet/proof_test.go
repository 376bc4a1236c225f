package wallet

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// TestHeadersOfProof: a proof takes along all headers of a short chain, and some of a long
// one, unless all are asked for. Depth counts blocks and their work.
func TestHeadersOfProof(t *testing.T) {
	p := networkFile(t, "dev.json")
	dir := t.TempDir()
	f, err := createFile(filepath.Join(dir, FileName), p, contentsOf(abandon), "", defaultKDF(""))
	must(t, err)
	w, err := Open(dir, f, p, nil)
	must(t, err)
	defer w.Close()
	state := p.GenesisState()
	indexes := []types.Index{state.Index}
	grow := func(end uint32) {
		s := w.db.begin()
		for state.Index.Height < end {
			h := types.Header{Version: 4, PrevBlock: state.Index.Hash, Bits: state.Header.Bits, Timestamp: state.Header.Timestamp + 1}
			state = state.Extend(&h, h.Hash())
			s.putHeader(state.Index.Height, &h, state.Work)
			indexes = append(indexes, state.Index)
		}
		must(t, s.write())
		w.tip = state.Index
	}
	for _, c := range []struct {
		tip, height uint32
		whole       bool
		from, to    uint32
	}{
		{1, 1, false, 1, 1}, {wholeProof, 7, false, 1, wholeProof}, {wholeProof + 1, 7, false, 8, 7 + headersOfProof},
		{wholeProof + 1, wholeProof - 1, false, wholeProof, wholeProof + 1}, {wholeProof + 1, wholeProof + 1, false, wholeProof + 2, wholeProof + 1},
		{wholeProof + 1, 7, true, 1, wholeProof + 1},
	} {
		grow(c.tip)
		from, headers, err := w.headersFor(c.height, c.whole)
		must(t, err)
		if from != c.from || from+uint32(len(headers)) != c.to+1 || len(headers) > 0 && headers[len(headers)-1].Hash() != indexes[c.to].Hash {
			t.Errorf("%+v: %d headers from %d", c, len(headers), from)
		}
	}

	var ten consensus.Uint256
	for range 10 {
		ten = ten.Add(consensus.BlockWork(state.Header.Bits))
	}
	if n, work, err := w.Depth(indexes[state.Index.Height-9]); n != 10 || work != ten || err != nil {
		t.Errorf("%d, %v, %v", n, work, err)
	}
	if n, work, err := w.Depth(indexes[0]); n != state.Index.Height+1 || work != state.Work || err != nil {
		t.Errorf("of the genesis block: %d, %v, %v", n, work, err)
	}
	if _, _, err := w.Depth(types.Index{Height: 7, Hash: indexes[8].Hash}); !errors.Is(err, ErrUndone) {
		t.Errorf("of another block: %v", err)
	}
	if _, _, err := w.Depth(types.Index{Height: state.Index.Height + 1}); !errors.Is(err, ErrAhead) {
		t.Errorf("of a block above: %v", err)
	}
}
