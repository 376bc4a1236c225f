package rpc

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/karatcoin/karat/chain/indexed"
)

func indexMethods() []method {
	return []method{
		{name: "getindexinfo", read: getIndexInfo, about: "Returns the state of the indexes.", params: []param{
			{name: "index_name", kind: kindString, optional: "all", about: "Only this index"}}},
	}
}

// indexed reports whether an index is kept.
func (s *Server) indexed(name string) bool { return s.indexState(name).Name != "" }

// indexState tells how far an index is. It is empty if the index is not kept.
func (s *Server) indexState(name string) indexed.State {
	if s.Index != nil {
		states := s.Index.States()
		if i := slices.IndexFunc(states, func(state indexed.State) bool { return state.Name == name }); i >= 0 {
			return states[i]
		}
	}
	return indexed.State{}
}

// indexInfoJSON is the state of indexes, in the order in which they are given.
type indexInfoJSON []indexed.State

// MarshalJSON implements json.Marshaler. The problem of one that stands still is
// karat's.
func (states indexInfoJSON) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, state := range states {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(state.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(struct {
			Synced  bool   `json:"synced"`
			Height  uint32 `json:"best_block_height"`
			Problem string `json:"problem,omitempty"`
		}{state.Synced, state.At.Height, state.Problem})
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// getIndexInfo is Core's getindexinfo.
func getIndexInfo(s *Server, a *args) work {
	wanted := a.text(0, "")
	return func(context.Context) (any, error) {
		j := indexInfoJSON{}
		if s.Index == nil {
			return j, nil
		}
		for _, state := range s.Index.States() {
			if wanted == "" || wanted == state.Name {
				j = append(j, state)
			}
		}
		return j, nil
	}
}
