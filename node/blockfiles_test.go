package node

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/bootstrap"
)

// coreFolder writes blocks as Bitcoin Core keeps them: in files of three, whose ends are
// reserved with zeros, masked by a key, and beside others that hold no blocks.
func coreFolder(t *testing.T, magic [4]byte, raws [][]byte, key []byte) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; len(raws) > 0; i++ {
		n := min(3, len(raws))
		var buf bytes.Buffer
		for _, raw := range raws[:n] {
			if err := bootstrap.Write(&buf, magic, raw); err != nil {
				t.Fatal(err)
			}
		}
		raws = raws[n:]
		content := buf.Bytes()
		for j := range content {
			if key != nil {
				content[j] ^= key[j%len(key)]
			}
		}
		write(fmt.Sprintf("blk%05d.dat", i), append(content, make([]byte, 1000)...))
		write(fmt.Sprintf("rev%05d.dat", i), []byte("undo data"))
	}
	if key != nil {
		write("xor.dat", key)
	}
	return dir
}

// TestImportOfCoresFolder: a folder of Bitcoin Core's is read, masked or not, also where
// children stand in it before their parents, and a single file of it.
func TestImportOfCoresFolder(t *testing.T) {
	params, err := karat.LoadNetwork(regtest)
	if err != nil {
		t.Fatal(err)
	}
	raws := emptyBlocks(params, 40)
	r := rand.New(rand.NewPCG(1, 2))
	for name, key := range map[string][]byte{"no key": nil, "a key of zeros": make([]byte, 8), "a key": {1, 2, 3, 0xff, 5, 0, 7, 200}} {
		shuffled := slices.Clone(raws)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		dir := coreFolder(t, params.Magic, shuffled, key)
		n := openNode(t, t.TempDir(), regtest, 0)
		if s := importFiles(t, n, dir); s.Read != 41 || s.Accepted != 40 || s.Waiting != 0 || len(s.Refused) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if s := importFiles(t, n, filepath.Join(dir, "blk00002.dat")); s.Read != 3 || s.Known != 3 {
			t.Errorf("%s, one file: %+v", name, s)
		}
		if name == "a key" { // without it, nothing can be read
			if err := os.Remove(filepath.Join(dir, "xor.dat")); err != nil {
				t.Fatal(err)
			}
			if s := importFiles(t, n, dir); s.Read != 0 {
				t.Errorf("without the key: %+v", s)
			}
		}
		closeNode(t, n)
	}
}

func TestBlockFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"blk00001.dat", "blk99999.dat", "blk100000.dat", "blk00000.dat", "xor.dat", "bootstrap.dat", "blk.dat"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "bootstrap.dat")
	got, err := BlockFiles([]string{"-", dir, other})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = filepath.Base(got[i])
	}
	if want := "- blk00000.dat blk00001.dat blk99999.dat blk100000.dat bootstrap.dat"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	if _, err := BlockFiles([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "has no blk00000.dat") {
		t.Errorf("an empty folder: %v", err)
	}
	n := openNode(t, t.TempDir(), regtest, 0)
	if _, err := n.Import(context.Background(), []string{dir}, func(ImportProgress) {}); err == nil || !strings.Contains(err.Error(), "xor.dat has 3 bytes") {
		t.Errorf("a key of 3 bytes: %v", err)
	}
	closeNode(t, n)
}
