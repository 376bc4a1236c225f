package cmdline

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// The columns of a help text: how many there are, and how many of them are for the
// names on the left.
const (
	helpColumns = 100
	nameColumns = 26
)

// writeHelp says what the program or one of its commands is for, and lists its flags.
// A command's help lists the flags of all commands too, since nobody would look for
// them elsewhere. Flags keep the order in which they are declared: those that belong
// together stand together.
func (l *line) writeHelp(w io.Writer) {
	usage, description, arguments := l.app.Usage, l.app.Description, ""
	if command := l.last(); command != nil {
		usage, description, arguments = command.Usage, command.Description, command.ArgsUsage
	}
	fmt.Fprintf(w, "%s - %s\n\nUSAGE:\n   %s [options]", l.fullName(), usage, l.fullName())
	switch {
	case len(l.commands()) == 0:
	case l.last() == nil && l.app.DefaultCommand != "":
		arguments = "[command]"
	default:
		arguments = "command"
	}
	fmt.Fprintln(w, strings.TrimRight(" "+arguments, " "))
	if description != "" {
		fmt.Fprintf(w, "\n   %s\n", strings.ReplaceAll(strings.ReplaceAll(description, "\n", "\n   "), "   \n", "\n"))
	}
	if commands := l.commands(); len(commands) > 0 {
		fmt.Fprint(w, "\nCOMMANDS:\n")
		for _, command := range commands {
			row(w, strings.Join(command.Names(), ", "), command.Usage, 11)
		}
	}
	if command := l.last(); command != nil && len(command.Flags) > 0 {
		flags(w, "OPTIONS OF "+strings.ToUpper(command.Name), command.Flags)
	}
	flags(w, "OPTIONS OF ALL COMMANDS", l.app.Flags)
	row(w, "--help, -h", "show this help, or that of a command", nameColumns)
	row(w, "--version, -v", "show the version", nameColumns)
	if command := l.app.Command(l.app.DefaultCommand); command != nil && l.last() == nil {
		flags(w, "OPTIONS OF "+strings.ToUpper(command.Name)+", the command if none is named", command.Flags)
	}
}

// flags lists flags under a title, and under their categories if they have some.
func flags(w io.Writer, title string, flags []cli.Flag) {
	fmt.Fprintf(w, "\n%s:\n", title)
	category := ""
	for _, flag := range flags {
		documented, ok := flag.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		if c, ok := flag.(cli.CategorizableFlag); ok && c.GetCategory() != category {
			category = c.GetCategory()
			fmt.Fprintf(w, "  %s\n", category)
		}
		// The text has the name of the flag's value in backquotes.
		usage := documented.GetUsage()
		before, rest, _ := strings.Cut(usage, "`")
		value, after, named := strings.Cut(rest, "`")
		name := "--" + strings.Join(flag.Names(), ", -")
		if named {
			usage = before + value + after
			name += " " + value
		}
		if text := strings.Trim(documented.GetDefaultText(), `"`); text != "" && text != "false" {
			usage += " (default: " + text + ")"
		}
		row(w, name, usage, nameColumns)
	}
}

// row writes a name and what it means, in two columns.
func row(w io.Writer, name, text string, column int) {
	line := fmt.Sprintf("   %-*s ", column, name)
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+len(word) >= helpColumns {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line = strings.Repeat(" ", column+4)
		}
		line += " " + word
	}
	fmt.Fprintln(w, line)
}
