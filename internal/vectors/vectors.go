// Package vectors reads the answers of others that tests compare karat with, from
// testdata/vectors, whose README says where each set comes from. Only tests
// import it.
package vectors

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// folder is where the data is. Its files are gzipped in the repository, and plain
// in a folder that KARAT_VECTORS names.
type folder struct {
	fs.FS
	name   string
	suffix string
	// incomplete says that files may be lacking: the folder is somebody's choice.
	incomplete bool
}

func open(t testing.TB) folder {
	t.Helper()
	if dir := os.Getenv("KARAT_VECTORS"); dir != "" {
		if !exists(dir) {
			t.Fatalf("KARAT_VECTORS names %s, which does not exist", dir)
		}
		return folder{FS: os.DirFS(dir), name: dir, incomplete: true}
	}
	return folder{FS: os.DirFS(filepath.Join(root(t), "testdata", "vectors")), name: "testdata/vectors", suffix: ".gz"}
}

// root returns the repository's own folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(dir, "go.sum")) || !exists(filepath.Join(dir, "genesis.json")) {
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the test does not run in the repository")
		}
		dir = parent
	}
	return dir
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Lacks ends a test whose data is not there: as failed, or as skipped where
// KARAT_VECTORS names the data, which may be a part.
func Lacks(t testing.TB, what string) {
	t.Helper()
	f := open(t)
	if !f.incomplete {
		t.Fatalf("%s has no %s", f.name, what)
	}
	NotRun(t, fmt.Sprintf("the oracle data in %s has no %s", f.name, what))
}

// NotRun skips a test, and lets `make test` say so.
func NotRun(t testing.TB, why string) {
	t.Helper()
	count(t, 0, "NOT RUN: "+why)
	t.Skip("NOT RUN: " + why)
}

// Files returns the names of the files that match a pattern, such as
// "asert/run*". There is at least one: see [Lacks].
func Files(t testing.TB, pattern string) []string {
	t.Helper()
	f := open(t)
	files, err := fs.Glob(f, pattern+f.suffix)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		Lacks(t, pattern)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], f.suffix)
	}
	return files
}

// ReadFile returns a file's content. A file that is not there ends the test: see
// [Lacks].
func ReadFile(t testing.TB, name string) []byte {
	t.Helper()
	f := open(t)
	data, err := fs.ReadFile(f, path.Clean(name)+f.suffix)
	if errors.Is(err, fs.ErrNotExist) {
		Lacks(t, name)
	}
	if err == nil && f.suffix != "" {
		data, err = unzip(data)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return data
}

func unzip(data []byte) ([]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zipped)
}

// ReadJSON is [ReadFile] for JSON.
func ReadJSON(t testing.TB, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(ReadFile(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// ReadBlocks returns the blocks of a file in bootstrap framing: of each its
// magic, its length and itself.
func ReadBlocks(t testing.TB, name string) (blocks [][]byte) {
	t.Helper()
	for data := ReadFile(t, name); len(data) > 0; {
		if len(data) < 8 || uint64(len(data)-8) < uint64(binary.LittleEndian.Uint32(data[4:])) {
			t.Fatalf("%s: cut off", name)
		}
		end := 8 + binary.LittleEndian.Uint32(data[4:])
		blocks = append(blocks, data[8:end])
		data = data[end:]
	}
	return blocks
}

// Copy writes a file to the disk, for what wants a path, which it returns.
func Copy(t testing.TB, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), path.Base(name))
	if err := os.WriteFile(file, ReadFile(t, name), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var compares = regexp.MustCompile("Vectors|Core")

// Ran says how many cases a test compared with the answers of others, and fails
// it if that is none. `make test` adds them up, and `make vectors` runs such
// tests alone, which it finds by their names.
func Ran(t testing.TB, n int, what string) {
	t.Helper()
	if n == 0 {
		t.Errorf("the oracle data has no %s", what)
	}
	if !compares.MatchString(t.Name()) {
		t.Errorf("the name of a test that compares with others has Vectors or Core in it")
	}
	t.Logf("%d %s", n, what)
	count(t, n, what)
}

// count adds a line to the file that KARAT_VECTORS_TALLY names: package, test,
// number of cases, and of what.
func count(t testing.TB, n int, what string) {
	t.Helper()
	tally := os.Getenv("KARAT_VECTORS_TALLY")
	if tally == "" {
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := filepath.Rel(root(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(tally, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(file, "%s\t%s\t%d\t%s\n", filepath.ToSlash(pkg), t.Name(), n, what)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// Hex returns the bytes that a text writes in hexadecimal.
func Hex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
