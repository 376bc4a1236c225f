package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/freeport"
)

// program returns where a program is, or says loudly what is not run without it.
func program(t *testing.T, name, what string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("NOT RUN: %s (Debian's package prometheus has %s)", what, name)
	}
	return path
}

// TestAlerts: Prometheus' own program reads the rules, and each alert comes when its trouble is
// there, and only then.
func TestAlerts(t *testing.T) {
	promtool := program(t, "promtool", "alerts on series in which there is trouble")
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", "testdata/alerts.yml").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	tested, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../contrib/prometheus/karat.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		if _, alert, ok := strings.Cut(strings.TrimSpace(line), "- alert: "); ok && !strings.Contains(string(tested), "alertname: "+alert) {
			t.Errorf("nothing shows that %s comes", alert)
		}
	}
}

// panels returns what the dashboard asks, by the titles of its panels.
func panels(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("../contrib/prometheus/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	asks := map[string][]string{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asks[panel.Title] = append(asks[panel.Title], target.Expr)
		}
	}
	if len(asks) < 8 {
		t.Fatalf("%d panels", len(asks))
	}
	return asks
}

// TestDashboard: a Prometheus that reads a node answers what every panel asks, and loads the
// rules.
func TestDashboard(t *testing.T) {
	prometheus := program(t, "prometheus", "the dashboard's questions to a Prometheus that reads a node")
	n := openNode(t, t.TempDir(), "dev", 0)
	n.config.Metrics, n.config.Stratum = "127.0.0.1:0", "127.0.0.1:0"
	r := run(t, n)
	dir := t.TempDir()
	rules, err := filepath.Abs("../contrib/prometheus/karat.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 200ms}\nrule_files: [%q]\nscrape_configs: [{job_name: karat, static_configs: [{targets: [%q]}]}]\n",
		rules, n.running.Load().monitorListener.Addr())
	if err := os.WriteFile(dir+"/prometheus.yml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	at := freeport.At(t, "127.0.0.1") // it cannot say at which port it listens
	ctx, stop := context.WithCancel(t.Context())
	command := exec.CommandContext(ctx, prometheus, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+at)
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = command.Wait() }()
	address, err := taproot.EncodeAddress("krtd", chaintest.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(expr string) (results int, err error) {
		var answer struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		response, err := http.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return 0, nil // it has not started yet
		}
		defer response.Body.Close()
		if response.StatusCode == http.StatusServiceUnavailable {
			return 0, nil // it reads its data
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != "" {
			return 0, fmt.Errorf("%s %v", answer.Error, err)
		}
		return len(answer.Data.Result), nil
	}
	waiting := panels(t)
	waiting["alerts' rules"] = []string{`up{job="karat"}`}
	for deadline := time.Now().Add(time.Minute); len(waiting) > 0; time.Sleep(100 * time.Millisecond) {
		// Rates are of what grows.
		if err := r.client.Call(t.Context(), "generatetoaddress", nil, 1, address); err != nil {
			t.Fatal(err)
		}
		for title, exprs := range waiting {
			var left []string
			for _, expr := range exprs {
				text := strings.NewReplacer(`"$instance"`, `".*"`, "$__rate_interval", "2s", "$__interval", "2s", "$__range", "10s").Replace(expr)
				if strings.Contains(text, "$") {
					t.Fatalf("%s: %s has a variable that is not known", title, expr)
				}
				results, err := ask(text)
				if err != nil {
					t.Fatalf("%s: %s: %v", title, expr, err)
				}
				if results == 0 {
					left = append(left, expr)
				}
			}
			if waiting[title] = left; len(left) == 0 {
				delete(waiting, title)
			}
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(dir + "/log")
			t.Fatalf("no answer to %v\n%s", waiting, text)
		}
	}
	var rulesAnswer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	response, err := http.Get("http://" + at + "/api/v1/rules")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&rulesAnswer); err != nil || len(rulesAnswer.Data.Groups) != 1 || len(rulesAnswer.Data.Groups[0].Rules) < 8 {
		t.Errorf("rules: %v, %+v", err, rulesAnswer)
	}
	for _, group := range rulesAnswer.Data.Groups {
		for _, rule := range group.Rules {
			if rule.Health == "err" {
				t.Errorf("%s: %s", rule.Name, rule.LastError)
			}
		}
	}
}
