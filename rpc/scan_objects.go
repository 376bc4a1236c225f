package rpc

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/karatcoin/karat/chain/descriptor"
)

// What a client can make the node derive in a call. An hour's work at most would be too
// much: with these it is a minute or two.
const (
	maxScanObjects  = 10_000
	maxScanScripts  = 250_000
	maxDerivedKeys  = 1_000_000
	maxCoreRange    = 1_000_000 // indexes of a range
	defaultRangeEnd = 1_000     // of a scan object that names no range
)

var errKeyRange = failf(CodeInvalidParam, "Range must be specified as end or as [begin,end]")

// keyRange is a range of indexes, both ends included.
type keyRange struct{ from, to uint32 }

// keyRange reads a range: its end, or both ends.
func (a *args) keyRange(raw json.RawMessage) keyRange {
	var from, to int64
	switch jsonType(raw) {
	case "number":
		to = a.wholeNumber(raw)
	case "array":
		var ends []json.RawMessage
		if elements(raw) == 2 {
			a.fail(json.Unmarshal(raw, &ends))
		}
		if len(ends) != 2 || jsonType(ends[0]) != "number" || jsonType(ends[1]) != "number" {
			a.fail(errKeyRange)
			return keyRange{}
		}
		if from, to = a.wholeNumber(ends[0]), a.wholeNumber(ends[1]); from > to {
			a.fail(failf(CodeInvalidParam, "Range specified as [begin,end] must not have begin after end"))
		}
	default:
		a.fail(errKeyRange)
	}
	switch {
	case from < 0:
		a.fail(failf(CodeInvalidParam, "Range should be greater or equal than 0"))
	case to < 0 || to>>31 != 0:
		a.fail(failf(CodeInvalidParam, "End of range is too high"))
	case to >= from+maxCoreRange:
		a.fail(failf(CodeInvalidParam, "Range is too large"))
	}
	return keyRange{uint32(from), uint32(to)}
}

// wholeNumber reads a number that is a value in something else.
func (a *args) wholeNumber(raw json.RawMessage) (n int64) {
	if json.Unmarshal(raw, &n) != nil {
		a.fail(errRange)
	}
	return n
}

// scanObject is a descriptor with the indexes that are wanted of it.
type scanObject struct {
	text string
	keyRange
}

// scanObjects reads an array of descriptors. Each is a text, or an object with a range. The
// descriptors are not read yet: that is work.
func (a *args) scanObjects(i int) []scanObject {
	list := a.list(i, maxScanObjects)
	objects := make([]scanObject, len(list))
	for j, raw := range list {
		objects[j] = scanObject{keyRange: keyRange{0, defaultRangeEnd}}
		switch jsonType(raw) {
		case "string":
			objects[j].text = textOf(raw)
		case "object":
			a.scanObject(raw, &objects[j])
		default:
			a.fail(failf(CodeInvalidParam, "Scan object needs to be either a string or an object"))
		}
	}
	return objects
}

func (a *args) scanObject(raw json.RawMessage, into *scanObject) {
	list, err := readPairs(raw)
	if err != nil {
		a.fail(err)
		return
	}
	at := list.at("desc")
	if at < 0 || jsonType(list[at].value) == "null" {
		a.fail(failf(CodeInvalidParam, "Descriptor needs to be provided in scan object"))
		return
	}
	into.text = a.element(list[at].value)
	if at = list.at("range"); at >= 0 && jsonType(list[at].value) != "null" {
		into.keyRange = a.keyRange(list[at].value)
	}
}

// watched are the scripts of a call, and where each comes from.
type watched struct {
	descriptors []*descriptor.Descriptor // without multipath
	scripts     map[string]derivation
	keys        int // that were derived
}

// derivation is the descriptor of a script and its index.
type derivation struct {
	descriptor int
	index      uint32
}

// watch derives all scripts of scan objects.
func (s *Server) watch(ctx context.Context, objects []scanObject) (*watched, error) {
	w := &watched{scripts: map[string]derivation{}}
	for _, o := range objects {
		d, err := descriptor.Parse(o.text, s.keys())
		if err != nil {
			return nil, failf(CodeAddressOrKey, "%s", err)
		}
		if !d.Ranged() {
			o.keyRange = keyRange{}
		}
		for _, one := range d.Expand() {
			if err := w.add(ctx, o.text, one, o.keyRange); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// add derives the scripts of a descriptor without multipath, which stands in a text.
func (w *watched) add(ctx context.Context, text string, d *descriptor.Descriptor, r keyRange) error {
	w.descriptors = append(w.descriptors, d)
	for index := int64(r.from); index <= int64(r.to); index++ {
		if w.keys += max(1, d.KeyCount()); w.keys > maxDerivedKeys || len(w.scripts) >= maxScanScripts {
			return failf(CodeInvalidParam, "More than %d scripts or %d keys in a call", maxScanScripts, maxDerivedKeys)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		scripts, err := d.Scripts(uint32(index))
		switch {
		case errors.Is(err, descriptor.ErrNoPrivateKey):
			return failf(CodeAddressOrKey, "Cannot derive script without private keys: '%.1000s'", text)
		case err != nil:
			return failf(CodeAddressOrKey, "%s", err)
		}
		for _, script := range scripts {
			if _, known := w.scripts[string(script)]; !known {
				w.scripts[string(script)] = derivation{len(w.descriptors) - 1, uint32(index)}
			}
		}
	}
	return nil
}

// list returns the scripts.
func (w *watched) list() [][]byte {
	list := make([][]byte, 0, len(w.scripts))
	for script := range w.scripts {
		list = append(list, []byte(script))
	}
	return list
}

// describeWatched returns the descriptor of a script that is watched as a JSON text: with
// its keys and their origins if its descriptor has keys, else as everywhere.
func (s *Server) describeWatched(w *watched, script string) string {
	from := w.scripts[script]
	if d := w.descriptors[from.descriptor]; d.Solvable() {
		if text, err := d.Derived(0, from.index); err == nil {
			return `"` + text + `"` // a descriptor of tr() has nothing to escape
		}
	}
	var text jsonWriter
	text.raw(`"`)
	j := s.scriptJSON([]byte(script))
	text.descriptor(&j, scriptType(j.script))
	text.raw(`"`)
	return string(text.b)
}
