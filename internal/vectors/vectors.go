// Package vectors finds the answers of others that tests compare karat with.
// They are not part of the repository. Only tests import it.
package vectors

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of the oracle data: KARAT_VECTORS, or shared/vectors
// beside the repository. Without one the test is skipped, and says so.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("KARAT_VECTORS"); dir != "" {
		if !exists(dir) {
			t.Fatalf("KARAT_VECTORS names %s, which does not exist", dir)
		}
		return dir
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(root, "go.sum")) || !exists(filepath.Join(root, "genesis.json")) {
		parent := filepath.Dir(root)
		if parent == root {
			t.Fatal("the test does not run in the repository")
		}
		root = parent
	}
	dir := filepath.Join(filepath.Dir(root), "shared", "vectors")
	if !exists(dir) {
		t.Skip("NOT RUN: no oracle data: set KARAT_VECTORS to its folder")
	}
	return dir
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Files returns the files of the oracle data that match a pattern, such as
// "asert/run*". Where there are none the test is skipped, and says so.
func Files(t testing.TB, pattern string) []string {
	t.Helper()
	dir := Dir(t)
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("NOT RUN: the oracle data in %s has no %s", dir, pattern)
	}
	return files
}

// ReadFile reads a file of the oracle data, which is named by its path. Without the
// file the test is skipped, and says so: there are sets that lack some.
func ReadFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("NOT RUN: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ReadJSON is ReadFile for JSON.
func ReadJSON(t testing.TB, file string, into any) {
	t.Helper()
	if err := json.Unmarshal(ReadFile(t, file), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Ran logs how many cases a test ran, and fails it if that is none.
func Ran(t testing.TB, n int, what string) {
	t.Helper()
	if n == 0 {
		t.Errorf("the oracle data has no %s", what)
	}
	t.Logf("%d %s", n, what)
}
