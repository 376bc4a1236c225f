package monitor

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/rpc/callinfo"
)

func init() { metrics.ExposeMetadata(true) } // Prometheus wants to know what is a counter

// metrics writes everything in the text format of Prometheus. Names follow its conventions:
// base units, _total for what only grows.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m := writer{w, map[string]bool{}}
	m.gauge(fmt.Sprintf(`karat_info{version=%q,network=%q}`, s.o.Version, s.o.Params.Name), 1)
	m.gauge("karat_start_time_seconds", float64(s.since.Unix()))
	s.chain(m)
	s.pool(m)
	s.network(m)
	s.miners(m)
	s.events(m)
	clients(m, s.o.Clients.Calls())
	database, coins := s.o.Store.CacheBytes()
	m.gauge(`karat_cache_bytes{of="database"}`, float64(database))
	m.gauge(`karat_cache_bytes{of="coins"}`, float64(coins))
	m.gauge(`karat_disk_bytes{of="coins"}`, float64(s.o.Store.CoinsOnDisk()))
	m.gauge(`karat_disk_bytes{of="blocks"}`, float64(s.o.Store.SizeOnDisk()))
	metrics.WriteProcessMetrics(w)
}

// writer writes samples, and before the first of a name what they are. Those of one name must
// follow each other. The library would say it before each sample, which Prometheus refuses.
type writer struct {
	io.Writer
	told map[string]bool
}

func (m writer) typed(name, kind string) {
	if name, _, _ = strings.Cut(name, "{"); !m.told[name] {
		m.told[name] = true
		fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s %s\n", name, help[name], name, kind)
	}
}

func (m writer) gauge(name string, value float64) {
	m.typed(name, "gauge")
	fmt.Fprintf(m, "%s %g\n", name, value)
}

func (m writer) counter(name string, value uint64) {
	m.typed(name, "counter")
	fmt.Fprintf(m, "%s %d\n", name, value)
}

func (m writer) seconds(name string, d time.Duration) {
	m.typed(name, "counter")
	fmt.Fprintf(m, "%s %g\n", name, d.Seconds())
}

func (s *Server) chain(m writer) {
	tip, best, e := s.o.Chain.TipState(), s.o.Chain.BestHeader(), s.o.Chain.Effort()
	m.gauge("karat_chain_height", float64(tip.Index.Height))
	m.gauge("karat_chain_headers_height", float64(best.Height))
	m.gauge("karat_chain_tip_timestamp_seconds", float64(tip.Header.Timestamp))
	m.gauge("karat_chain_block_work_hashes", consensus.BlockWork(tip.Header.Bits).Float64())
	m.gauge("karat_chain_work_hashes", tip.Work.Float64())
	m.gauge("karat_chain_target_spacing_seconds", float64(s.o.Params.TargetSpacing))
	m.gauge("karat_chain_syncing", truth(s.o.Network.Syncing()))
	m.counter(`karat_chain_blocks_total{what="connected"}`, e.Connected)
	m.counter(`karat_chain_blocks_total{what="disconnected"}`, e.Disconnected)
	m.counter(`karat_chain_blocks_total{what="refused"}`, e.Refused)
	m.counter("karat_chain_transactions_total", e.Transactions)
	m.counter("karat_chain_inputs_total", e.Inputs)
	m.counter("karat_validation_claims_total", e.Claims)
	m.counter(`karat_validation_batches_total{result="good"}`, e.Batches-e.FailedBatches)
	m.counter(`karat_validation_batches_total{result="bad"}`, e.FailedBatches)
	m.seconds(`karat_validation_stage_seconds_total{stage="open"}`, e.Opening)
	m.seconds(`karat_validation_stage_seconds_total{stage="coins"}`, e.Coins)
	m.seconds(`karat_validation_stage_seconds_total{stage="scripts"}`, e.Scripts)
	m.seconds(`karat_validation_stage_seconds_total{stage="batches"}`, e.Checking)
	m.seconds(`karat_validation_stage_seconds_total{stage="flush"}`, e.Flushing)
	m.counter("karat_chain_flushes_total", e.Flushes)
}

func (s *Server) pool(m writer) {
	info := s.o.Pool.Info()
	m.gauge("karat_pool_transactions", float64(info.Count))
	m.gauge("karat_pool_virtual_bytes", float64(info.VSize))
	m.gauge("karat_pool_memory_bytes", float64(info.Usage))
	m.gauge("karat_pool_memory_limit_bytes", float64(info.MaxBytes))
	m.gauge("karat_pool_fees_coins", float64(info.TotalFee)/types.GrainsPerCoin)
	m.gauge("karat_pool_min_feerate_grains_per_virtual_byte", float64(info.MinFeeRate)/1000)
	m.gauge("karat_pool_unbroadcast_transactions", float64(info.Unbroadcast))
}

func (s *Server) network(m writer) {
	inbound, outbound := 0, 0
	for _, p := range s.o.Network.Peers() {
		if p.Inbound {
			inbound++
		} else {
			outbound++
		}
	}
	received, sent := s.o.Network.Totals()
	m.gauge(`karat_peers{direction="inbound"}`, float64(inbound))
	m.gauge(`karat_peers{direction="outbound"}`, float64(outbound))
	m.counter(`karat_peers_bytes_total{direction="received"}`, received)
	m.counter(`karat_peers_bytes_total{direction="sent"}`, sent)
}

func (s *Server) miners(m writer) {
	if s.o.Miners == nil {
		return
	}
	info := s.o.Miners.Info()
	m.gauge("karat_stratum_connections", float64(info.Connections))
	m.gauge("karat_stratum_workers", float64(len(info.Workers)))
	m.gauge("karat_stratum_banned_addresses", float64(info.Banned))
}

func (s *Server) events(m writer) {
	if s.o.Events == nil {
		return
	}
	height, messages, connected := s.o.Events.Written()
	up := 0.0
	if connected {
		up = 1
	}
	m.gauge("karat_events_connected", up)
	m.gauge("karat_events_height", float64(height))
	m.counter("karat_events_messages_total", messages)
}

// clients writes the calls of each method, in classes that include those below them.
func clients(m writer, methods []callinfo.Method) {
	for i := range methods {
		m.counter(fmt.Sprintf(`karat_rpc_faults_total{method=%q}`, methods[i].Name), methods[i].Faults)
	}
	if len(methods) > 0 {
		m.typed("karat_rpc_seconds", "histogram")
	}
	for i := range methods {
		method := &methods[i]
		below := uint64(0)
		for class, count := range method.Counts {
			bound := math.Inf(1)
			if class < len(callinfo.Bounds) {
				bound = callinfo.Bounds[class].Seconds()
			}
			below += count
			text := fmt.Sprint(bound)
			if math.IsInf(bound, 1) {
				text = "+Inf"
			}
			fmt.Fprintf(m, "karat_rpc_seconds_bucket{method=%q,le=%q} %d\n", method.Name, text, below)
		}
		if method.Counts != nil {
			fmt.Fprintf(m, "karat_rpc_seconds_sum{method=%q} %g\nkarat_rpc_seconds_count{method=%q} %d\n", method.Name, method.Time.Seconds(), method.Name, method.Calls)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
