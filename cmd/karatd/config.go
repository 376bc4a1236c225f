package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
)

// configFile is looked for in the data directory, unless --config names another.
const configFile = "karatd.toml"

// notInFile are the flags that a configuration file cannot have: they say where it
// is.
var notInFile = []string{"config", "datadir"}

// readFile sets the flags that stand in the configuration file and were not given in
// another way: the command line wins over the environment, the environment over the
// file, and the file over the defaults. An option that no flag has is an error. A
// typing mistake that is passed over would leave a node open that its owner believes
// closed.
func (o *options) readFile(c *cli.Context) error {
	path := o.configFile
	named := path != ""
	if !named {
		base, err := o.baseDir()
		if err != nil {
			return nil // where a data directory is needed, this is reported
		}
		path = filepath.Join(base, configFile)
	}
	text, err := cmdline.ReadFile(c.Context, path, c.App.Reader)
	switch {
	case !named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		return nil // what is wrong with the data directory itself is reported when it is opened
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
			return fmt.Errorf("configuration file %s: there is no option %q; options are the flags that karatd run --help lists, without dashes", path, name)
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
// All commands read the same file, so it may hold what only run needs.
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

// setFlag sets a flag as if it had been given. A value that this command has no use
// for is checked all the same: a mistake in the file shows at the next command, and
// not at the next start of the node. A flag of this command that only has the same name
// is another one.
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
			return errors.New("want a text, a number, true or false, or a list of texts")
		}
		text := fmt.Sprint(v)
		if err := cmdline.Check(flag, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		if !slices.Contains(slices.Concat(c.App.Flags, c.Command.Flags), flag) {
			continue
		}
		if err := c.Set(flag.Names()[0], text); err != nil {
			return err
		}
	}
	return nil
}
