package mempool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/wholefile"
)

// The file of what was seen of recent blocks:
//
//	magic 4 "KRE1" | identity of the network 32 | time 8, seconds since 1970 | encoding (mempool/fees) | CRC-32C of all 4
const (
	estimateMagic = "KRE1"
	// maxEstimateFile is far more than the blocks that are remembered take.
	maxEstimateFile = 1 << 20
	// estimateAge is the age at which the file tells nothing any more, as in Bitcoin Core.
	estimateAge = 60 * time.Hour
)

// SaveEstimates writes what was seen of recent blocks to a file, which is there as a
// whole or not at all. Errors are ErrLocal.
func (p *Pool) SaveEstimates(path string) error {
	identity := p.params.Identity()
	b := append([]byte(estimateMagic), identity[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.now().Unix()))
	p.estimator.mu.Lock()
	b = p.estimator.tracker.AppendTo(b)
	p.estimator.mu.Unlock()
	b = appendChecksum(b)
	return consensus.Local(wholefile.Replace(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}))
}

// LoadEstimates reads what SaveEstimates wrote, but for blocks that are not on the best
// chain. A file that is not there, or too old, tells nothing. The error is ErrFile or
// ErrLocal.
func (p *Pool) LoadEstimates(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return consensus.Local(err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxEstimateFile))
	if err != nil {
		return consensus.Local(err)
	}
	identity := p.params.Identity()
	head := estimateMagic + string(identity[:])
	body := len(b) - crc32.Size
	if body < len(head)+8 || string(b[:len(head)]) != head || binary.LittleEndian.Uint32(b[body:]) != crc32.Checksum(b[:body], castagnoli) {
		return fmt.Errorf("%s: %w %q, or damaged", path, ErrFile, p.params.Name)
	}
	saved := time.Unix(int64(binary.LittleEndian.Uint64(b[len(head):])), 0)
	if p.now().Sub(saved) > estimateAge {
		return nil
	}
	onChain := func(at types.Index) bool {
		info, ok := p.chain.Info(at.Hash)
		return ok && info.OnBestChain && info.Height == at.Height
	}
	p.estimator.mu.Lock()
	defer p.estimator.mu.Unlock()
	if err := p.estimator.tracker.Read(b[len(head)+8:body], onChain); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrFile, err)
	}
	return nil
}
