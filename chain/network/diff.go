package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/consensus"
)

// Difference is a field in which two networks differ, by its path in the file, such as
// "genesis.outputs[0].amount". A or B is empty where that network's file lacks it.
type Difference struct{ Field, A, B string }

// Diff compares two networks field by field, in the order of the fields' names.
func Diff(a, b *consensus.Params) []Difference {
	fieldsA, fieldsB := flatten(a), flatten(b)
	var names []string
	for name := range fieldsA {
		names = append(names, name)
	}
	for name := range fieldsB {
		if _, both := fieldsA[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var differences []Difference
	for _, name := range names {
		if fieldsA[name] != fieldsB[name] {
			differences = append(differences, Difference{name, fieldsA[name], fieldsB[name]})
		}
	}
	return differences
}

// flatten returns the fields of the file by their paths. It goes through the file's text
// and not through Params, so that no field can be forgotten and each is compared as
// people see it.
func flatten(p *consensus.Params) map[string]string {
	var tree any
	d := json.NewDecoder(bytes.NewReader(Marshal(p)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		panic(fmt.Sprintf("decode an own network file: %v", err)) // Marshal wrote it
	}
	fields := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(strings.TrimPrefix(path+"."+key, "."), value)
			}
		case []any:
			for i, value := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), value)
			}
		default:
			fields[path] = fmt.Sprint(v)
		}
	}
	walk("", tree)
	return fields
}
