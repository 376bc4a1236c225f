package main

import (
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
)

// configFile is looked for in the data directory, unless --config names another.
const configFile = "karatd.toml"

// notInFile are the flags that a configuration file cannot have: they say where it
// is.
var notInFile = []string{"config", "datadir"}

// readFile sets the flags that stand in the configuration file and were not given in
// another way.
func (o *options) readFile(c *cli.Context) error {
	path := o.configFile
	if path == "" {
		base, err := o.baseDir()
		if err != nil {
			return nil // where a data directory is needed, this is reported
		}
		path = filepath.Join(base, configFile)
	}
	// All commands read the same file, so it may hold what only run needs.
	flags := slices.Concat(c.App.Flags, c.App.Command(c.App.DefaultCommand).Flags)
	flags = slices.DeleteFunc(flags, func(flag cli.Flag) bool { return slices.Contains(notInFile, flag.Names()[0]) })
	// A command that calls others has some of run's flags, for the same options.
	for i, flag := range flags {
		if own := sameOption(flag, c.Command); own != nil {
			flags[i] = own
		}
	}
	return cmdline.ConfigFile{Path: path, Named: o.configFile != "", Flags: flags, List: "karatd run --help"}.Read(c)
}

// sameOption returns the flag of a command that sets the same option as another flag, nil if
// there is none. That it has the same name is not enough.
func sameOption(flag cli.Flag, command *cli.Command) cli.Flag {
	text, ok := flag.(*cli.StringFlag)
	if !ok || command == nil || text.Destination == nil {
		return nil
	}
	for _, own := range command.Flags {
		if t, ok := own.(*cli.StringFlag); ok && t.Destination == text.Destination {
			return own
		}
	}
	return nil
}
