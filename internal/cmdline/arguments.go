package cmdline

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The parser of urfave/cli wants the flags of a command behind the command and
// before its arguments. People write them where they think of them. So a command
// line is taken apart here, by the flags that the program and its commands have,
// and put together in the order that the parser wants:
//
//	karat balance --network dev --json    karat --network=dev balance --json=true
//	karat send ADDRESS -1                 karat send -- ADDRESS -1

// line is a command line that was taken apart.
type line struct {
	app       *cli.App
	untouched string         // Program.Untouched
	path      []*cli.Command // the command, and the command of that
	arguments []string
	flags     []given
	help      bool
	version   bool
}

// given is a flag as it was given.
type given struct {
	word  string // as it was typed, for messages
	name  string
	value string
	bare  bool // without a value
}

// parse takes apart what stands behind the program's name.
func (p Program) parse(words []string) (*line, error) {
	l := &line{app: p.App, untouched: p.Untouched}
	literally := false // behind a double dash
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "--" && !literally {
			literally = true
			continue
		}
		if literally || !l.isFlag(word) {
			if err := l.addWord(word); err != nil {
				return nil, err
			}
			continue
		}
		f := splitFlag(word)
		flag := l.find(f.name, allCommands(l.app))
		if flag == nil {
			// It is not known whether the next word is its value, so no more can be told.
			return nil, l.unknownFlag(f)
		}
		if f.bare && takesValue(flag) {
			if len(words) == 0 {
				return nil, Usagef("%s needs a value", f.word)
			}
			f.value, f.bare = words[0], false
			words = words[1:]
		}
		l.flags = append(l.flags, f)
	}
	return l, l.complete()
}

// isFlag reports whether a word is a flag. A lone dash means a standard stream,
// and a dash with a digit is a negative number. Among the arguments of an
// untouched command, only what this program documents is a flag: all else may be
// meant for the node.
func (l *line) isFlag(word string) bool {
	if len(word) < 2 || word[0] != '-' || strings.ContainsRune("0123456789.", rune(word[1])) {
		return false
	}
	if len(l.arguments) > 0 && l.named("") == l.untouched {
		name := splitFlag(word).name
		return strings.HasPrefix(word, "--") && l.find(name, l.path) != nil && !is(cli.HelpFlag, name) && !is(cli.VersionFlag, name)
	}
	return true
}

// splitFlag takes a flag apart. One dash is as good as two, as everywhere in Go.
func splitFlag(word string) given {
	word, value, hasValue := strings.Cut(word, "=")
	return given{word: word, name: strings.TrimPrefix(word[1:], "-"), value: value, bare: !hasValue}
}

// addWord takes a word that is no flag: the name of a command while one is looked
// for, else an argument.
func (l *line) addWord(word string) error {
	commands := l.commands()
	if len(commands) == 0 {
		l.arguments = append(l.arguments, word)
		return nil
	}
	if i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(word) }); i >= 0 {
		l.path = append(l.path, commands[i])
		return nil
	}
	if len(l.path) == 0 && (word == "help" || word == "h") {
		l.help = true
		return nil
	}
	names := []string{"help"}
	for _, c := range commands {
		names = append(names, c.Names()...)
	}
	return Usagef("unknown command %q: %s", l.named(word), l.hint(l.named(nearest(word, names))))
}

// complete finds what was left out, and refuses what the command does not have.
func (l *line) complete() error {
	for i := range l.flags {
		l.help = l.help || is(cli.HelpFlag, l.flags[i].name)
		l.version = l.version || is(cli.VersionFlag, l.flags[i].name)
	}
	if l.help || l.version {
		return nil
	}
	if len(l.path) == 0 && l.app.DefaultCommand != "" {
		l.path = append(l.path, l.app.Command(l.app.DefaultCommand))
	}
	if len(l.commands()) > 0 {
		l.help = true // a command is missing: these are the ones to choose from
		return nil
	}
	for _, f := range l.flags {
		flag := l.find(f.name, l.path)
		if flag == nil {
			return l.unknownFlag(f)
		}
		if !f.bare {
			if err := Check(flag, f.value); err != nil {
				return Usagef("--%s %s: %w", flag.Names()[0], f.value, err)
			}
		}
	}
	if len(l.arguments) > 0 && l.last().ArgsUsage == "" {
		return Usagef("%s takes no argument %q", l.named(""), l.arguments[0])
	}
	return checkEnvironment(l.flagsOf(l.path))
}

// words returns the command line in the parser's order.
func (l *line) words() []string {
	words := append([]string{l.app.Name}, l.given(l.app.Flags)...)
	for _, command := range l.path {
		words = append(append(words, command.Name), l.given(command.Flags)...)
	}
	if len(l.arguments) > 0 {
		words = append(append(words, "--"), l.arguments...)
	}
	return words
}

// given returns the flags that are among those of one command, each by its first
// name, so that two names of one flag are no conflict.
func (l *line) given(flags []cli.Flag) (words []string) {
	for _, f := range l.flags {
		i := slices.IndexFunc(flags, func(flag cli.Flag) bool { return is(flag, f.name) })
		if i < 0 {
			continue
		}
		word := "--" + flags[i].Names()[0]
		if !f.bare {
			word += "=" + f.value
		}
		words = append(words, word)
	}
	return words
}

// find returns the flag of a name: the program's or one of the commands'.
func (l *line) find(name string, commands []*cli.Command) cli.Flag {
	flags := l.flagsOf(commands)
	if i := slices.IndexFunc(flags, func(flag cli.Flag) bool { return is(flag, name) }); i >= 0 {
		return flags[i]
	}
	return nil
}

// flagsOf returns the flags of commands and those of the program.
func (l *line) flagsOf(commands []*cli.Command) []cli.Flag {
	flags := []cli.Flag{cli.HelpFlag, cli.VersionFlag}
	for _, command := range commands {
		flags = append(flags, command.Flags...)
	}
	return append(flags, l.app.Flags...)
}

// allCommands returns every command. A flag may stand before its command, and
// whether it takes a value has to be known then already; so flags of one name are
// of one kind in all commands.
func allCommands(app *cli.App) []*cli.Command {
	all := slices.Clone(app.Commands)
	for _, command := range app.Commands {
		all = append(all, command.Subcommands...)
	}
	return all
}

// last returns the command that is to be run, or nil as long as none is named.
func (l *line) last() *cli.Command {
	if len(l.path) == 0 {
		return nil
	}
	return l.path[len(l.path)-1]
}

// commands returns the commands of which one has to be named next.
func (l *line) commands() []*cli.Command {
	if command := l.last(); command != nil {
		return command.Subcommands
	}
	return l.app.Commands
}

// named returns a word behind the commands that were named before it.
func (l *line) named(word string) string {
	var words []string
	for _, command := range l.path {
		words = append(words, command.Name)
	}
	return strings.TrimSpace(strings.Join(append(words, word), " "))
}

// fullName returns the program's name and the commands' behind it.
func (l *line) fullName() string { return strings.TrimSpace(l.app.Name + " " + l.named("")) }

func (l *line) unknownFlag(f given) error {
	commands := l.path
	if len(commands) == 0 {
		commands = allCommands(l.app)
	}
	var names []string
	for _, flag := range l.flagsOf(commands) {
		names = append(names, flag.Names()...)
	}
	return Usagef("unknown flag %s: %s", f.word, l.hint("--"+nearest(f.name, names)))
}

// hint returns what to do about a word that is unknown, with the one that may be
// meant.
func (l *line) hint(meant string) string {
	if meant == "--" || meant == l.named("") {
		return "see " + l.fullName() + " --help"
	}
	return "did you mean " + meant + "?"
}

func is(flag cli.Flag, name string) bool { return slices.Contains(flag.Names(), name) }

func takesValue(flag cli.Flag) bool {
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && documented.TakesValue()
}
