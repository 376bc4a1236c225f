package karat

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sourceLines are the lines of a Go file: of all of it, and of each thing that it
// declares, with the comment above. Methods are named Type.Method.
type sourceLines struct {
	all  int
	each map[string]int
}

func linesOf(t *testing.T, path string) sourceLines {
	t.Helper()
	source, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	lines := sourceLines{all: bytes.Count(source, []byte("\n")), each: map[string]int{}}
	declared := func(name string, n ast.Node, comment *ast.CommentGroup) {
		from := n.Pos()
		if comment != nil {
			from = comment.Pos()
		}
		lines.each[name] = files.Position(n.End()).Line - files.Position(from).Line + 1
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			declared(name, d, d.Doc)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					declared(spec.Name.Name, d, d.Doc)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						declared(name.Name, spec, spec.Doc)
					}
				}
			}
		}
	}
	return lines
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr: // of a generic type
		return receiver(of.X)
	}
	return of.(*ast.Ident).Name
}

var (
	stopHeading = regexp.MustCompile(`(?m)^## \d+\. .*\(([\d,]+) lines\)$`)
	routeLength = regexp.MustCompile(`([\d,]+) lines of source`)
	readingItem = regexp.MustCompile("^(part of )?`([^`]+\\.go)` \\((\\d+)\\): ((?s).*)$")
	quoted      = regexp.MustCompile("`([^`]+)`")
	identifier  = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)?$`)
)

// TestReading: what docs/reading.md sends its readers to is there, and about as
// long as it says.
func TestReading(t *testing.T) {
	text, err := os.ReadFile("docs/reading.md")
	if err != nil {
		t.Fatal(err)
	}
	stops := stopHeading.FindAllSubmatchIndex(text, -1)
	if len(stops) < 8 {
		t.Fatalf("only %d stops", len(stops))
	}
	total := 0
	for i, at := range stops {
		end := bytes.Index(text[at[1]:], []byte("\n## ")) + at[1]
		if i+1 < len(stops) {
			end = stops[i+1][0]
		}
		sum := checkStop(t, string(text[at[0]:at[1]]), string(text[at[1]:end]))
		about(t, string(text[at[0]:at[1]]), number(t, text[at[2]:at[3]]), sum, 10)
		total += sum
	}
	said := routeLength.FindSubmatch(text)
	if said == nil {
		t.Fatal("the text does not say how long the route is")
	}
	about(t, "the route", number(t, said[1]), total, 5)
	for _, match := range quoted.FindAllSubmatch(text, -1) {
		name := string(match[1])
		if !strings.Contains(name, "/") || strings.ContainsAny(name, " *") {
			continue
		}
		if _, err := os.Stat(filepath.FromSlash(name)); err != nil {
			t.Errorf("%s is not there", name)
		}
	}
}

// checkStop checks one stop, and returns the lines that it wants to be read.
func checkStop(t *testing.T, heading, text string) (sum int) {
	t.Helper()
	known := map[string]bool{}
	for _, item := range strings.Split(text, "\n- ")[1:] {
		item, _, _ = strings.Cut(item, "\n\n")
		match := readingItem.FindStringSubmatch(item)
		if match == nil {
			t.Errorf("%s: %q is no item", heading, item)
			continue
		}
		file := linesOf(t, match[2])
		for name := range file.each {
			known[name] = true
		}
		lines := file.all
		if match[1] != "" {
			lines = 0
			for _, name := range quoted.FindAllStringSubmatch(match[4], -1) {
				lines += file.each[name[1]]
			}
		}
		for _, name := range quoted.FindAllStringSubmatch(match[4], -1) {
			if _, there := file.each[name[1]]; !there && identifier.MatchString(name[1]) {
				t.Errorf("%s: %s declares no %s", heading, match[2], name[1])
			}
		}
		about(t, match[2], number(t, []byte(match[3])), lines, 15)
		sum += lines
	}
	for _, name := range quoted.FindAllStringSubmatch(text, -1) {
		if identifier.MatchString(name[1]) && !known[name[1]] {
			t.Errorf("%s: no file of this stop declares %s", heading, name[1])
		}
	}
	return sum
}

// about checks that a number of lines is what the text says, but for some percent.
func about(t *testing.T, what string, said, is, percent int) {
	t.Helper()
	if diff := max(said-is, is-said); diff > max(is*percent/100, 10) {
		t.Errorf("%s: %d lines, the text says %d", what, is, said)
	}
}

func number(t *testing.T, text []byte) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(string(text), ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
