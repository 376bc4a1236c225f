package rpc

import (
	"encoding/json"
	"testing"
)

// FuzzScanObjects: whatever a client gives for descriptors and ranges, it is read or
// refused, and a range that is read is in its bounds.
func FuzzScanObjects(f *testing.F) {
	for _, text := range []string{
		`["raw(6a)",{"desc":"tr(x)","range":7},{"desc":"y","range":[0,9]}]`, `[{"range":[1,0]}]`, `[{"desc":null}]`, `[7,null,[],{}]`, `{}`, `[{"desc":"a","desc":"b","range":1e3}]`,
		`[{"desc":"a","range":[-1,9223372036854775808]}]`,
	} {
		f.Add(text)
	}
	m := &method{params: []param{{name: "scanobjects", kind: kindArray}}}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		a, err := parseArgs(m, json.RawMessage("["+text+"]"))
		if err != nil {
			return
		}
		for _, o := range a.scanObjects(0) {
			if a.err == nil && (o.from > o.to || o.to >= 1<<31 || o.to-o.from >= maxCoreRange) {
				t.Errorf("%s: range %+v", text, o.keyRange)
			}
		}
	})
}
