// Command pack makes testdata/vectors from a folder of plain files, one folder a
// set: each file is gzipped by itself, with neither its name nor a time, so that
// the same files make the same pack.
//
//	go run ./internal/vectors/pack FROM testdata/vectors
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// left are files of the set real that stay out of the repository. The first line
// is 4.6 MB of blocks and a transaction like others that it has.
var left = []string{
	"blocks/mainnet-413567.", "blocks/mainnet-481815.", "blocks/mainnet-481829.", "blocks/mainnet-000000000000000000000c835b2adcae.", "tx/megatx.",
	"headers/mainnet_alt.",                    // no test reads it
	"tx/taproot-script-and-keypath-37777def.", // its source has a licence that is not as free
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack FROM TO")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pack(from, to string) error {
	plain := os.DirFS(from)
	files, err := fs.Glob(plain, "*/*")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no sets", from)
	}
	for _, file := range files {
		if err := os.RemoveAll(filepath.Join(to, path.Dir(file))); err != nil {
			return err
		}
	}
	return fs.WalkDir(plain, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(name, "/") || isLeft(name) {
			return err
		}
		data, err := fs.ReadFile(plain, name)
		if err == nil && path.Base(name) == "index.json" {
			data, err = withoutLeft(data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return write(filepath.Join(to, filepath.FromSlash(name)+".gz"), data)
	})
}

func isLeft(name string) bool {
	return slices.ContainsFunc(left, func(l string) bool { return strings.HasPrefix(name, "real/"+l) })
}

// withoutLeft takes the entries of files that are left out from an index.
func withoutLeft(index []byte) ([]byte, error) {
	var entries []json.RawMessage
	if err := json.Unmarshal(index, &entries); err != nil {
		return nil, err
	}
	kept := [][]byte{}
	for _, entry := range entries {
		var named struct{ File string }
		if err := json.Unmarshal(entry, &named); err != nil {
			return nil, err
		}
		if !isLeft("real/" + named.File) {
			kept = append(kept, entry)
		}
	}
	return slices.Concat([]byte("["), bytes.Join(kept, []byte(",\n")), []byte("]\n")), nil
}

func write(file string, data []byte) error {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, zipped.Bytes(), 0o644)
}
