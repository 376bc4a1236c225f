package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// bare answers what reads of parameters look at: a chain of the genesis block alone.
// All else panics, so that work which is done with a wrong parameter shows.
type bare struct{ Headers }

func (bare) Tip() types.Index                 { return types.Index{} }
func (bare) TipState() consensus.State        { return consensus.State{} }
func (bare) BestHeader() types.Index          { return types.Index{} }
func (bare) HashAt(uint32) (types.Hash, bool) { return types.Hash{}, false }
func (bare) Info(hash types.Hash) (header.Info, bool) {
	return header.Info{Record: header.Record{Hash: hash}, OnBestChain: true}, hash.IsZero()
}

// bareControl is a node that prunes nothing, at the beginning of time.
type bareControl struct{ Control }

func (bareControl) Now() time.Time                { return time.Unix(0, 0) }
func (bareControl) Pruned() (bool, uint32, int64) { return false, 0, 0 }

// samples are values of each kind that are right for many parameters, from which
// mutation begins.
var samples = []string{
	`null`, `true`, `0`, `-1`, `1`, `1e2`, `1.0`, `2147483648`, `"a"`, `""`, `"1_0"`, `[]`, `[""]`, `{}`, `{"a":1}`, `[{"txid":"00","vout":0}]`,
	`"0000000000000000000000000000000000000000000000000000000000000000"`, `["raw(51024e73)"]`, `"raw(51024e73)"`, `{"rules":["segwit"]}`, `"add"`, `[0,1]`,
}

// FuzzArgs gives every method whatever parameters, by position and by name. None may
// panic while they are read, a wrong one is an error with a code of Core's, and what is
// told of it does not grow with the request.
func FuzzArgs(f *testing.F) {
	names := slices.Sorted(maps.Keys(methods()))
	for i := range names {
		for j, sample := range samples {
			f.Add(i, []byte("["+sample+","+samples[(i+j)%len(samples)]+"]"))
		}
		named := ordered{}
		for _, p := range methods()[names[i]].params {
			named = append(named, entry{p.first(), json.RawMessage(samples[i%len(samples)])})
		}
		raw, err := json.Marshal(named)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, raw)
	}
	known := []int{
		CodeMisc, CodeType, CodeAddressOrKey, CodeInvalidParam, CodeInvalidRequest, CodeInvalidParams, CodeDeserialization, CodeInvalidSubnet, CodeVerify,
		CodeVerifyRejected, CodeMethodNotFound, CodeInternal, CodeNodeNotAdded, CodeDatabase,
	}
	s := newFake().server(f)
	s.Headers, s.Control, s.Pool = bare{}, bareControl{}, &pool{}
	s.table = methods() // with those of a developer's node
	f.Fuzz(func(t *testing.T, which int, params []byte) {
		m := s.table[names[max(which, -which-1)%len(names)]]
		if !wellFormed(params) || m.socket {
			return
		}
		r := readRequest(slices.Concat([]byte(`{"params":`), params, []byte(`,"method":"x"}`)))
		if _, err := r.method(); err != nil {
			return
		}
		a, err := parseArgs(m, r.Params)
		if err == nil {
			acted := false
			read := *m
			read.read = func(s *Server, a *args) work {
				do := m.read(s, a)
				if do == nil && a.err == nil {
					t.Fatalf("%s %s: neither work nor an error", m.name, params)
				}
				return func(context.Context) (any, error) { acted = true; return nil, nil }
			}
			_, err = read.run(t.Context(), s, a)
			if acted == (err != nil) {
				t.Fatalf("%s %s: acted %t, %v", m.name, params, acted, err)
			}
		}
		if err == nil {
			return
		}
		fault := asError(err)
		if !slices.Contains(known, fault.Code) {
			t.Errorf("%s %s: %+v", m.name, params, fault)
		}
		if most := 2*len(m.help()) + 1000; len(fault.Message) > most && len(fault.Message) > len(params)+200 {
			t.Errorf("%s: %d bytes are told of %d", m.name, len(fault.Message), len(params))
		}
		var reply bytes.Buffer
		fmt.Fprintf(&reply, "%s", encodeReply(&r, nil, fault))
		if !json.Valid(reply.Bytes()) {
			t.Errorf("%s %s: %s", m.name, params, reply.Bytes())
		}
	})
}

// encodeReply makes a short reply.
func encodeReply(r *request, result any, fault *Error) []byte {
	b, _ := appendReply(nil, r, result, fault)
	return b
}
