package stratum

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/internal/stratumtest"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

// TestBlock: a miner mines a block that pays it, and has the next job at once.
func TestBlock(t *testing.T) {
	inBubble(t, 1e-5, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		job := w.job(c)
		if job.NetworkDifficulty() < 0.99e-5 || job.Difficulty > job.NetworkDifficulty() {
			t.Fatalf("difficulty %g on a network of %g", job.Difficulty, job.NetworkDifficulty())
		}
		share, ok := job.SearchFor(job.NetworkDifficulty(), 3, 0, 1<<24)
		if !ok {
			t.Fatal("no block was found")
		}
		if err := c.Submit(share); err != nil {
			t.Fatal(err)
		}
		second, ok := job.SearchFor(job.NetworkDifficulty(), 4, 0, 1<<24)
		if !ok {
			t.Fatal("no second block was found")
		}
		if r := refusal(t, c.Submit(second)); r.Code != codeNoJob {
			t.Errorf("a block beside the one that is on its way: %v", r)
		}
		time.Sleep(50 * time.Millisecond)
		blocks := w.chain.mined()
		if len(blocks) != 1 {
			t.Fatalf("%d blocks", len(blocks))
		}
		if out := blocks[0].Txs[0].Outputs[0]; !bytes.Equal(out.ScriptPubKey, scriptOf(1)) || out.Value != 50e8>>1 {
			t.Errorf("the block pays %d to %x", out.Value, out.ScriptPubKey)
		}
		if tag := blocks[0].Txs[0].Inputs[0].ScriptSig; !bytes.HasSuffix(tag, []byte("/test/")) {
			t.Errorf("the coinbase says %q", tag)
		}
		next := w.job(c)
		if hash := blocks[0].Hash(); next.PrevHash != hash || !next.Clean {
			t.Errorf("the next job is on %x, clean %t; want %x", next.PrevHash, next.Clean, hash)
		}
		info := w.server.Info()
		if info.Shares.Blocks != 1 || info.LastBlock == nil || info.LastBlock.Height != 201 || info.Workers[0].Shares.Blocks != 1 {
			t.Errorf("%+v", info)
		}
	})
}

// TestRefusedShares: each kind of bad share is refused with its number and its reason.
func TestRefusedShares(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		if _, err := c.Call("mining.suggest_difficulty", 1e-7); err != nil {
			t.Fatal(err)
		}
		job := w.job(c)
		share := search(t, job, 1)
		name := w.address(1) + ".alice"
		with := func(i int, value any) []any {
			params := share.Params(name)
			params[i] = value
			return params
		}
		low, _ := job.SearchFor(-job.Difficulty, 2, 0, 1<<20)
		other := w.miner("bob", 2)
		defer other.Close()
		for _, test := range []struct {
			name   string
			params []any
			code   int
			text   string
		}{
			{"no parameters", nil, 20, "want worker"},
			{"too many", append(share.Params(name), "00000000", "x"), 20, "want worker"},
			{"a number for a text", with(4, 5), 20, "nonce is not 8"},
			{"a short extra nonce", with(2, "00"), 20, "extranonce2 is not 16"},
			{"a long extra nonce", with(2, strings.Repeat("0", 18)), 20, "extranonce2 is not 16"},
			{"no digits", with(2, strings.Repeat("x", 16)), 20, "extranonce2 is not 16"},
			{"a short time", with(3, "1234567"), 20, "ntime is not 8"},
			{"a long nonce", with(4, "123456789"), 20, "nonce is not 8"},
			{"a sign", with(4, "+1234567"), 20, "nonce is not 8"},
			{"bits without a mask", append(share.Params(name), "00002000"), 20, "version bits outside"},
			{"short bits", append(share.Params(name), "2000"), 20, "version bits are not 8"},
			{"a time before the median", with(3, "00000001"), 20, "ntime out of range"},
			{"a time far ahead", with(3, "ffffffff"), 20, "ntime out of range"},
			{"a job that never was", with(1, "7777770000"), 21, "job not found"},
			{"no job", with(1, ""), 21, "job not found"},
			{"another's worker", with(0, w.address(2)+".bob"), 24, "unauthorized"},
			{"low", low.Params(name), 23, "low difficulty"},
		} {
			_, err := c.Call("mining.submit", test.params...)
			if r := refusal(t, err); r.Code != test.code || !strings.Contains(r.Text, test.text) {
				t.Errorf("%s: %v, want %d and %q", test.name, err, test.code, test.text)
			}
		}
		if err := c.Submit(share); err != nil {
			t.Fatal(err)
		}
		if r := refusal(t, c.Submit(share)); r.Code != 22 {
			t.Errorf("the same again: %v", r)
		}
		upper := share.Params(name)
		for i := 2; i < len(upper); i++ {
			upper[i] = strings.ToUpper(upper[i].(string))
		}
		if _, err := c.Call("mining.submit", upper...); refusal(t, err).Code != 22 {
			t.Errorf("the same in capitals: %v", err)
		}
		w.chain.advance()
		time.Sleep(50 * time.Millisecond)
		if r := refusal(t, c.Submit(search(t, job, 5))); r.Code != 21 || !strings.Contains(r.Text, "stale") {
			t.Errorf("of the tip before: %v", r)
		}
		want := [stratuminfo.Reasons]uint64{stratuminfo.Stale: 3, stratuminfo.Duplicate: 2, stratuminfo.Low: 1, stratuminfo.Malformed: 13, stratuminfo.Unauthorized: 1}
		if got := w.server.Info().Shares.Rejected; got != want {
			t.Errorf("counted %v, want %v", got, want)
		}
	})
}

// TestOrder: nothing is handed in before subscribing and authorizing.
func TestOrder(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		params := []any{w.address(1), "10000", strings.Repeat("0", 16), "00000000", "00000000"}
		if _, err := c.Call("mining.submit", params...); refusal(t, err).Code != 25 {
			t.Error(err)
		}
		if err := c.Authorize(w.address(1), "x"); err != nil { // some do that first
			t.Fatal(err)
		}
		if job, _ := c.Current(); job != nil {
			t.Fatal("a job without a subscription")
		}
		if err := c.Subscribe(""); err != nil {
			t.Fatal(err)
		}
		w.job(c)
		if got := c.Notices(); !slices.Equal(got, []string{"mining.set_difficulty", "mining.notify"}) {
			t.Errorf("the server said %v", got)
		}
	})
}

// TestPayouts: an address is paid that is one of this network, and one for each
// connection.
func TestPayouts(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		for _, test := range []struct{ name, want string }{
			{"", "1 to 160"},
			{"rig\x01", "1 to 160"},
			{strings.Repeat("a", 161), "1 to 160"},
			{"rig7", "--mine-to"},
			{w.address(1)[:40] + ".rig", "cannot be paid"},
			{"krt1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzsycyxdu", "cannot be paid"},
			{"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "taproot only"},
			{"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "cannot be paid"},
		} {
			if r := refusal(t, c.Authorize(test.name, "x")); r.Code != 24 || !strings.Contains(r.Text, test.want) {
				t.Errorf("%q: %v, want %q", test.name, r, test.want)
			}
		}
		c = w.dial("alice")
		defer c.Close()
		for _, name := range []string{w.address(1), w.address(1) + ".second", strings.ToUpper(w.address(1)) + ".third"} {
			if err := c.Authorize(name, "x"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if r := refusal(t, c.Authorize(w.address(2), "x")); r.Code != 24 || !strings.Contains(r.Text, "one payout") {
			t.Errorf("another address: %v", r)
		}
		synctest.Wait()
		if workers := w.server.Info().Workers; len(workers) != 3 || workers[2].Name != w.address(1)+".third" || workers[2].Address != w.address(1) {
			t.Errorf("%+v", workers)
		}
	})
	inBubble(t, 1, func(o *Options) { o.PayTo = scriptOf(9) }, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		if err := c.Start("rig7"); err != nil {
			t.Fatal(err)
		}
		if job := w.job(c); !bytes.Contains(job.Coinb2, scriptOf(9)) {
			t.Errorf("the coinbase ends with %x", job.Coinb2)
		}
		if r := refusal(t, c.Authorize("bcrt1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs", "x")); r.Code != 24 {
			t.Errorf("a mistyped address: %v", r)
		}
	})
}

// TestVersionRolling: a miner chooses bits of the version, within the mask, and mines a
// block with them (BIP310).
func TestVersionRolling(t *testing.T) {
	inBubble(t, 1e-5, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		if mask, err := c.Roll("ffff0000"); err != nil || mask != 0x1fff0000 {
			t.Fatalf("mask %08x, %v", mask, err)
		}
		if err := c.Start(w.address(1)); err != nil {
			t.Fatal(err)
		}
		job := w.job(c)
		share := search(t, job, 1)
		if r := refusal(t, c.Submit(share.Again(share.Time, share.Nonce, 0x2000))); r.Code != 20 || !strings.Contains(r.Text, "outside of the mask") {
			t.Errorf("a bit outside of the mask: %v", r)
		}
		for nonce := uint32(0); ; nonce++ {
			rolled := share.Again(share.Time, nonce, 0x0abc0000)
			if stratumtest.Worth(rolled.Hash) < job.NetworkDifficulty() {
				continue
			}
			if err := c.Submit(rolled); err != nil {
				t.Fatal(err)
			}
			break
		}
		synctest.Wait()
		if blocks := w.chain.mined(); len(blocks) != 1 || blocks[0].Header.Version != 0x2abc0000 {
			t.Errorf("%d blocks", len(blocks))
		}
		// A miner that changes its mask is told that it counts; what it could do before it
		// still can.
		if mask, err := c.Roll("0000e000"); err != nil || mask != 0xe000 {
			t.Fatalf("mask %08x, %v", mask, err)
		}
		synctest.Wait()
		if !slices.Contains(c.Notices(), "mining.set_version_mask") {
			t.Errorf("the server said %v", c.Notices())
		}
	})
}

// TestConfigure: what is asked for is answered, known or not.
func TestConfigure(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		raw, err := c.Call("mining.configure", []string{"version-rolling", "minimum-difficulty", "subscribe-extranonce", "teleport"},
			map[string]any{"version-rolling.mask": "xyz", "minimum-difficulty.value": 64})
		want := `{"minimum-difficulty":true,"subscribe-extranonce":true,"teleport":false,"version-rolling":"the mask is not eight hexadecimal digits"}`
		if err != nil || string(raw) != want {
			t.Errorf("%s, %v", raw, err)
		}
		for _, method := range []string{"mining.extranonce.subscribe", "mining.ping"} {
			if _, err := c.Call(method); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		}
		if _, err := c.Call("mining.teleport"); refusal(t, err).Code != 20 {
			t.Error(err)
		}
		if err := c.Start(w.address(1)); err != nil {
			t.Fatal(err)
		}
		if job := w.job(c); job.Difficulty != 64 {
			t.Errorf("difficulty %g for a miner that can do no less than 64", job.Difficulty)
		}
		if _, err := c.Call("mining.suggest_target", "ffff"+strings.Repeat("0", 50)); err != nil {
			t.Error(err)
		}
		if job := w.job(c); job.Difficulty != 256 {
			t.Errorf("difficulty %g for a target of 256", job.Difficulty)
		}
		for _, bad := range []any{0, -1, "x", nil} {
			if _, err := c.Call("mining.suggest_difficulty", bad); refusal(t, err).Code != 20 {
				t.Errorf("%v: %v", bad, err)
			}
		}
	})
}

// TestChosenDifficulty: a miner may choose its difficulty by its password, up to the
// network's.
func TestChosenDifficulty(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		for _, test := range []struct {
			password string
			want     float64
		}{{"x", 1}, {"d=16", 16}, {"a=1;d=0.5", 0.5}, {"d=nothing", 1}, {"d=-3", 1}, {"d=1e9", 1000}} {
			c := w.dial("alice")
			if err := c.Subscribe(""); err != nil {
				t.Fatal(err)
			}
			if err := c.Authorize(w.address(byte(test.want))+"."+hex.EncodeToString([]byte(test.password)), test.password); err != nil {
				t.Fatal(err)
			}
			if job := w.job(c); job.Difficulty < 0.999*test.want || job.Difficulty > 1.001*test.want {
				t.Errorf("%q: difficulty %g", test.password, job.Difficulty)
			}
			c.Close()
		}
	})
}

// TestResume: who comes again has its extra nonce and its difficulty back, and no work
// that it has done already.
func TestResume(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		if _, err := c.Call("mining.suggest_difficulty", 1e-7); err != nil {
			t.Fatal(err)
		}
		job := w.job(c)
		share := search(t, job, 1)
		if err := c.Submit(share); err != nil {
			t.Fatal(err)
		}
		late := search(t, job, 2)
		session, one := c.Session(), c.ExtraNonce1()
		// Nobody gets it while it is in use.
		thief := w.dial("mallory")
		if err := thief.Subscribe(session); err != nil || thief.Session() == session || thief.ExtraNonce1() == one {
			t.Fatalf("%s has session %s (%v)", session, thief.Session(), err)
		}
		thief.Close()
		c.Close()
		synctest.Wait()
		time.Sleep(time.Minute)
		c = w.dial("alice")
		if err := c.Subscribe(session); err != nil || c.Session() != session || c.ExtraNonce1() != one {
			t.Fatalf("session %s with %s, want %s with %s (%v)", c.Session(), c.ExtraNonce1(), session, one, err)
		}
		if err := c.Authorize(w.address(1)+".alice", "x"); err != nil {
			t.Fatal(err)
		}
		again := w.job(c)
		if again.Difficulty != job.Difficulty || bytes.Equal(again.Coinb1, job.Coinb1) {
			t.Errorf("difficulty %g, want %g; the same work: %t", again.Difficulty, job.Difficulty, bytes.Equal(again.Coinb1, job.Coinb1))
		}
		if r := refusal(t, c.Submit(share)); r.Code != 22 {
			t.Errorf("what was handed in before: %v", r)
		}
		if err := c.Submit(late); err != nil {
			t.Errorf("what was found before: %v", err)
		}
		c.Close()
		synctest.Wait()
		time.Sleep(keepSession + 5*time.Second)
		c = w.dial("alice")
		defer c.Close()
		if err := c.Subscribe(session); err != nil || c.Session() == session {
			t.Errorf("a session of long ago is still there (%v)", err)
		}
	})
}

// TestSilentAgent: a miner that does not say what it is is asked.
func TestSilentAgent(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		conn, err := w.network.Dial("alice", serverAddress)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lines := readLines(conn)
		say(t, conn, `{"id":1,"method":"mining.subscribe","params":[]}`, `{"id":2,"method":"mining.authorize","params":["`+w.address(1)+`","x"]}`)
		synctest.Wait()
		if !slices.ContainsFunc(lines.all(), func(line string) bool { return strings.Contains(line, "client.get_version") }) {
			t.Fatalf("the server said %q", lines.all())
		}
		say(t, conn, `{"id":"karat-version","result":"Old\u0007Miner 1 é","error":null}`, `{"id":"other","result":"x"}`)
		synctest.Wait()
		if agent := w.server.Info().Workers[0].Agent; agent != "OldMiner 1 " {
			t.Errorf("the miner is %q", agent)
		}
	})
}

// TestFarewell: when the server stops, miners are told to come back.
func TestFarewell(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		w.stop()
		<-c.Ended()
		if got := c.Notices(); !slices.Contains(got, "client.reconnect") || !slices.Contains(got, "client.show_message") {
			t.Errorf("the server said %v", got)
		}
	})
}
