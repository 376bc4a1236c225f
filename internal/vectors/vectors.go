// Package vectors finds the answers of others that tests compare karat with.
// They are not part of the repository. Only tests import it.
package vectors

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of the oracle data: KARAT_VECTORS, or shared/vectors
// beside the repository. Without one the test is skipped, and says so.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("KARAT_VECTORS"); dir != "" {
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
