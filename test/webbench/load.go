package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// path is what the next visitor asks for. No page is asked for twice, but those of which there
// is one.
func (b *bench) path() string {
	n := b.asked
	b.asked++
	s := b.sample
	block, tx, address := s.Blocks[n%len(s.Blocks)], s.Txs[n%len(s.Txs)], s.Addresses[n%len(s.Addresses)]
	switch n % 50 {
	case 0, 1:
		return "/"
	case 2:
		return "/mining"
	case 3:
		return "/supply"
	case 4:
		return "/mempool"
	case 5, 6:
		return fmt.Sprintf("/blocks?from=%d", (n*7919)%int(s.Height))
	case 7:
		return "/search?q=" + tx.String()
	case 8, 9:
		return "/api/tx/" + tx.String()
	case 10, 11:
		return "/api/tx/" + tx.String() + "/outspends"
	case 12, 13:
		return "/api/address/" + address + "/utxo"
	case 14:
		return "/api/address/" + address + "/txs"
	case 15:
		return "/api/block/" + block.String() + "/txids"
	}
	switch {
	case n%50 < 27:
		return "/block/" + block.String()
	case n%50 < 40:
		return "/tx/" + tx.String()
	}
	return "/address/" + address
}

// visit asks for pages, with a rate at random times, which answers do not change. It returns how
// long each took from the time when it was due, by the kind of page.
func (b *bench) visit(n *node, clients, pages int, rate float64) (map[string][]time.Duration, error) {
	type due struct {
		path string
		at   time.Time // zero: now
	}
	work := make(chan due, pages)
	at := time.Now()
	for range pages {
		d := due{path: b.path()}
		if rate > 0 {
			at = at.Add(time.Duration(-math.Log(1-rand.Float64()) / rate * 1e9))
			d.at = at
		}
		work <- d
	}
	close(work)
	client := &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: clients},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	var mu sync.Mutex
	took, failed := map[string][]time.Duration{}, []error(nil)
	for range clients {
		all.Go(func() {
			for d := range work {
				from := time.Now()
				if !d.at.IsZero() {
					time.Sleep(time.Until(d.at))
					from = d.at
				}
				err := open(client, n.web+d.path)
				spent := time.Since(from)
				mu.Lock()
				kind := kindOf(d.path)
				if took[kind] = append(took[kind], spent); err != nil {
					failed = append(failed, err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(failed) > 0 {
		return nil, fmt.Errorf("%d pages failed: %w", len(failed), errors.Join(failed[:min(3, len(failed))]...))
	}
	return took, nil
}

func kindOf(path string) string {
	parts := strings.Split(path, "/")
	kind := "/" + strings.SplitN(parts[1], "?", 2)[0]
	if kind == "/api" {
		kind += "/" + parts[2]
		if len(parts) > 4 {
			kind += "/" + parts[4]
		}
	}
	return kind
}

func open(client *http.Client, url string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept-Encoding", "gzip") // as browsers do, and what comes is not unpacked here
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	switch {
	case answer.StatusCode < http.StatusBadRequest:
	case answer.StatusCode == http.StatusBadRequest && strings.HasSuffix(url, "/utxo"): // of a shop with more coins than are told
	default:
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}

// row measures, and prints a line of the table.
func (b *bench) row(n *node, name string, clients, pages int, rate float64) error {
	before, start := n.measured().Processor(), time.Now()
	took, err := b.visit(n, clients, pages, rate)
	if err != nil {
		return err
	}
	wall, used := time.Since(start), n.measured().Processor()-before
	var each []time.Duration
	for _, list := range took {
		each = append(each, list...)
	}
	slices.Sort(each)
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("| %s | %d | %.0f | %.2f ms | %s | %s | %s | %s | %d MiB | %s |\n", name, len(each), float64(len(each))/wall.Seconds(), used.Seconds()*1000/float64(len(each)),
		ms(each[len(each)/2]), ms(each[len(each)*95/100]), ms(each[len(each)*99/100]), ms(each[len(each)-1]), n.measured().Memory("VmRSS"), strings.SplitN(string(load), " ", 2)[0])
	kinds := ""
	for _, kind := range slices.Sorted(keys(took)) {
		list := took[kind]
		slices.Sort(list)
		kinds += fmt.Sprintf("  %s %s/%s", kind, ms(list[len(list)/2]), ms(list[len(list)*95/100]))
	}
	b.say("median/95% by kind:" + kinds)
	return nil
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
