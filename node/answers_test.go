package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/vectors"
)

// leftOut are the fields of Bitcoin Core's answers that karat's do not have, or
// in which they differ, with the reason. docs/rpc.md lists them.
var leftOut = map[string]string{
	"getblockchaininfo.warnings":       "Core's build warns of itself",
	"getmininginfo.warnings":           "Core's build warns of itself",
	"getblockchaininfo.size_on_disk":   "the files are others",
	"getmininginfo.currentblocktx":     "of the last block that was put together since the start",
	"getmininginfo.currentblockweight": "of the last block that was put together since the start",
	"getmempoolinfo.maxmempool":        "another default",
	"getmempoolinfo.usage":             "memory is counted otherwise",
	"getmempoolinfo.fullrbf":           "Core has given it up; older programs look for it",
	"gettxoutsetinfo.disk_size":        "the files are others",
	"decodescript.p2sh":                "there is no pay-to-script-hash",
	"decodescript.segwit":              "there are no witness programs of version 0",
	"validateaddress.error":            "karat's own words",
	"validateaddress.error_locations":  "there are no guesses at which letters are wrong",
}

// notMade are methods in the answers that karat does not have.
var notMade = map[string]string{}

// running is a node that runs in this process.
type running struct {
	*Node
	client interface {
		Call(ctx context.Context, method string, result any, params ...any) error
	}
}

// TestCoreAnswers asks the questions that Bitcoin Core was asked about its chain.
func TestCoreAnswers(t *testing.T) {
	answers := map[string]json.RawMessage{}
	vectors.ReadJSON(t, "core-regtest/answers.json", &answers)
	n := openNode(t, t.TempDir(), regtest, 0, indexed.CoinStats)
	if _, err := n.Import(context.Background(), []string{vectors.Copy(t, "core-regtest/chain.dat")}, func(ImportProgress) {}); err != nil {
		t.Fatal(err)
	}
	r := run(t, n)
	for began := time.Now(); !r.synced(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("the indexes do not come to the tip")
		}
	}
	same, skipped := 0, map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(answers)) {
		call := strings.TrimPrefix(key, "error ")
		var words []json.RawMessage
		if err := json.Unmarshal([]byte(call), &words); err != nil {
			t.Fatal(err)
		}
		var method string
		if err := json.Unmarshal(words[0], &method); err != nil {
			t.Fatal(err)
		}
		if _, out := notMade[method]; out {
			skipped[method]++
			continue
		}
		params := make([]any, len(words)-1)
		for i := range params {
			params[i] = words[i+1]
		}
		var got json.RawMessage
		err := r.client.Call(context.Background(), method, &got, params...)
		if call != key {
			if want := coreError(t, answers[key]); err == nil && want != "" || err != nil && !strings.HasPrefix(want, errorText(err)) && !strings.HasPrefix(errorText(err), want) {
				t.Errorf("%s: error %q, Core's is %q", call, errorText(err), want)
			}
			same++
			continue
		}
		if err != nil {
			t.Errorf("%.100s: %v", call, err)
			continue
		}
		if difference := compare(method, decode(t, answers[key]), decode(t, got)); difference != "" {
			t.Errorf("%.120s: %s", call, difference)
			continue
		}
		same++
	}
	vectors.Ran(t, same, "answers of RPC methods")
	t.Logf("methods left out: %v", skipped)
}

// coreError is "error code: -5\nerror message:\ntext" of bitcoin-cli, its first
// line of the text.
func coreError(t *testing.T, raw json.RawMessage) string {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Fatal(err)
	}
	var code int
	if _, err := fmt.Sscanf(text, "error code: %d", &code); err != nil {
		return "" // bitcoin-cli did not ask
	}
	_, message, _ := strings.Cut(text, "error message:\n")
	message, _, _ = strings.Cut(message, "\n")
	return fmt.Sprintf("%d %s", code, message)
}

func errorText(err error) string {
	code := 0
	if coded, ok := err.(interface{ RPCCode() int }); ok {
		code = coded.RPCCode()
	}
	message, _, _ := strings.Cut(fmt.Sprint(err), "\n")
	return fmt.Sprintf("%d %s", code, message)
}

func decode(t *testing.T, raw json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if v == "" { // bitcoin-cli prints null as nothing
		return nil
	}
	return v
}

// compare returns the first difference between an answer of Core and karat's.
func compare(path string, want, got any) string {
	if _, out := leftOut[path]; out {
		return ""
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, no object", path, got)
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			below := path + "." + key
			if _, there := got[key]; !there {
				if _, out := leftOut[below]; !out {
					return below + " is missing"
				}
				continue
			}
			if d := compare(below, want[key], got[key]); d != "" {
				return d
			}
		}
		for _, key := range slices.Sorted(maps.Keys(got)) {
			if _, there := want[key]; !there && leftOut[path+"."+key] == "" {
				return path + "." + key + " is not in Core's answer"
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("%s: %v, want %v", path, got, want)
		}
		for i := range want {
			if d := compare(path, want[i], got[i]); d != "" {
				return d
			}
		}
		return ""
	case json.Number:
		got, ok := got.(json.Number)
		if !ok {
			return fmt.Sprintf("%s: %v, want %v", path, got, want)
		}
		a, _ := want.Float64()
		b, _ := got.Float64()
		if a != b && math.Abs(a-b) > 1e-15*math.Abs(a) {
			return fmt.Sprintf("%s: %v, want %v", path, got, want)
		}
		return ""
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s: %v, want %v", path, got, want)
	}
	return ""
}
