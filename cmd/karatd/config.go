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

// notInFile are the flags that a configuration file cannot have: they say where it
// is.
var notInFile = []string{"config", "datadir"}

// readFile gives the flags that were not given otherwise the values of the
// configuration file: the command line wins over the environment, that over the
// file, and the file over the defaults.
func (o *options) readFile(c *cli.Context) error {
	path := o.configFile
	named := path != ""
	if !named {
		base, err := o.baseDir()
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
	for _, name := range slices.Sorted(maps.Keys(values)) {
		flag := fileFlag(c.App, name)
		if flag == nil {
			return fmt.Errorf("configuration file %s: there is no option %q (options are the flags that karatd run --help lists, without dashes)", path, name)
		}
		if c.IsSet(name) {
			continue
		}
		if err := setFlag(c, flag, values[name]); err != nil {
			return fmt.Errorf("configuration file %s: %s: %w", path, name, err)
		}
	}
	return nil
}

// fileFlag returns the flag that an option of the configuration file sets, or nil.
// The file is one for all commands, so it may have what only run needs.
func fileFlag(app *cli.App, name string) cli.Flag {
	if slices.Contains(notInFile, name) {
		return nil
	}
	for _, flag := range slices.Concat(app.Flags, app.Command(app.DefaultCommand).Flags) {
		if flag.Names()[0] == name {
			return flag
		}
	}
	return nil
}

// setFlag sets a flag as if it had been given. Values that the command has no use
// for are checked and left.
func setFlag(c *cli.Context, flag cli.Flag, value any) error {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	if _, takesList := flag.(*cli.StringSliceFlag); isList && !takesList {
		return errors.New("want one value, not a list")
	}
	for _, v := range list {
		switch v.(type) {
		case string, int64, bool, float64:
		default:
			return errors.New("want a text, a number, true, false, or a list of texts")
		}
		text := fmt.Sprint(v)
		if err := cmdline.Check(flag, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		if err := c.Set(flag.Names()[0], text); err != nil && !strings.HasPrefix(err.Error(), "no such flag") {
			return err
		}
	}
	return nil
}
