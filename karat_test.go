package karat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadNetwork(t *testing.T) {
	for _, name := range []string{"main", "dev", "testdata/bitcoin-regtest.json"} {
		if _, err := LoadNetwork(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nowhere": "neither", "./nowhere.json": "no such file", broken: "missing"} {
		if _, err := LoadNetwork(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDataDir(t *testing.T) {
	params, err := LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := DataDir("/data", params); err != nil || dir != filepath.Join("/data", "dev") {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("HOME", "/home/alice")
	if dir, err := DataDir("", params); err != nil || dir != filepath.Join("/home/alice", ".karat", "dev") {
		t.Errorf("%s, %v", dir, err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	for given, want := range map[string]string{"~": home, "~/x": home + "/x", home + "/new": home + "/new"} {
		if dir, err := DataDir(given, params); err != nil || dir != filepath.Join(want, "dev") {
			t.Errorf("%s: %s, %v", given, dir, err)
		}
	}
	for _, given := range []string{"~/x/y", home + "/x/y", "~bob/x"} {
		if dir, err := DataDir(given, params); err == nil || !strings.Contains(err.Error(), "there is no folder") {
			t.Errorf("%s: %s, %v", given, dir, err)
		}
	}
	t.Setenv("HOME", "")
	if _, err := DataDir("", params); err == nil || !strings.Contains(err.Error(), "--datadir") {
		t.Errorf("%v", err)
	}
}
