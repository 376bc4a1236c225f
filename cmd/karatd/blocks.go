package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/node"
)

func importCommand(o *options) *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "validate and store the blocks of files",
		ArgsUsage: "FILE...",
		Description: "Reads blocks in any order, in the framing of Bitcoin's bootstrap.dat with the\n" +
			"network's magic; - is standard input. A folder stands for Bitcoin Core's files of\n" +
			"blocks in it (blk*.dat), which may be masked by its xor.dat. Every rule is checked. An import that was\n" +
			"stopped goes on where it was when it is run again.\n\n" +
			"The exit code is 1 if a block was refused or lacks its parent, or if none was found.",
		Action: func(c *cli.Context) error { return importBlocks(c, o) },
	}
}

// importBlocks imports files. The summary is printed whatever ended the import,
// since what was stored up to there stays.
func importBlocks(c *cli.Context, o *options) (err error) {
	files := c.Args().Slice()
	if len(files) == 0 {
		return cmdline.Usagef("import needs at least one file (- for standard input)")
	}
	files, err = node.BlockFiles(files)
	if err != nil {
		return err
	}
	total, err := totalSize(files)
	if err != nil {
		return err
	}
	n, err := o.openNode(c)
	if err != nil {
		return err
	}
	defer closeNode(n, &err)
	m := cmdline.NewMeter(c.App.ErrWriter)
	summary, err := n.Import(c.Context, files, func(p node.ImportProgress) {
		m.Update(p.Bytes, total, func() string {
			return fmt.Sprintf("height %d, %.0f blocks/s, %.0f tx/s", p.Height, m.Rate(p.Blocks), m.Rate(p.Txs))
		})
	})
	m.Finish()
	printSummary(c.App.Writer, n, summary, m.Elapsed())
	if err != nil {
		return err
	}
	if summary.Read == 0 {
		return fmt.Errorf("no block of network %s was found: is this a file of another network, or one of Bitcoin Core's without the xor.dat beside it?", n.Chain().Params().Name)
	}
	if len(summary.Refused) > 0 || summary.Waiting > 0 {
		return errors.New("not every block was accepted")
	}
	return nil
}

// totalSize adds up the sizes of files. It is 0, which means that it is not known, if
// one of them is a stream.
func totalSize(files []string) (int64, error) {
	total := int64(0)
	for _, name := range files {
		if name == "-" {
			return 0, nil
		}
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		if !info.Mode().IsRegular() { // a pipe or a device
			return 0, nil
		}
		total += info.Size()
	}
	return total, nil
}

// shownRefusals is how many refused blocks are named one by one. After a bad block,
// all that build on it are refused too, and the first ones say why.
const shownRefusals = 10

// printSummary says what became of the blocks that were read.
func printSummary(w io.Writer, n *node.Node, s node.ImportSummary, elapsed time.Duration) {
	for _, note := range s.Notes {
		fmt.Fprintln(w, note)
	}
	for i, r := range s.Refused {
		if i == shownRefusals {
			fmt.Fprintf(w, "... and %d more\n", len(s.Refused)-i)
			break
		}
		if r.Block.Height == 0 { // not known: its header already broke a rule
			fmt.Fprintf(w, "refused %s: %v\n", r.Block.Hash, r.Err)
			continue
		}
		fmt.Fprintf(w, "refused %d %s: %v\n", r.Block.Height, r.Block.Hash, r.Err)
	}
	if s.Waiting > 0 {
		fmt.Fprintf(w, "%d blocks lack a parent: import the blocks before them as well\n", s.Waiting)
	}
	tip := n.Chain().Tip()
	fmt.Fprintf(w, "imported %d blocks with %d transactions in %s (%d known, %d refused)\n",
		s.Accepted, s.Txs, elapsed.Round(10*time.Millisecond), s.Known, len(s.Refused))
	fmt.Fprintf(w, "height %d, tip %s\n", tip.Height, tip.Hash)
}

// closeNode closes the node when a command returns, and keeps the command's own error
// if there is one.
func closeNode(n *node.Node, err *error) {
	if closeErr := n.Close(); *err == nil {
		*err = closeErr
	}
}

func exportCommand(o *options) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write the blocks of the best chain to a file",
		ArgsUsage: "FILE",
		Description: "Writes every block from the genesis block to the tip in the framing of Bitcoin's\n" +
			"bootstrap.dat, which import and Bitcoin Core's -loadblock read; - is standard output.",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "replace FILE if it exists"}},
		Action: func(c *cli.Context) error { return exportBlocks(c, o) },
	}
}

// exportBlocks writes the chain to a file that is there as a whole or not at all:
// whoever finds it may take its last block for the tip.
func exportBlocks(c *cli.Context, o *options) (err error) {
	if c.Args().Len() != 1 {
		return cmdline.Usagef("export needs the name of one file (- for standard output)")
	}
	name := c.Args().First()
	special := false // a device or a pipe, which cannot be replaced by a file
	if name != "-" {
		if special, err = checkTarget(name, c.Bool("force")); err != nil {
			return err
		}
	}
	n, err := o.openStored(c)
	if err != nil {
		return err
	}
	defer closeNode(n, &err)
	if name == "-" {
		return exportTo(c, n, cmdline.Raw(c.App.Writer), "standard output")
	}
	if special {
		// Opening a pipe waits for its reader.
		f, err := cmdline.Await(c.Context, func() (*os.File, error) { return os.OpenFile(name, os.O_WRONLY, 0) })
		if err != nil {
			return err
		}
		return errors.Join(exportTo(c, n, f, name), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.partial")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := errors.Join(exportTo(c, n, f, name), f.Chmod(0o644)); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// checkTarget finds out whether a file may be written: made, or replaced if force is
// set. What is special, a device or a pipe, is written to and not replaced.
func checkTarget(name string, force bool) (special bool, err error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return false, fmt.Errorf("%s is a directory: export needs the name of a file", name)
	case !info.Mode().IsRegular():
		return true, nil
	case !force:
		return false, fmt.Errorf("%s exists: choose another name, or replace it with --force", name)
	}
	return false, nil
}

// exportTo writes the chain. What it reports goes to standard error, as standard
// output may be what it writes to.
func exportTo(c *cli.Context, n *node.Node, w io.Writer, name string) error {
	m := cmdline.NewMeter(c.App.ErrWriter)
	tip, err := n.Export(c.Context, w, func(done, total int) {
		m.Update(int64(done), int64(total), func() string { return fmt.Sprintf("block %d of %d", done, total) })
	})
	m.Finish()
	if err != nil {
		return err
	}
	return cmdline.Line(c.App.ErrWriter, "exported %d blocks to %s: height %d, tip %s", tip.Height+1, name, tip.Height, tip.Hash)
}

func verifyCommand(o *options) *cli.Command {
	var depth, level int64
	return &cli.Command{
		Name:  "verify",
		Usage: "check stored blocks, undo data and coins again",
		Description: "Each level includes those before it:\n" +
			"   0  bodies and undo data can be read and are intact\n" +
			"   1  bodies obey the rules that need no coins\n" +
			"   2  undo data fits the bodies\n" +
			"   3  undoing the blocks finds the coins that it must\n" +
			"   4  the blocks connect again, with all scripts\n\n" +
			"Nothing is changed. At levels 3 and 4 the coins that the blocks touch are held in\n" +
			"memory; with --depth 0 the whole coin set is compared as well.",
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "depth", Value: cmdline.Number(&depth, chain.PruneKeep, 0, math.MaxUint32), Usage: "check the last `N` blocks; 0 for all"},
			&cli.GenericFlag{Name: "level", Value: cmdline.Number(&level, chain.VerifyScripts, chain.VerifyRead, chain.VerifyScripts), Usage: "check up to this `LEVEL`, 0 to 4"},
		},
		Action: func(c *cli.Context) error { return verify(c, o, uint32(depth), int(level)) },
	}
}

// verify checks a node that does not run. What it finds wrong it reports and does not
// mend: whoever sees it can still keep the evidence.
func verify(c *cli.Context, o *options, depth uint32, level int) (err error) {
	n, err := o.openStored(c)
	if err != nil {
		return err
	}
	defer closeNode(n, &err)
	m := cmdline.NewMeter(c.App.ErrWriter)
	blocks, err := n.Chain().Verify(c.Context, depth, level, func(done, total int) {
		m.Update(int64(done), int64(total), func() string { return fmt.Sprintf("step %d of %d", done, total) })
	})
	m.Finish()
	if err != nil {
		return fmt.Errorf("verification failed: %w", err)
	}
	fmt.Fprintf(c.App.Writer, "%d blocks verified at level %d, down from height %d\n", blocks, level, n.Chain().Tip().Height)
	return nil
}
