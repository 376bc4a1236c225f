package node

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/chaintest"
)

func getText(t *testing.T, url string) (code int, text string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// sample is a line of Prometheus' text format, without a time.
var sample = regexp.MustCompile(`^([a-z_][a-z0-9_]*)(\{[a-zA-Z_]+="[^"]*"(, ?[a-zA-Z_]+="[^"]*")*\})? ([-+0-9.eE]+|\+Inf|NaN)$`)

// checkSamples holds what Prometheus asks of its format: each name has one type, told before
// its samples, which follow each other and stand there once; what only grows ends in _total.
func checkSamples(t *testing.T, text string) map[string]float64 {
	t.Helper()
	samples, types, ended, last := map[string]float64{}, map[string]string{}, map[string]bool{}, ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "#" {
			if fields[1] == "TYPE" && types[fields[2]] != "" {
				t.Errorf("%s has two types", fields[2])
			}
			if fields[1] == "HELP" && strings.HasPrefix(fields[2], "karat_") && len(fields) == 3 {
				t.Errorf("nothing is said of %s", fields[2])
			}
			if fields[1] == "TYPE" {
				types[fields[2]] = fields[3]
			}
			continue
		}
		match := sample.FindStringSubmatch(line)
		if match == nil {
			t.Errorf("no sample: %q", line)
			continue
		}
		family := match[1]
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(family, end); ok && (types[base] == "histogram" || types[base] == "summary") {
				family = base
			}
		}
		if types[family] == "" {
			t.Errorf("%s has no type", family)
		}
		if family != last && ended[family] {
			t.Errorf("the samples of %s stand apart", family)
		}
		ended[last], last = true, family
		if strings.HasPrefix(family, "karat_") && (types[family] == "counter") != strings.HasSuffix(family, "_total") {
			t.Errorf("%s is a %s", family, types[family])
		}
		value, err := strconv.ParseFloat(match[4], 64)
		if _, twice := samples[match[1]+match[2]]; twice || err != nil {
			t.Errorf("%s: %v, or twice", line, err)
		}
		samples[match[1]+match[2]] = value
	}
	return samples
}

// TestMonitor: what monitors read of a node that runs is what is true of it.
func TestMonitor(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), Config{DataDir: t.TempDir(), Params: params, Metrics: "127.0.0.1:0", RPCListen: []string{"127.0.0.1:0"}, Stratum: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, n)
	base := "http://" + n.running.Load().monitorListener.Addr().String()
	address, err := taproot.EncodeAddress(params.HRP, chaintest.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.client.Call(t.Context(), "generatetoaddress", nil, 3, address); err != nil {
		t.Fatal(err)
	}
	if code, text := getText(t, base+"/health/ready"); code != http.StatusOK || text != "ready\nheight 3\n" {
		t.Errorf("ready: %d %q", code, text)
	}
	for query, want := range map[string]int{"?height=3": 200, "?height=4": 503, "?height=x": 400, "?height=-1": 400} {
		if code, text := getText(t, base+"/health/ready"+query); code != want {
			t.Errorf("ready%s: %d %q", query, code, text)
		}
	}
	if code, text := getText(t, base+"/health/live"); code != http.StatusOK || text != "live\n" {
		t.Errorf("live: %d %q", code, text)
	}
	if code, _ := getText(t, base+"/"); code != http.StatusNotFound {
		t.Errorf("nothing: %d", code)
	}
	code, text := getText(t, base+"/metrics")
	if code != http.StatusOK {
		t.Fatal(code, text)
	}
	samples := checkSamples(t, text)
	for name, want := range map[string]float64{
		"karat_chain_height": 3, `karat_chain_blocks_total{what="connected"}`: 3, "karat_chain_transactions_total": 3, `karat_peers{direction="inbound"}`: 0,
		"karat_pool_transactions": 0, `karat_rpc_seconds_count{method="generatetoaddress"}`: 1, `karat_rpc_seconds_bucket{method="generatetoaddress",le="+Inf"}`: 1,
		"karat_stratum_connections": 0, "karat_chain_syncing": 0, fmt.Sprintf(`karat_info{version=%q,network="dev"}`, karat.Version): 1,
	} {
		if got, ok := samples[name]; !ok || got != want {
			t.Errorf("%s is %v, %v, want %v", name, got, ok, want)
		}
	}
	if samples["process_resident_memory_bytes"] == 0 || samples["go_goroutines"] == 0 {
		t.Error("nothing is told of the process")
	}
}

// TestMonitoringFiles: what the dashboard and the alerts ask for is told by a node.
func TestMonitoringFiles(t *testing.T) {
	n := openNode(t, t.TempDir(), "dev", 0)
	n.config.Metrics, n.config.Stratum = "127.0.0.1:0", "127.0.0.1:0"
	r := run(t, n)
	if err := r.client.Call(t.Context(), "getblockcount", nil); err != nil {
		t.Fatal(err)
	}
	_, text := getText(t, "http://"+n.running.Load().monitorListener.Addr().String()+"/metrics")
	told := map[string]bool{}
	for name := range checkSamples(t, text) {
		name, _, _ = strings.Cut(name, "{")
		told[name] = true
	}
	for _, file := range []string{"dashboard.json", "karat.rules.yml"} {
		data, err := os.ReadFile(filepath.Join("../contrib/prometheus", file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(data) {
			t.Errorf("%s is no JSON", file)
		}
		names := regexp.MustCompile(`\b(karat|process|go)_[a-z0-9_]+\b`).FindAllString(string(data), -1)
		if len(names) < 5 {
			t.Errorf("%s asks for %d samples", file, len(names))
		}
		for _, name := range names {
			if !told[name] {
				t.Errorf("%s asks for %s, which no node tells", file, name)
			}
		}
	}
}
