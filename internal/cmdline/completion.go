package cmdline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completing is the last word when a shell asks how an unfinished command line may go on.
// The word before it is the unfinished one, which may be empty.
const completing = "--generate-completion"

// CompletionCommand returns the command that prints what a shell needs to complete command
// lines of a program.
func CompletionCommand(program string) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print what bash, zsh or fish need to complete command lines", ArgsUsage: "SHELL",
		Description: "With it the Tab key completes commands and flags, and corrects those that are mistyped.\n\n" +
			"   echo 'source <(" + program + " completion bash)' >>~/.bashrc\n" +
			"   echo 'source <(" + program + " completion zsh)' >>~/.zshrc\n" +
			"   " + program + " completion fish >~/.config/fish/completions/" + program + ".fish",
		Action: func(c *cli.Context) error {
			script, known := shells[c.Args().First()]
			if !known || c.NArg() != 1 {
				return Usagef("completion wants the name of a shell: bash, zsh or fish")
			}
			fmt.Fprint(c.App.Writer, strings.NewReplacer("PROGRAM", program, "COMPLETING", completing).Replace(script))
			return nil
		},
	}
}

// shells are the scripts. Each calls the program with the words so far, of which the last is
// unfinished, and gets lines of a candidate, a tab and what it means. Where there are none the
// shell offers files.
var shells = map[string]string{
	"bash": `_PROGRAM() {
	local IFS=$'\n'
	COMPREPLY=($("${COMP_WORDS[@]:0:COMP_CWORD+1}" COMPLETING 2>/dev/null | cut -f 1))
}
complete -o bashdefault -o default -F _PROGRAM PROGRAM
`,
	"zsh": `#compdef PROGRAM
_PROGRAM() {
	local -a found
	found=("${(@f)$("${(@)words[1,CURRENT]}" COMPLETING 2>/dev/null | sed 's/:/\\:/g; s/	/:/')}")
	if [[ -n "$found[1]" ]]; then
		_describe PROGRAM found -U
	else
		_files
	fi
}
compdef _PROGRAM PROGRAM
`,
	"fish": `complete -c PROGRAM -f -a '(set -l words (commandline -opc) (commandline -ct); command $words COMPLETING 2>/dev/null)'
`,
}

// complete prints how a command line may go on. It takes the words that follow the program's
// name.
func (p Program) complete(words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	l, last := &line{app: p.App, untouched: p.Untouched}, words[len(words)-1]
	awaitsValue := false
	for _, word := range words[:len(words)-1] {
		switch {
		case awaitsValue:
			awaitsValue = false
		case word == "--":
			return // what follows is nothing that is known here
		case l.isFlag(word):
			f := splitFlag(word)
			flag := l.find(f.name, allCommands(p.App))
			awaitsValue = flag != nil && f.bare && takesValue(flag)
		default:
			if l.addWord(word) != nil {
				return
			}
		}
	}
	if awaitsValue {
		return
	}
	var names, meanings []string
	if strings.HasPrefix(last, "-") {
		for _, flag := range l.flagsOf(l.path) {
			names = append(names, "--"+flag.Names()[0])
			usage := ""
			if documented, ok := flag.(cli.DocGenerationFlag); ok {
				usage = documented.GetUsage()
			}
			meanings = append(meanings, strings.ReplaceAll(usage, "`", ""))
		}
	} else {
		for _, command := range l.commands() {
			names, meanings = append(names, command.Name), append(meanings, command.Usage)
		}
	}
	show := func(i int) { fmt.Fprintf(p.App.Writer, "%s\t%s\n", names[i], meanings[i]) }
	none := true
	for i, name := range names {
		if strings.HasPrefix(name, last) {
			show(i)
			none = false
		}
	}
	// A name that is mistyped is put right.
	if i := slices.Index(names, nearest(last, names)); none && i >= 0 {
		show(i)
	}
}
