package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: genscan file.s")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(assembly()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "genscan:", err)
		os.Exit(1)
	}
}
