package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/karatcoin/karat/chain/bootstrap"
	"github.com/karatcoin/karat/internal/wholefile"
)

// coreName is how Bitcoin Core names its files of blocks. Beside them may lie a key with
// which they are masked (since version 28), so that no virus scanner finds something in
// what strangers have put into blocks.
var coreName = regexp.MustCompile(`^blk(\d+)\.dat$`)

const coreKeyFile = "xor.dat"

// BlockFiles returns the files that are meant by names of files and folders: for a folder
// Bitcoin Core's files of blocks in it, in their order. A folder without one is an error.
func BlockFiles(names []string) (files []string, err error) {
	for _, name := range names {
		info, err := os.Stat(name)
		if name == "-" || err == nil && !info.IsDir() {
			files = append(files, name)
			continue
		}
		if err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, err
		}
		first := len(files)
		for _, entry := range entries {
			if coreName.MatchString(entry.Name()) {
				files = append(files, filepath.Join(name, entry.Name()))
			}
		}
		if len(files) == first {
			return nil, fmt.Errorf("folder %s has no blk00000.dat or other files of blocks", name)
		}
		// The names of more than 100,000 files differ in length.
		slices.SortStableFunc(files[first:], func(a, b string) int { return len(a) - len(b) })
	}
	return files, nil
}

// blockFile is a file of blocks. For reads at a place it is opened each time, since a
// folder may have thousands of them.
type blockFile struct {
	name string
	mask bootstrap.Mask
	f    *os.File
	at   int64
}

// openBlockFile opens a file for reading from its beginning, and finds the key of one of
// Bitcoin Core's.
func openBlockFile(name string) (*blockFile, error) {
	b := &blockFile{name: name}
	if coreName.MatchString(filepath.Base(name)) {
		path := filepath.Join(filepath.Dir(name), coreKeyFile)
		key, err := wholefile.Read(path, 1<<10)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case len(key) != len(b.mask):
			return nil, fmt.Errorf("%s has %d bytes: it is not the key of %s", path, len(key), name)
		default:
			b.mask = bootstrap.Mask(key)
		}
	}
	var err error
	b.f, err = os.Open(name)
	return b, err
}

// Read implements io.Reader.
func (b *blockFile) Read(p []byte) (n int, err error) {
	n, err = b.f.Read(p)
	b.mask.Apply(p[:n], b.at)
	b.at += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt, also after Close.
func (b *blockFile) ReadAt(p []byte, offset int64) (n int, err error) {
	f, err := os.Open(b.name)
	if err != nil {
		return 0, err
	}
	defer f.Close() // nothing was written
	n, err = f.ReadAt(p, offset)
	b.mask.Apply(p[:n], offset)
	return n, err
}

// Close closes what Read reads.
func (b *blockFile) Close() error { return b.f.Close() }

var _ interface {
	io.ReadCloser
	io.ReaderAt
} = (*blockFile)(nil)
