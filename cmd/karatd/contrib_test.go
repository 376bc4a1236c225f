package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
)

// contribFiles returns the files of contrib, by their paths.
func contribFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir("../../contrib", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestContribOptions: every option with which a file of contrib starts a node is one, and has a
// value that it can have.
func TestContribOptions(t *testing.T) {
	app := newApp(&options{}, cmdline.Streams{})
	known := map[string]cli.Flag{}
	flags := app.Flags
	for _, name := range []string{"run", "seed"} {
		flags = slices.Concat(flags, app.Command(name).Flags)
	}
	for _, flag := range flags {
		known[flag.Names()[0]] = flag
	}
	// As an item of a list, in YAML, and in a systemd unit.
	starts, option := regexp.MustCompile(`(?m)^(ExecStart=|\s+- --).*$`), regexp.MustCompile(`--([a-z-]+)(?:[= ]([^\s"]+))?`)
	found := 0
	for path, content := range contribFiles(t) {
		for _, line := range starts.FindAllString(content, -1) {
			for _, match := range option.FindAllStringSubmatch(line, -1) {
				found++
				flag, ok := known[match[1]]
				if !ok {
					t.Errorf("%s: karatd has no --%s", path, match[1])
					continue
				}
				if strings.HasPrefix(match[2], "$") || match[2] == "" {
					continue // whoever uses the file says it
				}
				if err := cmdline.Check(flag, match[2]); err != nil {
					t.Errorf("%s: %s: %v", path, match[0], err)
				}
			}
		}
	}
	if found < 25 {
		t.Errorf("%d options were found", found)
	}
}

// TestContribConfigurations: a node reads the configuration files, also when all that they
// suggest is switched on.
func TestContribConfigurations(t *testing.T) {
	files := contribFiles(t)
	_, inKubernetes, _ := strings.Cut(files["../../contrib/kubernetes/karat.yaml"], "karatd.toml: |\n")
	inKubernetes, _, _ = strings.Cut(inKubernetes, "\n---")
	service := files["../../contrib/systemd/karatd.toml"]
	for name, content := range map[string]string{
		"kubernetes": inKubernetes, "service": service, "service, all": regexp.MustCompile(`(?m)^#([a-z-]+ = )`).ReplaceAllString(service, "$1"),
	} {
		if strings.Count(content, "\n") < 5 {
			t.Fatalf("%s: not found", name)
		}
		path := writeFile(t, filepath.Join(t.TempDir(), "karatd.toml"), content)
		// What comes after it was read is that there is no chain.
		code, _, stderr := karatd("--config", path, "--datadir", t.TempDir(), "coins")
		if code != cmdline.ExitFailure || !strings.Contains(stderr, "nothing is stored in") {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

// TestServiceNamesItsFile: the file that the service's text tells people to write is the one that
// it reads.
func TestServiceNamesItsFile(t *testing.T) {
	unit := contribFiles(t)["../../contrib/systemd/karatd.service"]
	comment, rest, _ := strings.Cut(unit, "[Unit]")
	_, file, ok := strings.Cut(rest, "--config ")
	file, _, _ = strings.Cut(file, "\n")
	if !ok || !strings.Contains(comment, "install -D -m 644 karatd.toml "+file+"\n") || !strings.Contains(comment, "stands in "+file+",") {
		t.Errorf("it reads %q\n%s", file, comment)
	}
}

// TestContribManifests: those for whom the files are read them.
func TestContribManifests(t *testing.T) {
	for _, words := range [][]string{
		{"kubectl", "kustomize", "../../contrib/kubernetes"},
		{"docker", "compose", "-f", "../../contrib/docker/compose.yaml", "--profile", "mine", "--profile", "seed", "config", "--quiet"},
		{"docker", "compose", "-f", "../../contrib/docker/launch.yaml", "config", "--quiet"},
	} {
		t.Run(words[0]+" "+filepath.Base(words[len(words)-1]), func(t *testing.T) {
			if _, err := exec.LookPath(words[0]); err != nil || words[1] == "compose" && exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
				t.Skipf("NOT RUN: %s", strings.Join(words, " "))
			}
			if out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", strings.Join(words, " "), err, out)
			}
		})
	}
}
