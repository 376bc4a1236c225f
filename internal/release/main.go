// Command release makes what people download: for each platform an archive of the programs with
// their manual, completions and docs, a bill of materials (CycloneDX), Debian packages, and
// the checksums of all.
//
//	go run ./internal/release -out dist linux/amd64 darwin/arm64
//
// Whoever makes it from the same source with the same Go gets the same bytes, wherever and
// whenever: nothing of the machine goes in, paths are left out, files are sorted and have one
// time. That time is SOURCE_DATE_EPOCH, or the commit's.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat"
)

// programs are what a release holds, as folders of cmd.
var programs = []string{"karat", "karat-events", "karatd"}

// modules are the folders in which programs are built. karat-events is a module of its own.
var modules = map[string]string{"karat": ".", "karatd": ".", "karat-events": "cmd/karat-events"}

// platform is an operating system and a processor, by Go's names.
type platform struct{ os, arch string }

func main() {
	out := flag.String("out", "dist", "write into this folder, which is emptied before")
	nfpm := flag.String("nfpm", "", "make Debian packages by this version of nfpm: a Go package with its version, or the path of a program")
	only := flag.String("programs", "", "make no release: build the programs of the one platform into this folder, as a release has them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if *only != "" {
		err = buildOnly(ctx, *only, flag.Args())
	} else {
		err = run(ctx, *out, *nfpm, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run makes the release of the source in the current folder.
func run(ctx context.Context, out, nfpm string, targets []string) error {
	r, err := newRelease(ctx, out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if len(targets) == 0 {
		targets = []string{runtime.GOOS + "/" + runtime.GOARCH}
	}
	for _, target := range targets {
		p, err := parsePlatform(target)
		if err != nil {
			return err
		}
		if err := r.make(ctx, p, nfpm); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	return r.checksums()
}

// buildOnly builds the programs of one platform into a folder.
func buildOnly(ctx context.Context, folder string, targets []string) error {
	if len(targets) != 1 {
		return errors.New("-programs wants one platform")
	}
	p, err := parsePlatform(targets[0])
	if err != nil {
		return err
	}
	return buildPrograms(ctx, p, folder)
}

// parsePlatform reads OS/ARCH.
func parsePlatform(text string) (platform, error) {
	system, arch, ok := strings.Cut(text, "/")
	if !ok || system == "" || arch == "" {
		return platform{}, fmt.Errorf("%s: want OS/ARCH, such as linux/amd64", text)
	}
	return platform{system, arch}, nil
}

// release is one on its way.
type release struct {
	out, work string    // where it goes; what is needed meanwhile
	date      time.Time // of every file
	modules   map[string]string
	shared    []file // what is the same for all platforms
}

// file is what goes into an archive.
type file struct {
	name    string // with slashes
	content []byte
	program bool // it can be run
}

func newRelease(ctx context.Context, out string) (*release, error) {
	if err := os.RemoveAll(out); err != nil {
		return nil, err
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "karat-release-")
	if err != nil {
		return nil, err
	}
	r := &release{out: out, work: work}
	if r.date, err = sourceDate(ctx); err != nil {
		return nil, err
	}
	if r.modules, err = moduleFolders(ctx); err != nil {
		return nil, err
	}
	if r.shared, err = documents(); err != nil {
		return nil, err
	}
	written, err := r.generated(ctx)
	r.shared = append(r.shared, written...)
	return r, err
}

// sourceDate returns the time of every file of the release.
func sourceDate(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := command(ctx, nil, "git", "log", "-1", "--format=%ct")
		if err != nil {
			return time.Time{}, fmt.Errorf("without git, SOURCE_DATE_EPOCH has to say the time of the files, in seconds since 1970: %w", err)
		}
		text = strings.TrimSpace(out)
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 315532800 || seconds > 1<<32 { // a zip begins in 1980
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %s: want seconds since 1970, from 1980 on", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// documents returns what is read and copied as it is.
func documents() ([]file, error) {
	var files []file
	for _, pattern := range []string{"LICENSE", "README.md", "docs/*.md", "docs/*/*.md", "contrib/*/*", "contrib/*/*/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				return nil, err
			}
			if info.IsDir() || strings.HasSuffix(name, ".go") {
				continue
			}
			content, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, file{name: filepath.ToSlash(name), content: content, program: strings.HasSuffix(name, ".sh")})
		}
	}
	return files, nil
}

// generated returns what the programs write about themselves: manual and completions. They
// say the same on every platform.
func (r *release) generated(ctx context.Context) ([]file, error) {
	host := platform{runtime.GOOS, runtime.GOARCH}
	folder, err := r.build(ctx, host)
	if err != nil {
		return nil, err
	}
	manual := filepath.Join(r.work, "man1")
	var files []file
	for _, program := range programs {
		path := filepath.Join(folder, binary(program, host))
		if _, err := command(ctx, []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix())}, path, "man", manual); err != nil {
			return nil, err
		}
		for shell, name := range map[string]string{"bash": program, "zsh": "_" + program, "fish": program + ".fish"} {
			script, err := command(ctx, nil, path, "completion", shell)
			if err != nil {
				return nil, err
			}
			files = append(files, file{name: "completions/" + shell + "/" + name, content: []byte(script)})
		}
	}
	pages, err := os.ReadDir(manual)
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		content, err := os.ReadFile(filepath.Join(manual, page.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: "man/man1/" + page.Name(), content: content})
	}
	return files, nil
}

// build returns a folder with the programs of a platform.
func (r *release) build(ctx context.Context, p platform) (folder string, err error) {
	folder = filepath.Join(r.work, p.os+"-"+p.arch)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	return folder, buildPrograms(ctx, p, folder)
}

// buildPrograms builds the programs of a platform into a folder.
func buildPrograms(ctx context.Context, p platform, folder string) error {
	// What else of the environment decides what comes out is set to its default.
	env := []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off"}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	for _, program := range programs {
		_, err := command(ctx, env, "go", "build", "-C", modules[program], "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", filepath.Join(folder, binary(program, p)), own+"/cmd/"+program)
		if err != nil {
			return err
		}
	}
	return nil
}

// binary returns the name of a program's file.
func binary(program string, p platform) string {
	if p.os == "windows" {
		return program + ".exe"
	}
	return program
}

// make makes what there is for one platform.
func (r *release) make(ctx context.Context, p platform, nfpm string) error {
	name := fmt.Sprintf("karat-%s-%s-%s", karat.Version, p.os, p.arch)
	folder, err := r.build(ctx, p)
	if err != nil {
		return err
	}
	bill, err := newBill(ctx, folder, p, r)
	if err != nil {
		return err
	}
	files := slices.Clone(r.shared)
	for _, program := range programs {
		content, err := os.ReadFile(filepath.Join(folder, binary(program, p)))
		if err != nil {
			return err
		}
		files = append(files, file{"bin/" + binary(program, p), content, true})
	}
	sbom, err := bill.cycloneDX(r.date)
	if err != nil {
		return err
	}
	files = append(files, file{name: "sbom.cdx.json", content: sbom}, file{name: "NOTICES", content: bill.notices()})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	if err := os.WriteFile(filepath.Join(r.out, name+".cdx.json"), sbom, 0o644); err != nil {
		return err
	}
	if p.os == "windows" {
		err = writeZip(filepath.Join(r.out, name+".zip"), name, files, r.date)
	} else {
		err = writeTar(filepath.Join(r.out, name+".tar.gz"), name, files, r.date)
	}
	if err != nil || p.os != "linux" || nfpm == "" {
		return err
	}
	return r.debian(ctx, p, nfpm, files)
}

// checksums writes SHA256SUMS, which sha256sum -c reads.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(r.out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	fmt.Print(sums.String())
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// command runs a program, with more in its environment, and returns what it printed.
func command(ctx context.Context, env []string, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), env...)
	out, err := c.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(string(out)+string(exit.Stderr)))
	}
	return string(out), err
}
