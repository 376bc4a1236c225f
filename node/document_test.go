package node

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedMethods compares docs/rpc.md with what the server has, and with
// the fields in which karat's answers differ from Bitcoin Core's.
func TestDocumentedMethods(t *testing.T) {
	data, err := os.ReadFile("../docs/rpc.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(data)
	n := openNode(t, t.TempDir(), "dev", 0)
	t.Cleanup(func() { closeNode(t, n) })
	r := run(t, n)
	var help string
	if err := r.client.Call(t.Context(), "help", &help); err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for line := range strings.Lines(help) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && name != "==" {
			made[name] = true
			if !strings.Contains(document, "`"+name+"`") {
				t.Errorf("docs/rpc.md lacks the method %s", name)
			}
		}
	}
	made["authenticate"] = true // before it a WebSocket has no other
	_, methods, _ := strings.Cut(document, "## Methods")
	methods, _, _ = strings.Cut(methods, "The wallet is")
	for _, m := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(methods, -1) {
		if made[m[1]] {
			continue
		}
		// Methods for tests are explained and not listed, as in Core.
		if err := r.client.Call(t.Context(), "help", &help, m[1]); err != nil || strings.HasPrefix(help, "help: unknown command") {
			t.Errorf("docs/rpc.md names %s, which does not exist", m[1])
		}
	}
	for field := range leftOut {
		if !strings.Contains(document, "`"+field+"`") {
			t.Errorf("docs/rpc.md does not explain %s", field)
		}
	}
}
