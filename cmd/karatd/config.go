package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
)

// configFile is looked for in the data directory unless --config names another.
const configFile = "karatd.toml"

// notInConfig are the flags that a configuration file cannot have: they say
// where it is.
var notInConfig = []string{flagConfig, flagDataDir}

// option returns the value that a flag has in the context nearest to the
// command in which it was given, on the command line or by the environment: run
// has all flags of karatd itself once more, so that they may stand before or
// behind the command.
func option[T any](c *cli.Context, name string, value func(*cli.Context, string) T) T {
	for _, ctx := range c.Lineage() {
		if ctx.IsSet(name) {
			return value(ctx, name)
		}
	}
	return value(c, name)
}

func isGiven(c *cli.Context, name string) bool {
	return slices.ContainsFunc(c.Lineage(), func(ctx *cli.Context) bool { return ctx.IsSet(name) })
}

func stringOption(c *cli.Context, name string) string {
	return option(c, name, (*cli.Context).String)
}

func intOption(c *cli.Context, name string) int64 { return option(c, name, (*cli.Context).Int64) }

func boolOption(c *cli.Context, name string) bool { return option(c, name, (*cli.Context).Bool) }

func listOption(c *cli.Context, name string) []string {
	return option(c, name, (*cli.Context).StringSlice)
}

// readConfig gives the flags that were not given otherwise the values of the
// configuration file: the command line wins over the environment, that over the
// file, and the file over the defaults.
func readConfig(c *cli.Context) error {
	path := stringOption(c, flagConfig)
	named := path != ""
	if !named {
		base, err := baseDir(c)
		if err != nil {
			return nil // whoever needs a data directory will say so
		}
		path = filepath.Join(base, configFile)
	}
	text, err := cmdline.ReadFile(c.Context, path, c.App.Reader)
	switch {
	case !named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		return nil // what is wrong with the data directory is said when it is opened
	case err != nil:
		return fmt.Errorf("configuration file: %w", err)
	}
	values := map[string]any{}
	if _, err := toml.Decode(text, &values); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	known := configFlags()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !known[name] {
			return fmt.Errorf("configuration file %s: there is no option %q (options are the flags of karatd run, without dashes)", path, name)
		}
		if isGiven(c, name) {
			continue
		}
		if err := setOption(c, name, values[name]); err != nil {
			return fmt.Errorf("configuration file %s: %s: %w", path, name, err)
		}
	}
	return nil
}

// setOption sets a flag as if it had been given. Commands other than run do not
// have the flags of run, which a configuration file may hold all the same.
func setOption(c *cli.Context, name string, value any) error {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	for _, v := range list {
		switch v.(type) {
		case string, int64, bool, float64:
		default:
			return errors.New("want a text, a number, true, false, or a list of texts")
		}
		if isList && !slices.Contains(listFlags, name) {
			return errors.New("want one value, not a list")
		}
		if err := c.Set(name, fmt.Sprint(v)); err != nil && !strings.HasPrefix(err.Error(), "no such flag") {
			return fmt.Errorf("%v: want %s", v, wanted(name))
		}
	}
	return nil
}

// wanted says what values a flag takes.
func wanted(name string) string {
	for _, flag := range runFlags(noEnv) {
		if flag.Names()[0] != name {
			continue
		}
		switch flag.(type) {
		case *cli.BoolFlag:
			return "true or false"
		case *cli.Int64Flag:
			return "a whole number"
		case *cli.DurationFlag:
			return `a text with a unit, such as "500ms" or "30s"`
		}
	}
	return "a text"
}

// configFlags returns the names that a configuration file may have.
func configFlags() map[string]bool {
	known := map[string]bool{}
	for _, flag := range runFlags(noEnv) {
		known[flag.Names()[0]] = true
	}
	for _, name := range notInConfig {
		delete(known, name)
	}
	return known
}
