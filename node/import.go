package node

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"

	"github.com/karatcoin/karat/chain/bootstrap"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// ImportSummary is what an import did.
type ImportSummary struct {
	Read     int // blocks that were found in the inputs
	Accepted int // blocks that were new
	Txs      int // transactions in them
	Known    int // blocks that were stored before
	Waiting  int // blocks whose parent is in none of the inputs
	Refused  []Refusal
	Notes    []string
}

// Refusal is a block that was refused.
type Refusal struct {
	Block types.Index // the height is 0 where it is not known
	Err   error
}

// maxRefusals bounds the refusals that are kept to be shown. A file of another network
// may have millions.
const maxRefusals = 1000

// ImportProgress is where an import stands.
type ImportProgress struct {
	Bytes  int64 // of the inputs
	Height uint32
	Blocks int
	Txs    int
}

// Import adds the blocks of files in the framing of Bitcoin's block files, and of folders
// of Bitcoin Core's (BlockFiles); "-" is standard input. Blocks may stand in any order, and those that are stored already are
// passed over. A block that breaks a rule is refused and does not end the import. The
// error is of a file, an ErrLocal, or the context's. progress is called for each block
// that is new, on this goroutine.
func (n *Node) Import(ctx context.Context, files []string, progress func(ImportProgress)) (ImportSummary, error) {
	stopIndex := n.indexMeanwhile(ctx)
	defer stopIndex()
	return n.importBlocks(ctx, files, progress)
}

func (n *Node) importBlocks(ctx context.Context, files []string, progress func(ImportProgress)) (ImportSummary, error) {
	var summary ImportSummary
	files, err := BlockFiles(files)
	if err != nil {
		return summary, err
	}
	refuse := func(at types.Index, err error) {
		n.ownLog.Warn("refused a block", "block", at, "err", err)
		if len(summary.Refused) < maxRefusals {
			summary.Refused = append(summary.Refused, Refusal{at, err})
		}
	}
	// What the importer refuses by its header alone it tells on a goroutine of its own,
	// so that this list may be read only when AddBlocks has ended.
	var early []Refusal
	importer := bootstrap.NewImporter(n.chain, n.config.Params, func(hash types.Hash, err error) {
		if len(early) < maxRefusals {
			early = append(early, Refusal{types.Index{Hash: hash}, err})
		}
	})
	err = n.chain.AddBlocks(ctx, importer.Blocks(ctx, n.sources(ctx, files)), func(r header.Result) {
		if r.Err != nil {
			refuse(r.Block, r.Err)
			return
		}
		summary.Accepted++
		summary.Txs += r.Txs
		progress(ImportProgress{Bytes: importer.Bytes(), Height: r.Block.Height, Blocks: summary.Accepted, Txs: summary.Txs})
	})
	for _, r := range early {
		refuse(r.Block, r.Err)
	}
	summary.Read = int(importer.Read())
	summary.Known = int(importer.Known())
	summary.Waiting = int(importer.Waiting())
	summary.Notes = importer.Notes()
	return summary, errors.Join(err, importer.Err())
}

// loadBlocks imports the files that the operator has named beside everything else that the
// node does. What is wrong with them is logged, and no reason to stop.
func (n *Node) loadBlocks(ctx context.Context) error {
	if len(n.config.LoadBlocks) == 0 {
		return nil
	}
	summary, err := n.importBlocks(ctx, n.config.LoadBlocks, func(ImportProgress) {})
	switch {
	case errors.Is(err, consensus.ErrLocal):
		return err
	case err != nil && ctx.Err() == nil:
		n.ownLog.Warn("not all blocks of files could be read", "err", err)
	}
	n.ownLog.Info("read blocks of files", "read", summary.Read, "new", summary.Accepted, "refused", len(summary.Refused), "without parent", summary.Waiting)
	return nil
}

// indexMeanwhile lets the index follow while blocks are imported, if pruning would have
// to wait for it otherwise. The function that it returns ends that.
func (n *Node) indexMeanwhile(ctx context.Context) (stop func()) {
	if n.index == nil || n.config.PruneBytes == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.index.Run(ctx) // which has no error of its own
	}()
	return func() { cancel(); <-done }
}

// sources opens the inputs one after the other.
func (n *Node) sources(ctx context.Context, files []string) iter.Seq2[bootstrap.Source, error] {
	return func(yield func(bootstrap.Source, error) bool) {
		var spools []io.Closer
		defer func() {
			for _, spool := range spools {
				spool.Close()
			}
		}()
		for _, name := range files {
			source, file, err := n.source(ctx, name)
			more := yield(source, err)
			switch {
			case file == nil:
			case source.Spool != nil: // until the end: blocks wait in it for their parents
				spools = append(spools, file)
			default:
				file.Close()
			}
			if !more {
				return
			}
		}
	}
}

// source opens one input. Only a regular file can be read twice; a named pipe looks like
// one and cannot. What is to be closed is nil if there is nothing.
func (n *Node) source(ctx context.Context, name string) (bootstrap.Source, io.Closer, error) {
	if name == "-" {
		return n.stream(ctx, "standard input", os.Stdin)
	}
	info, err := os.Stat(name)
	if err != nil {
		return bootstrap.Source{}, nil, err
	}
	if !info.Mode().IsRegular() {
		return n.stream(ctx, name, &waitingFile{name: name})
	}
	f, err := openBlockFile(name)
	if err != nil {
		return bootstrap.Source{}, nil, err
	}
	return bootstrap.Source{Name: name, Reader: f, At: f}, f, nil
}

// stream prepares an input that cannot be read twice: blocks that must wait go to a file
// without a name in the data directory, which is gone with the process however it ends.
func (n *Node) stream(ctx context.Context, name string, r io.Reader) (bootstrap.Source, io.Closer, error) {
	spool, err := os.CreateTemp(n.config.DataDir, "import-*.tmp")
	if err != nil {
		return bootstrap.Source{}, nil, err
	}
	if err := os.Remove(spool.Name()); err != nil {
		return bootstrap.Source{}, spool, err
	}
	return bootstrap.Source{Name: name, Reader: newInterruptible(ctx, r), Spool: spool}, spool, nil
}
