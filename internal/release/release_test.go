package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
)

var day = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// readTar returns the files of an archive, in their order.
func readTar(t *testing.T, path string) (headers []*tar.Header, contents map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	contents = map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		content, readErr := io.ReadAll(r)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		headers, contents[h.Name] = append(headers, h), string(content)
	}
}

// TestArchives: the same files make the same archives, whoever makes them and when.
func TestArchives(t *testing.T) {
	files := []file{{"bin/karat", []byte("program"), true}, {"docs/a.md", []byte("text"), false}}
	for name, write := range map[string]func(string, string, []file, time.Time) error{"a.tar.gz": writeTar, "a.zip": writeZip} {
		var made [2][]byte
		for i := range made {
			path := filepath.Join(t.TempDir(), name)
			if err := write(path, "karat-1", files, day); err != nil {
				t.Fatal(err)
			}
			var err error
			if made[i], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			if name == "a.zip" {
				z, err := zip.OpenReader(path)
				if err != nil || len(z.File) != 2 || z.File[0].Name != "karat-1/bin/karat" || z.File[0].Mode() != 0o755 || !z.File[1].Modified.Equal(day) {
					t.Errorf("zip: %v, %+v", err, z.File)
				}
				continue
			}
			headers, contents := readTar(t, path)
			if len(headers) != 2 || contents["karat-1/docs/a.md"] != "text" {
				t.Fatalf("%v", contents)
			}
			if h := headers[0]; h.Mode != 0o755 || h.Uid != 0 || h.Uname != "root" || !h.ModTime.Equal(day) || headers[1].Mode != 0o644 {
				t.Errorf("%+v", h)
			}
		}
		if !bytes.Equal(made[0], made[1]) {
			t.Errorf("%s: two that differ", name)
		}
	}
}

// TestLicences: each licence is known by its words, and code without one is refused.
func TestLicences(t *testing.T) {
	for want, text := range map[string]string{
		"ISC": "Permission to use, copy, modify, and distribute this\nsoftware for any purpose with or without fee", "Apache-2.0": "  Apache License\n  Version 2.0, January 2004",
		"BSD-2-Clause": "> 2. Redistributions in binary form must\n> reproduce the above copyright notice", "": "all rights reserved",
	} {
		folder := t.TempDir()
		if err := os.WriteFile(folder+"/License.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if texts, got, err := licences(folder); got != want || (err == nil) != (want != "") || err == nil && len(texts) != 1 {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, _, err := licences(""); err == nil {
		t.Error("a module that is not there has a licence")
	}
	if _, _, err := licences(t.TempDir()); err == nil {
		t.Error("a module without a licence has one")
	}
}

// TestInstalled: what goes where on Debian, and what a package leaves out.
func TestInstalled(t *testing.T) {
	unit, err := os.ReadFile("../../contrib/systemd/karatd.service")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"bin/karatd": "usr/bin/karatd", "man/man1/karat-send.1": "usr/share/man/man1/karat-send.1.gz", "completions/zsh/_karat": "usr/share/zsh/vendor-completions/_karat",
		"contrib/systemd/karatd.service": "usr/lib/systemd/system/karatd.service", "contrib/systemd/karatd.toml": "etc/karat/karatd.toml", "contrib/debian/copyright": "usr/share/doc/karat/copyright",
		"contrib/debian/postinst.sh": "", "LICENSE": "", "docs/wallet.md": "usr/share/doc/karat/docs/wallet.md", "contrib/prometheus/karat.rules.yml": "usr/share/doc/karat/contrib/prometheus/karat.rules.yml",
	} {
		got, content, err := installed(file{name: name, content: unit})
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
		if strings.HasSuffix(name, ".service") && !strings.Contains(string(content), "ExecStart=/usr/bin/karatd ") {
			t.Errorf("the package's service does not run its program:\n%s", content)
		}
	}
	if _, _, err := installed(file{name: "contrib/systemd/karatd.service", content: []byte("ExecStart=/opt/karatd")}); err == nil {
		t.Error("a service that runs another program was packed")
	}
}

// TestRelease: an archive of this platform has all that people need, and its bill of materials
// names every module that is in the programs.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds all programs")
	}
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1796000000")
	out := filepath.Join(t.TempDir(), "dist")
	if err := run(t.Context(), out, "", nil); err != nil {
		t.Fatal(err)
	}
	name := "karat-" + karat.Version + "-" + runtime.GOOS + "-" + runtime.GOARCH
	_, contents := readTar(t, filepath.Join(out, name+".tar.gz"))
	manual := t.TempDir()
	var pages []string
	for path, content := range contents {
		if strings.Contains(path, "/man/") {
			pages = append(pages, filepath.Join(manual, filepath.Base(path)))
			if err := os.WriteFile(pages[len(pages)-1], []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(pages) < 60 {
		t.Errorf("%d pages of the manual", len(pages))
	}
	if mandoc, err := exec.LookPath("mandoc"); err != nil {
		t.Log("NOT RUN: mandoc, which would read the manual (Debian's package mandoc)")
	} else if text, err := exec.CommandContext(t.Context(), mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, text)
	}
	for _, file := range []string{"LICENSE", "README.md", "bin/karat", "bin/karat-events", "bin/karatd", "man/man1/karat-events.1", "completions/bash/karat-events", "man/man1/karat-send.1", "man/man1/karatd.1", "completions/bash/karat", "contrib/systemd/karatd.service", "docs/wallet.md"} {
		if contents[name+"/"+file] == "" {
			t.Errorf("the archive lacks %s", file)
		}
	}
	var document cdxDocument
	if err := json.Unmarshal([]byte(contents[name+"/sbom.cdx.json"]), &document); err != nil {
		t.Fatal(err)
	}
	components := map[string]cdxComponent{}
	for _, c := range document.Components {
		components[c.Name] = c
	}
	for path, licence := range map[string]string{"std": "BSD-3-Clause", "github.com/btcsuite/btcd/btcec/v2": "ISC", "github.com/syndtr/goleveldb": "BSD-2-Clause", "github.com/urfave/cli/v2": "MIT", "github.com/jackc/pgx/v5": "MIT"} {
		c := components[path]
		if len(c.Licences) != 1 || c.Licences[0].Licence.ID != licence || path != standard && (len(c.Hashes) != 1 || len(c.Hashes[0].Content) != 64) {
			t.Errorf("%s: %+v", path, c)
		}
		if !strings.Contains(contents[name+"/NOTICES"], path+" "+c.Version) {
			t.Errorf("NOTICES lacks %s", path)
		}
	}
	if components["pgregory.net/rapid"].Name != "" {
		t.Error("a module of tests is said to be in the programs")
	}
	sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 2 || !strings.Contains(string(sums), "  "+name+".tar.gz\n") {
		t.Errorf("%v\n%s", err, sums)
	}
}
