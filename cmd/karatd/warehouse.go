package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
)

// eventsProgram fills a database from the stream of events. It is a program of its own: a
// node links nothing of a database.
const eventsProgram = "karat-events"

// becomeEvents makes this process karat-events if the command line is `karatd events …`, whose
// words are for that program alone. The program may be missing: then it ends with what to do.
func becomeEvents(args []string) {
	if len(args) < 2 || args[1] != "events" {
		return
	}
	path, err := findEvents()
	if err == nil {
		err = syscall.Exec(path, append([]string{eventsProgram}, args[2:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "karatd: "+err.Error())
	os.Exit(cmdline.ExitFailure)
}

// findEvents finds karat-events beside this program, else where a shell does.
func findEvents() (string, error) {
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), eventsProgram); isProgram(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath(eventsProgram)
	if err != nil {
		return "", errors.New("`karatd events` is the program " + eventsProgram + ", which is neither beside karatd nor on PATH: `make build` makes it, from the folder cmd/" + eventsProgram)
	}
	return path, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// eventsCommand stands in the list of commands. It is reached where flags stand before the
// word, which would be this program's.
func eventsCommand() *cli.Command {
	return &cli.Command{
		Name:  "events",
		Usage: "fill PostgreSQL with what nodes have told NATS (" + eventsProgram + ")",
		Description: "Runs the program " + eventsProgram + ", which stands beside karatd or on PATH, with all\n" +
			"that follows. `karatd events --help` is that program's.",
		Action: func(*cli.Context) error {
			return cmdline.Usagef("events comes first, and its flags behind it: karatd events --help")
		},
	}
}
