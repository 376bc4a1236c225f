package consensus

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testFunctions returns the names of the test functions of a package.
func testFunctions(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// reasonConstants reads the reasons that reasons.go declares.
func reasonConstants(t *testing.T) (reasons []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, value)
		}
		return true
	})
	return reasons
}

// The table of docs/consensus.md: each reason is there, each test that it names
// exists and has the reason and the kind of its row.
func TestDocsListEveryRule(t *testing.T) {
	text, err := os.ReadFile("../../docs/consensus.md")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]ruleCase{}
	for _, test := range ruleCases() {
		cases["TestRules/"+test.name] = test
	}
	own, chains := testFunctions(t, "."), testFunctions(t, "..")
	kinds := map[string]error{"invalid": ErrInvalid, "mutated": ErrMutated, "not yet": ErrNotYet}
	listed := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (invalid|mutated|not yet) \\| .* \\| (`.*`) \\|$")
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		reason, kind := match[1], kinds[match[2]]
		listed[reason] = true
		for _, name := range strings.Split(match[3], ", ") {
			name = strings.Trim(name, "`")
			test, isCase := cases[name]
			inChain, isChain := strings.CutPrefix(name, "chain.")
			switch {
			case isCase && (string(test.reason) != reason || test.kind != kind):
				t.Errorf("%s is about %s (%v), its row about %s (%s)", name, test.reason, test.kind, reason, match[2])
			case !isCase && !(isChain && chains[inChain]) && !own[name]:
				t.Errorf("%s: there is no test %s", reason, name)
			}
		}
	}
	reasons := reasonConstants(t)
	for _, reason := range reasons {
		if !listed[reason] {
			t.Errorf("%s is not in docs/consensus.md", reason)
		}
	}
	for reason := range listed {
		if !slices.Contains(reasons, reason) {
			t.Errorf("docs/consensus.md has %s, which is no reason", reason)
		}
	}
	if len(reasons) < 37 {
		t.Errorf("only %d reasons were found", len(reasons))
	}
}

// The cases' names begin with their reasons, so that one can be run by it.
func TestRuleCasesAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, test := range ruleCases() {
		if !strings.HasPrefix(test.name, string(test.reason)) || seen[test.name] || !slices.Contains(stages, test.stage) {
			t.Errorf("case %s of %s", test.name, test.reason)
		}
		seen[test.name] = true
	}
}
