package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/karatcoin/karat"
)

// bill is what the programs of a platform are made of, as the programs themselves tell.
type bill struct {
	platform platform
	modules  map[string]module // by path and version
	programs []part
}

// module is somebody's code that is in a program.
type module struct {
	path, version, sum string // the sum is go.sum's
	licence            string // by SPDX
	texts              []file // its licences and notices
}

// part is a program, and the modules in it.
type part struct {
	name    string
	sum     [sha256.Size]byte
	modules []string
}

const (
	standard = "std"                        // Go's library
	own      = "github.com/karatcoin/karat" // the module of this source
)

// newBill reads the programs in a folder.
func newBill(ctx context.Context, folder string, p platform, r *release) (*bill, error) {
	b := &bill{platform: p, modules: map[string]module{}}
	for _, program := range programs {
		path := filepath.Join(folder, binary(program, p))
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		part := part{name: program, sum: sha256.Sum256(content)}
		found := []module{{path: standard, version: strings.TrimPrefix(info.GoVersion, "go")}}
		for _, d := range info.Deps {
			if d.Path == own { // in a program that is a module of its own
				continue
			}
			if d.Replace != nil {
				return nil, fmt.Errorf("%s is replaced by %s: a release is made of what has a name", d.Path, d.Replace.Path)
			}
			found = append(found, module{path: d.Path, version: d.Version, sum: d.Sum})
		}
		for _, m := range found {
			part.modules = append(part.modules, m.key())
			if _, ok := b.modules[m.key()]; ok {
				continue
			}
			if m.texts, m.licence, err = licences(r.modules[m.folder()]); err != nil {
				return nil, fmt.Errorf("%s: %w", m.key(), err)
			}
			b.modules[m.key()] = m
		}
		b.programs = append(b.programs, part)
	}
	return b, ctx.Err()
}

// key is by what a module is found: its package URL.
func (m module) key() string { return "pkg:golang/" + m.path + "@" + m.version }

// folder is by what the folder of its source is found.
func (m module) folder() string {
	if m.path == standard {
		return standard
	}
	return m.path + " " + m.version
}

// moduleFolders returns where the source of each module is, by the module's path and version.
func moduleFolders(ctx context.Context) (map[string]string, error) {
	folders := map[string]string{}
	for _, module := range modules {
		list, err := command(ctx, nil, "go", "list", "-C", module, "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}", "all")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(list) {
			path, folder, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if folder != "" { // nothing of it is needed here, and perhaps by another program
				folders[path] = folder
			}
		}
	}
	root, err := command(ctx, nil, "go", "env", "GOROOT")
	folders[standard] = strings.TrimSpace(root)
	return folders, err
}

// licences returns the texts in a module's folder that have to go with its code, and the
// licence that they are. A module without one, or with one that is not known here, is an
// error: somebody has to read it.
func licences(folder string) (texts []file, licence string, err error) {
	if folder == "" {
		return nil, "", fmt.Errorf("its source is not there")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, "", err
	}
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		if entry.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "NOTICE") && name != "UNLICENSE" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, "", err
		}
		texts = append(texts, file{name: entry.Name(), content: content})
		if licence == "" {
			licence = spdx(string(content))
		}
	}
	if licence == "" {
		return nil, "", fmt.Errorf("no licence that is known was found in %d files", len(texts))
	}
	return texts, licence, nil
}

// spdx returns the name of a licence by words that only it has, or nothing.
func spdx(text string) string {
	words := slices.DeleteFunc(strings.Fields(text), func(word string) bool { return word == ">" }) // some quote theirs
	text = strings.Join(words, " ")
	for _, known := range []struct{ name, words string }{
		{"Apache-2.0", "Apache License Version 2.0"},
		{"Apache-2.0", "Apache License, Version 2.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License, version 2.0"},
		{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"},
		{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
		{"CC0-1.0", "CC0 1.0 Universal"},
		{"BSD-3-Clause", "may be used to endorse or promote products"},
		{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright"},
	} {
		if strings.Contains(text, known.words) {
			return known.name
		}
	}
	return ""
}

// notices returns the licences of all that is in the programs, which ask to go with them.
func (b *bill) notices() []byte {
	var text bytes.Buffer
	text.WriteString("karat has code of others in it. These are their licences and notices.\n")
	for _, key := range slices.Sorted(maps.Keys(b.modules)) {
		m := b.modules[key]
		for _, f := range m.texts {
			line := strings.Repeat("=", 80)
			fmt.Fprintf(&text, "\n%s\n%s %s (%s): %s\n%s\n\n%s\n", line, m.path, m.version, m.licence, f.name, line, bytes.Trim(f.content, "\n"))
		}
	}
	return text.Bytes()
}

// The parts of CycloneDX 1.6 that are used.
type (
	cdxDocument struct {
		Format       string          `json:"bomFormat"`
		Spec         string          `json:"specVersion"`
		Serial       string          `json:"serialNumber,omitempty"`
		Version      int             `json:"version"`
		Metadata     cdxMetadata     `json:"metadata"`
		Components   []cdxComponent  `json:"components"`
		Dependencies []cdxDependency `json:"dependencies"`
	}
	cdxMetadata struct {
		Timestamp string       `json:"timestamp"`
		Component cdxComponent `json:"component"`
	}
	cdxComponent struct {
		Type       string         `json:"type"`
		Ref        string         `json:"bom-ref"`
		Name       string         `json:"name"`
		Version    string         `json:"version"`
		Hashes     []cdxHash      `json:"hashes,omitempty"`
		Licences   []cdxLicence   `json:"licenses,omitempty"`
		URL        string         `json:"purl,omitempty"`
		Components []cdxComponent `json:"components,omitempty"`
	}
	cdxHash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	cdxLicence struct {
		Licence struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	cdxDependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

// cycloneDX returns the bill as a CycloneDX document, whose serial number comes from what it
// says.
func (b *bill) cycloneDX(date time.Time) ([]byte, error) {
	named := func(id string) []cdxLicence {
		var l cdxLicence
		l.Licence.ID = id
		return []cdxLicence{l}
	}
	main := "pkg:golang/github.com/karatcoin/karat@" + karat.Version
	d := cdxDocument{Format: "CycloneDX", Spec: "1.6", Version: 1, Components: []cdxComponent{}}
	d.Metadata.Timestamp = date.Format(time.RFC3339)
	d.Metadata.Component = cdxComponent{Type: "application", Ref: main, Name: "karat", Version: karat.Version, URL: main, Licences: named("ISC")}
	var all []string
	for _, p := range b.programs {
		ref := fmt.Sprintf("%s?goos=%s&goarch=%s#cmd/%s", main, b.platform.os, b.platform.arch, p.name)
		d.Metadata.Component.Components = append(d.Metadata.Component.Components, cdxComponent{
			Type: "application", Ref: ref, Name: p.name, Version: karat.Version, URL: ref, Hashes: []cdxHash{{"SHA-256", fmt.Sprintf("%x", p.sum)}}, Licences: named("ISC"),
		})
		d.Dependencies = append(d.Dependencies, cdxDependency{ref, slices.Sorted(slices.Values(p.modules))})
		all = append(all, ref)
	}
	d.Dependencies = append(d.Dependencies, cdxDependency{main, all})
	for _, key := range slices.Sorted(maps.Keys(b.modules)) {
		m := b.modules[key]
		c := cdxComponent{Type: "library", Ref: key, Name: m.path, Version: m.version, URL: key, Licences: named(m.licence)}
		// As others do that make bills of Go modules: the sum of go.sum, which is over the
		// names and sums of the module's files.
		if text, ok := strings.CutPrefix(m.sum, "h1:"); ok {
			sum, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, fmt.Errorf("%s: sum %s: %w", key, m.sum, err)
			}
			c.Hashes = []cdxHash{{"SHA-256", fmt.Sprintf("%x", sum)}}
		}
		d.Components = append(d.Components, c)
		d.Dependencies = append(d.Dependencies, cdxDependency{key, []string{}})
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8, RFC 9562
	d.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	text, err = json.MarshalIndent(d, "", " ")
	return append(text, '\n'), err
}
