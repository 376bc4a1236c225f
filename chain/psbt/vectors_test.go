package psbt

import (
	"errors"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// vector is a PSBT and what Bitcoin Core's decodepsbt says of it: "ok", or its error.
type vector struct {
	Case         string
	Base64       string
	Core         string  `json:"core_decodepsbt"`
	LockTime     *uint32 `json:"expected_locktime"`
	lockTimeTest bool
}

// readVectors returns all cases of the BIPs' and of Core's files.
func readVectors(tb testing.TB) (all []vector) {
	tb.Helper()
	for _, name := range []string{"bip0174", "bip0370", "bip0371", "bip0373", "core_rpc_psbt"} {
		var sets map[string][]vector
		vectors.ReadJSON(tb, "psbt/"+name+".json", &sets)
		for set, list := range sets {
			for _, v := range list {
				v.Case = name + " " + set + " " + v.Case
				v.lockTimeTest = set == "timelock"
				all = append(all, v)
			}
		}
	}
	return all
}

// TestVectors: what Bitcoin Core reads is read and written again, and what it refuses is
// refused with its words.
func TestVectors(t *testing.T) {
	read, refused, locks := 0, 0, 0
	for _, v := range readVectors(t) {
		p, err := DecodeBase64(v.Base64)
		if v.Core != "ok" {
			refused++
			want := strings.TrimPrefix(v.Core, "TX decode failed ")
			if want = strings.TrimSuffix(want, ": iostream error"); err == nil || err.Error() != want || !errors.Is(err, ErrFormat) {
				t.Errorf("%s: error %v, Bitcoin Core says %s", v.Case, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Case, err)
			continue
		}
		read++
		checkPacket(t, p)
		if v.lockTimeTest {
			locks++
			lockTime, err := p.LockTime()
			if (err != nil) != (v.LockTime == nil) || v.LockTime != nil && *v.LockTime != lockTime {
				t.Errorf("%s: lock time %d, %v", v.Case, lockTime, err)
			}
		}
	}
	vectors.Ran(t, read+refused, "PSBTs read or refused")
	vectors.Ran(t, locks, "lock times of PSBTs")
}

// TestMuSigVectors: where all participants of a vector of BIP373 have signed, their
// signature is valid.
func TestMuSigVectors(t *testing.T) {
	var sets map[string][]vector
	vectors.ReadJSON(t, "psbt/bip0373.json", &sets)
	complete := 0
	for _, v := range sets["valid"] {
		p, err := DecodeBase64(v.Base64)
		if err != nil {
			t.Fatal(err)
		}
		all := len(p.Inputs) > 0
		for i := range p.Inputs {
			in := &p.Inputs[i]
			all = all && len(in.MuSigParticipants) > 0 && len(in.MuSigPartialSigs) == len(in.MuSigParticipants[0].Participants)
		}
		if got := p.Finalize(); got != all {
			t.Errorf("%s: final: %t, want %t", v.Case, got, all)
		}
		if all {
			complete++
		}
	}
	vectors.Ran(t, complete, "PSBTs with all partial signatures")
}
