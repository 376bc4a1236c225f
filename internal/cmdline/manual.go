package cmdline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// ManCommand returns the command that writes the program's manual. Its pages come from the
// same table as the help texts, so that they say the same.
func ManCommand(program string) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "write the pages of the manual into a folder", ArgsUsage: "FOLDER",
		Description: "Makes one page of the program and one of each command, for man. SOURCE_DATE_EPOCH in\n" +
			"the environment, in seconds since 1970, is the date that they have; else they have none.\n\n" +
			"   " + program + " man ~/.local/share/man/man1      write them where man finds them\n" +
			"   man " + program + "                              read the first",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return Usagef("man wants the folder to write to, such as ~/.local/share/man/man1")
			}
			date, err := sourceDate()
			if err != nil {
				return err
			}
			folder, pages := c.Args().First(), manual(c.App, date)
			if err := writeManual(folder, pages); err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%d pages written to %s\n", len(pages), Printable(folder))
			return nil
		},
	}
}

// sourceDate returns the date that SOURCE_DATE_EPOCH says, as builds that can be repeated
// have it (reproducible-builds.org), or the zero time.
func sourceDate() (time.Time, error) {
	const variable = "SOURCE_DATE_EPOCH"
	text := os.Getenv(variable)
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, Usagef("%s %s: want seconds since 1970", variable, text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// writeManual writes pages into a folder. It makes the folder where its parent is.
func writeManual(folder string, pages []page) error {
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, page := range pages {
		if err := os.WriteFile(filepath.Join(folder, page.name+".1"), []byte(page.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// page is a page of the manual's first section.
type page struct {
	name string // karat-psbt-sign, which `man karat psbt sign` finds
	text string // in man's macros
}

// manual returns the pages of a program, its own before those of its commands.
func manual(app *cli.App, date time.Time) []page {
	m := &pageWriter{app: app}
	if !date.IsZero() {
		m.date = date.Format(time.DateOnly)
	}
	pages := []page{m.program()}
	return append(pages, m.commands([]string{app.Name}, app.Commands)...)
}

// pageWriter writes one page after another.
type pageWriter struct {
	app  *cli.App
	date string
	text strings.Builder
}

// commands returns the pages of commands, which are called by these words and their name.
func (m *pageWriter) commands(words []string, commands []*cli.Command) (pages []page) {
	for _, command := range commands {
		if command.Hidden {
			continue
		}
		path := append(slices.Clone(words), command.Name)
		pages = append(pages, m.command(path, command))
		pages = append(pages, m.commands(path, command.Subcommands)...)
	}
	return pages
}

// program returns the program's own page.
func (m *pageWriter) program() page {
	words := []string{m.app.Name}
	arguments := "command"
	if m.app.DefaultCommand != "" {
		arguments = "[command]"
	}
	m.begin(words, m.app.Usage, arguments, m.app.Description)
	m.list(words, m.app.Commands)
	m.options("OPTIONS OF ALL COMMANDS", m.app.Flags)
	m.option(option{names: []string{"help", "h"}, meaning: "show a short form of this page, or of that of a command"})
	m.option(option{names: []string{"version", "v"}, meaning: "show the version"})
	if command := m.app.Command(m.app.DefaultCommand); command != nil {
		m.options("OPTIONS OF "+strings.ToUpper(command.Name), command.Flags)
	}
	return m.end(words)
}

// command returns the page of a command.
func (m *pageWriter) command(words []string, command *cli.Command) page {
	arguments := command.ArgsUsage
	if len(command.Subcommands) > 0 {
		arguments = "command"
	}
	m.begin(words, command.Usage, arguments, command.Description)
	m.list(words, command.Subcommands)
	if len(command.Flags) > 0 {
		m.options("OPTIONS", command.Flags)
	}
	m.line(".SH OPTIONS OF ALL COMMANDS")
	m.line("They stand in " + reference(words[:1]) + ".")
	m.line(".SH SEE ALSO")
	m.line(reference(words[:len(words)-1]))
	return m.end(words)
}

// begin writes what every page begins with.
func (m *pageWriter) begin(words []string, usage, arguments, description string) {
	name := strings.Join(words, "-")
	m.text.Reset()
	m.line(fmt.Sprintf(".TH %s 1 \"%s\" \"karat %s\" \"karat's manual\"", strings.ToUpper(name), m.date, m.app.Version))
	m.line(".SH NAME")
	m.line(roff(name) + ` \- ` + roff(usage))
	m.line(".SH SYNOPSIS")
	m.line(strings.TrimRight(bold(strings.Join(words, " "))+" [options] "+roff(arguments), " "))
	if description == "" {
		return
	}
	m.line(".SH DESCRIPTION")
	var paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			m.line(roff(strings.Join(paragraph, " ")))
		}
		paragraph = nil
	}
	for _, written := range strings.Split(description, "\n") {
		switch {
		case written == "":
			end()
			m.line(".PP")
		case strings.HasPrefix(written, " "):
			end()
			m.example(strings.TrimSpace(written))
		default:
			paragraph = append(paragraph, strings.Fields(written)...)
		}
	}
	end()
}

// example writes a line of a description that begins with a space: a command, and behind
// spaces what it does.
func (m *pageWriter) example(line string) {
	command, meaning := cutExample(line)
	if meaning == "" {
		m.line(".RS 4\n.nf\n" + bold(command) + "\n.fi\n.RE")
		return
	}
	m.line(".RS 4\n.TP 8\n" + bold(command) + "\n" + roff(meaning) + "\n.RE")
}

// list writes which commands there are.
func (m *pageWriter) list(words []string, commands []*cli.Command) {
	if len(commands) == 0 {
		return
	}
	m.line(".SH COMMANDS")
	for _, command := range commands {
		if !command.Hidden {
			m.line(".TP 4\n" + reference(append(slices.Clone(words), command.Name)) + "\n" + roff(command.Usage))
		}
	}
}

// options writes flags under a title and under their categories.
func (m *pageWriter) options(title string, flags []cli.Flag) {
	m.line(".SH " + title)
	category := ""
	for _, o := range grouped(flags) {
		if o.category != category {
			m.line(".SS " + roff(strings.TrimSuffix(o.category, ":")))
		}
		category = o.category
		m.option(o)
	}
}

// option writes what one flag means.
func (m *pageWriter) option(o option) {
	names := bold("--" + o.names[0])
	for _, short := range o.names[1:] {
		names += ", " + bold("-"+short)
	}
	if o.value != "" {
		names += ` \fI` + roff(o.value) + `\fR`
	}
	m.line(".TP 4\n" + names + "\n" + roff(o.meaning))
}

// end returns the page that was written.
func (m *pageWriter) end(words []string) page {
	return page{strings.Join(words, "-"), m.text.String()}
}

func (m *pageWriter) line(text string) { m.text.WriteString(text + "\n") }

// reference names the page of a command.
func reference(words []string) string { return bold(strings.Join(words, "-")) + "(1)" }

func bold(text string) string { return `\fB` + roff(text) + `\fR` }

// asWritten has man print what would else come out as a typographer's sign, or be taken for a
// macro's, so that a command can be copied.
var asWritten = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

// roff returns a text in man's language.
func roff(text string) string {
	text = asWritten.Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
