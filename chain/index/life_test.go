package index

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/indexed"
)

// TestLives is the test of the whole promise: indexes that were switched on and off at
// random, that followed branches a part of the way, and were killed again and again, each
// losing what it wrote last, are in the end what indexes are that were built at once.
func TestLives(t *testing.T) {
	rounds, kills := 40, 0
	if testing.Short() {
		rounds = 12
	}
	for seed := range uint64(3) {
		w := newWorld(t, 200+seed)
		w.growBy(10)
		for range rounds {
			names := slices.DeleteFunc(slices.Clone(every.Names), func(string) bool { return w.random.IntN(3) == 0 })
			x := w.open(w.chain, keep(names...))
			limits := map[place]int{}
			for range w.random.IntN(8) {
				switch w.random.IntN(6) {
				case 0:
					w.growBy(1 + w.random.IntN(3))
				case 1:
					w.fork(1+w.random.IntN(5), 1)
				case 2: // to the tip, else a part of the way
					w.catchUp(x)
				}
				x.advance(t.Context(), limits)
			}
			if err := problem(x); err != nil {
				t.Fatal(err)
			}
			if w.random.IntN(3) > 0 {
				w.kill(x)
				kills++
			} else if err := x.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		o := every
		o.Logger = logTo(&log)
		x := w.open(w.chain, o)
		w.catchUp(x)
		w.expect(x)
		if strings.Contains(log.String(), "anew") {
			t.Errorf("a kill was taken for damage: %s", log.String())
		}
		w.expectAsBuiltAtOnce(x)
	}
	t.Logf("%d kills", kills)
}

// kill leaves of the indexes what a power cut would: each database as it is on the disk
// now, and at most some of the last bytes of its journal are lost.
func (w *world) kill(x *Set) {
	w.t.Helper()
	saved := filepath.Join(w.t.TempDir(), "killed")
	w.copyTo(saved)
	if err := x.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err := os.RemoveAll(w.dir); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(saved, w.dir); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range files(w.t, w.dir) {
		if info, err := os.Stat(name); err != nil {
			w.t.Fatal(err)
		} else if strings.HasSuffix(name, ".log") && w.random.IntN(2) == 0 {
			if err := os.Truncate(name, max(0, info.Size()-w.random.Int64N(1000))); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// expectAsBuiltAtOnce compares databases, key by key, with those of indexes that have only
// ever seen this chain. Filters and coin statistics may have more: those of other
// branches stay.
func (w *world) expectAsBuiltAtOnce(x *Set) {
	w.t.Helper()
	lived := w.dir
	w.dir = filepath.Join(w.t.TempDir(), "at once")
	fresh := w.open(w.chain, every)
	w.catchUp(fresh)
	w.dir = lived
	for i, name := range every.Names {
		got, want := contents(w.t, x.find(name)), contents(w.t, fresh.find(name))
		for key, value := range want {
			if got[key] != value {
				w.t.Errorf("%s: key %x is %x, want %x", every.Names[i], key, got[key], value)
			}
			delete(got, key)
		}
		for key := range got {
			if name != indexed.Filters && name != indexed.CoinStats || key[0] != keyFilter && key[0] != keyCoins {
				w.t.Errorf("%s: key %x is left over", name, key)
			}
		}
	}
}

// contents are all keys of an index but its step, and its position without the content's
// state: one state can be written in several ways.
func contents(t testing.TB, x *index) map[string]string {
	t.Helper()
	all := map[string]string{}
	i := x.db.NewIterator(nil, nil)
	defer i.Release()
	for i.Next() {
		switch value := i.Value(); i.Key()[0] {
		case keyStep:
		case keyPosition:
			all[string(i.Key())] = fmt.Sprintf("%x", value[:len(x.mark())+4+32])
		default:
			all[string(i.Key())] = string(value)
		}
	}
	if err := i.Error(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDamageOfOne: an index that is damaged is made anew, and the others are not.
func TestDamageOfOne(t *testing.T) {
	for _, name := range every.Names {
		w := newWorld(t, 210)
		w.growBy(20)
		x := w.open(w.chain, every)
		w.catchUp(x)
		folder := x.find(name).dir
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() != "CURRENT" {
				return err
			}
			return os.WriteFile(path, []byte("MANIFEST-nonsense\n"), 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		x = w.open(w.chain, every)
		for _, x := range x.all {
			if x.fresh != (x.name == name) {
				t.Errorf("%s was damaged, and %s is new: %t", name, x.name, x.fresh)
			}
		}
		w.catchUp(x)
		w.expect(x)
		x.Close()
	}
}
