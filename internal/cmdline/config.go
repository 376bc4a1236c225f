package cmdline

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"
)

// ConfigFile is a file of options: each is the name of a flag without its dashes.
type ConfigFile struct {
	Path  string
	Named bool       // somebody named it, so it must be there
	Flags []cli.Flag // those that may stand in it
	List  string     // the command line that lists them
}

// Read sets the flags that stand in the file and were not given in another way: the
// command line wins over the environment, the environment over the file, and the file
// over the defaults. An option that no flag has is an error. A typing mistake that is
// passed over would leave a node open that its owner believes closed.
func (f ConfigFile) Read(c *cli.Context) error {
	text, err := ReadFile(c.Context, f.Path, c.App.Reader)
	switch {
	case !f.Named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		return nil // what is wrong with the data directory itself is reported when it is opened
	case err != nil:
		return fmt.Errorf("configuration file: %w", err)
	}
	values := map[string]any{}
	if _, err := toml.Decode(text, &values); err != nil {
		return fmt.Errorf("configuration file %s: %w", f.Path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(f.Flags, func(flag cli.Flag) bool { return flag.Names()[0] == name })
		if i < 0 {
			return f.unknown(name)
		}
		if c.IsSet(name) {
			continue
		}
		if err := setFlag(c, f.Flags[i], values[name]); err != nil {
			return fmt.Errorf("configuration file %s: %s: %w", f.Path, name, err)
		}
	}
	return nil
}

// unknown returns the error about an option that is not there.
func (f ConfigFile) unknown(name string) error {
	var names []string
	for _, flag := range f.Flags {
		names = append(names, flag.Names()[0])
	}
	hint := fmt.Sprintf("options are the flags that %s lists, without dashes", f.List)
	if meant := nearest(name, names); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	return fmt.Errorf("configuration file %s: there is no option %q: %s", f.Path, name, hint)
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
		if err := Check(flag, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		if !slices.Contains(c.App.Flags, flag) && (c.Command == nil || !slices.Contains(c.Command.Flags, flag)) {
			continue
		}
		if err := c.Set(flag.Names()[0], text); err != nil {
			return err
		}
	}
	return nil
}
