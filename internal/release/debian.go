package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/karatcoin/karat"
)

// debian makes a Debian package of an archive's files by nfpm. contrib/debian/nfpm.yaml says
// what it is and what is run at its installation; here is only what goes where.
func (r *release) debian(ctx context.Context, p platform, nfpm string, files []file) error {
	stage, err := os.MkdirTemp(r.work, "debian-")
	if err != nil {
		return err
	}
	config, err := os.ReadFile("contrib/debian/nfpm.yaml")
	if err != nil {
		return err
	}
	scripts, err := filepath.Abs("contrib/debian")
	if err != nil {
		return err
	}
	date := r.date.Format(time.RFC3339)
	values := map[string]string{"ARCH": p.arch, "VERSION": karat.Version, "SCRIPTS": scripts, "DATE": date}
	var text bytes.Buffer
	text.WriteString(os.Expand(string(config), func(name string) string { return values[name] }) + "contents:\n")
	for _, f := range files {
		to, content, err := installed(f)
		if err != nil {
			return err
		}
		if to == "" {
			continue
		}
		from := filepath.Join(stage, to)
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(from, content, 0o644); err != nil {
			return err
		}
		kind := ""
		if strings.HasPrefix(to, "etc/") {
			kind = ", type: config|noreplace"
		}
		fmt.Fprintf(&text, "  - {src: %q, dst: %q%s, file_info: {mode: 0%o, mtime: %s}}\n", from, "/"+to, kind, f.mode(), date)
	}
	yaml := filepath.Join(stage, "nfpm.yaml")
	if err := os.WriteFile(yaml, text.Bytes(), 0o644); err != nil {
		return err
	}
	out, err := filepath.Abs(filepath.Join(r.out, fmt.Sprintf("karat_%s_%s.deb", karat.Version, p.arch)))
	if err != nil {
		return err
	}
	env := []string{
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix()),
		"GOOS=", "GOARCH=", "GOFLAGS=", // nfpm is for this machine
	}
	words := []string{nfpm}
	if strings.Contains(nfpm, "@") {
		words = []string{"go", "run", nfpm}
	}
	words = append(words, "package", "--packager", "deb", "--config", yaml, "--target", out)
	_, err = command(ctx, env, words[0], words[1:]...)
	return err
}

// installed returns where a file of an archive goes on Debian, without the first slash, and
// what stands in it there. The place is empty for what a package has no use for.
func installed(f file) (to string, content []byte, err error) {
	folder, name := path.Split(f.name)
	switch folder {
	case "bin/":
		return "usr/bin/" + name, f.content, nil
	case "man/man1/":
		content, err = compressed(f.content)
		return "usr/share/man/man1/" + name + ".gz", content, err
	case "completions/bash/":
		return "usr/share/bash-completion/completions/" + name, f.content, nil
	case "completions/zsh/":
		return "usr/share/zsh/vendor-completions/" + name, f.content, nil
	case "completions/fish/":
		return "usr/share/fish/vendor_completions.d/" + name, f.content, nil
	case "contrib/systemd/":
		if name != "karatd.service" {
			return "etc/karat/" + name, f.content, nil
		}
		unit := bytes.ReplaceAll(f.content, []byte("/usr/local/bin/"), []byte("/usr/bin/"))
		if bytes.Equal(unit, f.content) {
			return "", nil, errors.New(f.name + " does not run /usr/local/bin/karatd: where does it run it?")
		}
		return "usr/lib/systemd/system/" + name, unit, nil
	case "contrib/debian/":
		if name == "copyright" { // which has to be complete
			return "usr/share/doc/karat/copyright", f.content, nil
		}
		return "", nil, nil
	}
	switch f.name {
	case "LICENSE":
		return "", nil, nil // it stands in copyright
	case "sbom.cdx.json", "NOTICES":
		return "usr/share/doc/karat/" + f.name, f.content, nil
	}
	return "usr/share/doc/karat/" + f.name, f.content, nil
}

// compressed returns content as gzip without a name and a time.
func compressed(content []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}
