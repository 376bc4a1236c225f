package main

import "testing"

// TestWebOptions: pages are shown on the dev network, and elsewhere to whom the operator says.
func TestWebOptions(t *testing.T) {
	for _, c := range []struct {
		name        string
		args        []string
		at, base    string
		any         bool // another port will do
		wantFailure bool
	}{
		{name: "the dev network", args: []string{"--network", "dev"}, at: "127.0.0.1:19580", any: true},
		{name: "another network", args: []string{"--network", "main"}},
		{name: "none", args: []string{"--network", "dev", "--web", "none"}},
		{name: "a port that was named is the one", args: []string{"--network", "dev", "--web", "127.0.0.1:80"}, at: "127.0.0.1:80"},
		{name: "a path", args: []string{"--web", "127.0.0.1:80", "--web-base", "explorer/of/us/"}, at: "127.0.0.1:80", base: "/explorer/of/us"},
		{name: "no path", args: []string{"--web", "127.0.0.1:80", "--web-base", "/"}, wantFailure: true},
		{name: "a path that leads up", args: []string{"--web-base", "/a/../b"}, wantFailure: true},
		{name: "a path with markup", args: []string{"--web-base", "/a\"b"}, wantFailure: true},
		{name: "no host", args: []string{"--web", "80"}, wantFailure: true},
		{name: "a proxy's visitors are not the operator", args: []string{"--web-forwarded", "--web-operator"}, wantFailure: true},
	} {
		config, err := configOf(t, append(c.args, "--datadir", t.TempDir())...)
		if c.wantFailure {
			if err == nil {
				t.Errorf("%s: taken", c.name)
			}
			continue
		}
		if err != nil || config.Web != c.at || config.WebBase != c.base || config.WebAnyPort != c.any {
			t.Errorf("%s: %q %q %v %v", c.name, config.Web, config.WebBase, config.WebAnyPort, err)
		}
	}
}

// TestFaucetIsMinedFor: a node with a faucet mines for it unless it is told for whom, on the dev
// network too.
func TestFaucetIsMinedFor(t *testing.T) {
	for _, c := range []struct {
		args  []string
		empty bool // for the faucet, whose key is not made yet
	}{
		{[]string{"--mine"}, false},
		{[]string{"--mine", "--faucet"}, true},
		{[]string{"--mine", "--faucet", "--mine-to", "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j"}, false},
	} {
		config, err := configOf(t, append(c.args, "--network", "dev", "--datadir", t.TempDir())...)
		if err != nil || (len(config.MineTo) == 0) != c.empty {
			t.Errorf("%q: mines to %x, %v", c.args, config.MineTo, err)
		}
	}
}
