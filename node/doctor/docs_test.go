package doctor

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocument: docs/doctor.md has the codes of this package, in their order, each with what is said
// of it here.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	seen := map[string]bool{}
	for _, c := range Codes {
		if seen[c.Name] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(c.Name) {
			t.Errorf("%q stands twice, or is no name", c.Name)
		}
		seen[c.Name] = true
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", c.Name, c.Severity, c.Summary, strings.ReplaceAll(c.Next, "|", `\|`))
	}
	var got strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") {
			got.WriteString(line)
		}
	}
	if got.String() != want.String() {
		t.Errorf("docs/doctor.md does not have the codes of the code. Its table should be\n%s", want.String())
	}
}
