package karat

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// Between backquotes: a file or a folder, and behind a colon what it declares.
	namedFile   = regexp.MustCompile("`([\\w./-]+)(?::([\\w.]+))?`")
	linkedFile  = regexp.MustCompile(`\]\(([^)]+)\)`)
	testedThing = regexp.MustCompile(` \./([\w/]+)`)
)

// TestContributing: what CONTRIBUTING.md names is there.
func TestContributing(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	there := func(path string) bool {
		_, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		}
		return err == nil
	}
	names := 0
	for _, m := range namedFile.FindAllStringSubmatch(string(text), -1) {
		path, declared := m[1], m[2]
		if !strings.Contains(path, "/") && !strings.HasSuffix(path, ".go") {
			continue // a word
		}
		names++
		if !there(path) || declared == "" {
			continue
		}
		if _, ok := linesOf(t, path).each[declared]; !ok {
			t.Errorf("%s declares no %s", path, declared)
		}
	}
	if names < 20 {
		t.Errorf("only %d files are named", names)
	}
	for _, pattern := range []*regexp.Regexp{linkedFile, testedThing} {
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			there(m[1])
		}
	}
}

// TestFuzzTargets: no two of a folder have one name, or the go tool runs neither.
func TestFuzzTargets(t *testing.T) {
	target, seen := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`), map[string]string{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			name := filepath.Dir(path) + "." + m[1]
			if seen[name] != "" {
				t.Errorf("%s is in %s and in %s", name, seen[name], path)
			}
			seen[name] = path
		}
		return err
	})
	if err != nil || len(seen) < 20 {
		t.Errorf("%d fuzz targets, %v", len(seen), err)
	}
}
