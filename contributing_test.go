package karat

import (
	"os"
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
