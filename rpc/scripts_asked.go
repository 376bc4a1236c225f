package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/taproot"
)

// maxAskedScripts is how many scripts a question to scriptindex may be about. Two ranges
// of the default length fit.
const maxAskedScripts = 2_500

// askedScripts reads whose scripts are wanted: a text, an object with a range, an object
// with addresses as those of Bitcore have it, or a list of texts and objects. The texts are
// not read yet: that is work.
func (a *args) askedScripts(i int) []scanObject {
	raw := a.values[i]
	switch jsonType(raw) {
	case "array":
		a.list(i, maxAskedScripts)
		return a.scanObjects(i)
	case "object":
		list, err := readPairs(raw)
		a.fail(err)
		if at := list.at("addresses"); at >= 0 {
			return a.addressesOf(list[at].value)
		}
		o := scanObject{keyRange: keyRange{0, defaultRangeEnd}}
		a.scanObject(raw, &o)
		return []scanObject{o}
	}
	return []scanObject{{text: a.text(i, ""), keyRange: keyRange{0, defaultRangeEnd}}}
}

func (a *args) addressesOf(raw json.RawMessage) (objects []scanObject) {
	if jsonType(raw) != "array" || elements(raw) > maxAskedScripts {
		a.fail(failf(CodeInvalidParam, "addresses must be an array of at most %d", maxAskedScripts))
		return nil
	}
	var list []json.RawMessage
	a.fail(json.Unmarshal(raw, &list))
	for _, one := range list {
		objects = append(objects, scanObject{text: a.element(one)})
	}
	return objects
}

// scriptSet is some scripts, without duplicates.
type scriptSet struct {
	hashes  []indexed.ScriptHash
	scripts map[indexed.ScriptHash][]byte
}

func (set *scriptSet) add(script []byte) error {
	hash := indexed.HashScript(script)
	if _, known := set.scripts[hash]; known {
		return nil
	}
	if len(set.hashes) >= maxAskedScripts {
		return failf(CodeInvalidParam, "More than %d scripts in a call", maxAskedScripts)
	}
	set.hashes = append(set.hashes, hash)
	set.scripts[hash] = script
	return nil
}

// scriptSet finds the scripts of what is asked for: each text is an address, a script in
// hexadecimal, or a descriptor.
func (s *Server) scriptSet(ctx context.Context, objects []scanObject) (*scriptSet, error) {
	set := &scriptSet{scripts: map[indexed.ScriptHash][]byte{}}
	for _, o := range objects {
		script, err := taproot.DecodeAddress(s.Params.HRP, o.text)
		if err != nil {
			script, err = hex.DecodeString(o.text)
		}
		if err == nil && len(script) > 0 {
			if err := set.add(script); err != nil {
				return nil, err
			}
			continue
		}
		if err := s.addDescriptor(ctx, set, o); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (s *Server) addDescriptor(ctx context.Context, set *scriptSet, o scanObject) error {
	d, err := descriptor.Parse(o.text, s.keys())
	if err != nil {
		return failf(CodeAddressOrKey, "%.100q is no address of this network, no script and no descriptor: %s", o.text, err)
	}
	if !d.Ranged() {
		o.keyRange = keyRange{}
	} else if o.to-o.from >= maxAskedScripts {
		return failf(CodeInvalidParam, "More than %d scripts in a call", maxAskedScripts)
	}
	for index := int64(o.from); index <= int64(o.to); index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		scripts, err := d.Scripts(uint32(index))
		if err != nil {
			return descriptorRefusal(err)
		}
		for _, script := range scripts {
			if err := set.add(script); err != nil {
				return err
			}
		}
	}
	return nil
}
