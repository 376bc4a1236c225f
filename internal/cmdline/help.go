package cmdline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The columns of a help text: how many there are, and how many of them are for the
// names on the left.
const (
	helpColumns = 80
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
	fmt.Fprint(w, wrapped(strings.Fields(l.fullName()+" - "+usage), "", "   "))
	fmt.Fprintf(w, "\nUSAGE:\n   %s [options]", l.fullName())
	switch {
	case len(l.commands()) == 0:
	case l.last() == nil && l.app.DefaultCommand != "":
		arguments = "[command]"
	default:
		arguments = "command"
	}
	fmt.Fprintln(w, strings.TrimRight(" "+arguments, " "))
	if description != "" {
		fmt.Fprint(w, "\n"+fill(description))
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
	for _, o := range grouped(flags) {
		if o.category != category {
			category = o.category
			fmt.Fprintf(w, "  %s\n", category)
		}
		name := "--" + strings.Join(o.names, ", -")
		if o.value != "" {
			name += " " + o.value
		}
		row(w, name, o.meaning, nameColumns)
	}
}

// grouped returns what people are told of flags: first those without a category, then each
// category once, in the order in which they begin.
func grouped(flags []cli.Flag) []option {
	var options []option
	place := map[string]int{"": -1}
	for _, flag := range flags {
		o, ok := describe(flag)
		if !ok {
			continue
		}
		if _, seen := place[o.category]; !seen {
			place[o.category] = len(place)
		}
		options = append(options, o)
	}
	slices.SortStableFunc(options, func(a, b option) int { return cmp.Compare(place[a.category], place[b.category]) })
	return options
}

// option is what people are told of a flag.
type option struct {
	names    []string // the long one, then the short one if there is one
	value    string   // what its value is called; empty if it takes none
	meaning  string   // with the default, if it has one
	category string
}

// describe returns what people are told of a flag, if it is for people.
func describe(flag cli.Flag) (option, bool) {
	documented, ok := flag.(cli.DocGenerationFlag)
	if visible, hides := flag.(cli.VisibleFlag); !ok || hides && !visible.IsVisible() {
		return option{}, false
	}
	o := option{names: flag.Names(), meaning: documented.GetUsage()}
	if c, ok := flag.(cli.CategorizableFlag); ok {
		o.category = c.GetCategory()
	}
	// The text has the name of the flag's value in backquotes.
	before, rest, _ := strings.Cut(o.meaning, "`")
	if value, after, named := strings.Cut(rest, "`"); named {
		o.value, o.meaning = value, before+value+after
	}
	if text := strings.Trim(documented.GetDefaultText(), `"`); text != "" && text != "false" {
		o.meaning += " (default: " + text + ")"
	}
	return o, true
}

// fill returns a description whose lines end where the columns do. Lines that begin with a
// space are examples: if one is too long, what it says behind the command goes below.
func fill(description string) string {
	var text strings.Builder
	var words []string
	end := func() {
		text.WriteString(wrapped(words, "   ", "   "))
		words = nil
	}
	for _, written := range strings.Split(description, "\n") {
		if written != "" && !strings.HasPrefix(written, " ") {
			words = append(words, strings.Fields(written)...)
			continue
		}
		end()
		line := strings.TrimRight("   "+written, " ")
		if command, meaning := cutExample(line); Width(line) > helpColumns && meaning != "" {
			line = command + "\n" + strings.Repeat(" ", 10) + meaning
		}
		text.WriteString(line + "\n")
	}
	end()
	return text.String()
}

// cutExample takes apart an example of a description: the command, and behind two spaces or
// more what it does, if that is said.
func cutExample(line string) (command, meaning string) {
	at := strings.LastIndex(line, "  ")
	if at < 0 || strings.TrimSpace(line[:at]) == "" {
		return line, ""
	}
	return strings.TrimRight(line[:at], " "), line[at+2:]
}

// wrapped returns words in lines, of which the first begins in one way and all others in
// another. A word that is longer than a line is not broken.
func wrapped(words []string, first, others string) string {
	var text strings.Builder
	line, empty := first, true
	for _, word := range words {
		if !empty && Width(line)+1+Width(word) > helpColumns {
			text.WriteString(line + "\n")
			line, empty = others, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	if !empty {
		text.WriteString(line + "\n")
	}
	return text.String()
}

// row writes a name and what it means, in two columns.
func row(w io.Writer, name, text string, column int) {
	fmt.Fprint(w, wrapped(strings.Fields(text), fmt.Sprintf("   %-*s  ", column, name), strings.Repeat(" ", column+5)))
}
