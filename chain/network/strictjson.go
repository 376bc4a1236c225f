package network

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// strictUnmarshal decodes JSON into a struct as encoding/json does, and refuses what that
// lets pass: unknown, missing and repeated fields, names in another case, nulls, and
// anything behind the value. It reads the text twice, first for its form alone, as
// encoding/json could not tell afterwards.
func strictUnmarshal(data []byte, into any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: not UTF-8", ErrFile) // it would be replaced without a word
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := checkValue(d, "", reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something stands after the end", ErrFile)
	}
	if err := json.Unmarshal(data, into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return badField(wrong.Field, "%s is no %s", wrong.Value, wrong.Type)
		}
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// checkValue reads one value and compares its form with the type. The types are those of
// file: structs, slices, strings and numbers.
func checkValue(d *json.Decoder, path string, t reflect.Type) error {
	token, err := d.Token()
	if err != nil {
		return jsonError(path, err)
	}
	name := cmp.Or(path, "the file")
	switch t.Kind() {
	case reflect.Struct:
		if token != json.Delim('{') {
			return badField(name, "want an object")
		}
		return checkObject(d, path, t)
	case reflect.Slice:
		if token != json.Delim('[') {
			return badField(name, "want a list")
		}
		for i := 0; d.More(); i++ {
			if err := checkValue(d, fmt.Sprintf("%s[%d]", path, i), t.Elem()); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return jsonError(path, err)
	}
	if _, isDelim := token.(json.Delim); isDelim || token == nil {
		return badField(name, "want a %s", t)
	}
	return nil
}

// jsonError says in which field the text stopped being JSON. It returns nil for nil.
func jsonError(path string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return badField(cmp.Or(path, "the file"), "%v", err)
}

// checkObject reads the fields of an object. Those that are missing are found at its end,
// and told in the type's order, so that the same file always has the same error.
func checkObject(d *json.Decoder, path string, t reflect.Type) error {
	fields := map[string]reflect.Type{}
	required := map[string]bool{}
	var order []string
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = t.Field(i).Type
		required[name] = option != "omitempty"
		order = append(order, name)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return jsonError(path, err)
		}
		key, _ := token.(string)
		full := strings.TrimPrefix(path+"."+key, ".")
		fieldType, known := fields[key]
		switch {
		case !known:
			return badField(fmt.Sprintf("%.80q", full), "unknown field")
		case seen[key]:
			return badField(full, "stands there twice")
		}
		seen[key] = true
		if err := checkValue(d, full, fieldType); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return jsonError(path, err)
	}
	for _, name := range order {
		if required[name] && !seen[name] {
			return badField(strings.TrimPrefix(path+"."+name, "."), "missing")
		}
	}
	return nil
}
