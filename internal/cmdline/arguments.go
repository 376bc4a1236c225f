package cmdline

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The parser of urfave/cli wants the program's flags before the command, and the
// command's flags between the command and its arguments. People write flags where
// they think of them. So a command line is taken apart here, by the flags that the
// program and its commands have, and put together in the order that the parser
// wants:
//
//	typed                                 parsed
//	karat balance --network dev --json    karat --network=dev balance --json
//	karat send ADDRESS 1 -y               karat send --yes -- ADDRESS 1
//	karat send ADDRESS -1                 karat send -- ADDRESS -1
//
// Mistakes are found on the way, since only here it is known what else there is to
// suggest.

// line is a command line that was taken apart.
type line struct {
	app       *cli.App
	untouched string         // Program.Untouched
	path      []*cli.Command // the command, and the command's own command
	arguments []string
	flags     []given
	help      bool // show the help of path, and run nothing
	version   bool
}

// given is a flag as it was given.
type given struct {
	word  string // as it was typed, for messages
	name  string
	value string
	bare  bool // without a value
}

// parse takes apart the words that follow the program's name.
func (p Program) parse(words []string) (*line, error) {
	l := &line{app: p.App, untouched: p.Untouched}
	literally := false // after a double dash
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
		flag := l.meant(f, words)
		if flag == nil {
			// Whether the next word is its value is not known, so the words that
			// follow mean nothing any more.
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

// isFlag reports whether a word is a flag. A lone dash stands for a standard stream,
// and a dash before a digit makes a negative number. Among the arguments of the
// untouched command, only what this program documents is a flag: anything else may
// be meant for the one who gets them.
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

// splitFlag takes a flag apart. One dash is as good as two, as in all Go programs.
func splitFlag(word string) given {
	word, value, hasValue := strings.Cut(word, "=")
	return given{word: word, name: strings.TrimPrefix(word[1:], "-"), value: value, bare: !hasValue}
}

// addWord takes a word that is no flag. As long as a command has to be named, it is
// one; after that it is an argument.
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
	if len(l.path) == 0 && word == "version" {
		l.version = true
		return nil
	}
	names := []string{"help"}
	for _, c := range commands {
		names = append(names, c.Names()...)
	}
	return Usagef("unknown command %q: %s", l.named(word), l.hint(l.named(nearest(word, names))))
}

// complete adds what may be left out, and refuses what the command does not have.
// It comes last, because flags may stand before the command that they belong to.
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
	// A group of commands shows those to choose from, unless it is a command itself.
	if len(l.commands()) > 0 && (l.last() == nil || l.last().Action == nil) {
		l.help = true
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

// given returns the words for those flags that are among the given ones, each under
// its first name: the parser does not take two names of one flag.
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

// find returns the flag of this name that the commands or the program have, or nil.
func (l *line) find(name string, commands []*cli.Command) cli.Flag {
	flags := l.flagsOf(commands)
	if i := slices.IndexFunc(flags, func(flag cli.Flag) bool { return is(flag, name) }); i >= 0 {
		return flags[i]
	}
	return nil
}

// meant returns the flag of a name: the one of the command, if that has been named, or else of
// whatever command has it. Where one command's takes a value and another's does not, it takes
// one before its command unless a command follows.
func (l *line) meant(f given, next []string) cli.Flag {
	if flag := l.find(f.name, l.path); flag != nil {
		return flag
	}
	names := len(next) > 0 && slices.ContainsFunc(l.app.Commands, func(c *cli.Command) bool { return c.HasName(next[0]) })
	var found cli.Flag
	for _, command := range allCommands(l.app) {
		flag := l.find(f.name, []*cli.Command{command})
		if flag != nil && (found == nil || takesValue(flag) != takesValue(found) && takesValue(flag) != names) {
			found = flag
		}
	}
	return found
}

// flagsOf returns the flags of the commands and those of the program.
func (l *line) flagsOf(commands []*cli.Command) []cli.Flag {
	flags := []cli.Flag{cli.HelpFlag, cli.VersionFlag}
	for _, command := range commands {
		flags = append(flags, command.Flags...)
	}
	return append(flags, l.app.Flags...)
}

// allCommands returns every command.
func allCommands(app *cli.App) []*cli.Command {
	all := slices.Clone(app.Commands)
	for _, command := range app.Commands {
		all = append(all, command.Subcommands...)
	}
	return all
}

// last returns the command to run, or nil if none was named.
func (l *line) last() *cli.Command {
	if len(l.path) == 0 {
		return nil
	}
	return l.path[len(l.path)-1]
}

// commands returns the commands of which one has to be named next, if any.
func (l *line) commands() []*cli.Command {
	if command := l.last(); command != nil {
		return command.Subcommands
	}
	return l.app.Commands
}

// named returns a word after the commands that were named before it.
func (l *line) named(word string) string {
	var words []string
	for _, command := range l.path {
		words = append(words, command.Name)
	}
	return strings.TrimSpace(strings.Join(append(words, word), " "))
}

// ran returns the names of the commands that run, or the program's if it has none.
func (l *line) ran() string { return cmp.Or(l.named(""), l.app.Name) }

// fullName returns the name of the program, followed by those of the commands.
func (l *line) fullName() string { return strings.TrimSpace(l.app.Name + " " + l.named("")) }

// unknownFlag returns the error about a flag that is not there. Before the command is
// known, the flag may be any command's.
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

// hint returns what to do about an unknown word. What may be meant is empty, but for
// what it begins with, if nothing is near.
func (l *line) hint(meant string) string {
	if meant == "--" || meant == l.named("") {
		return "see " + l.fullName() + " --help"
	}
	return "did you mean " + meant + "?"
}

func is(flag cli.Flag, name string) bool { return slices.Contains(flag.Names(), name) }

// takesValue reports whether the word after a flag is its value.
func takesValue(flag cli.Flag) bool {
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && documented.TakesValue()
}
