# karat: what people do here. `make` alone lists it.
GO ?= go
export GOFLAGS ?= -buildvcs=false
FUZZTIME ?= 20s

# The Go that builds, tests and scans karat, and nothing else says which: the go
# command fetches it. `make GOTOOLCHAIN=local` takes the Go that is installed.
export GOTOOLCHAIN := go1.27.3

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.52.0
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.2

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: toolchain
toolchain:
	@$(GO) version || { echo "$(GOTOOLCHAIN) cannot be had here; make GOTOOLCHAIN=local takes the Go that is installed"; exit 1; }

.PHONY: build
# Without C, as in a release: the same compiled packages serve both, and the programs run anywhere.
build: toolchain ## build bin/karatd, the node, bin/karat, the wallet, and bin/karat-events
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...
	@cd cmd/karat-events && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/ .

.PHONY: run
run: build ## run a node that mines on the dev network
	@exec bin/karatd --network dev --mine

.PHONY: test
test: ## run all tests (under five minutes on two cores)
	@sh test/vectors.sh sum ./...

NPM := test/oracle/clients/npm

$(NPM)/node_modules: $(NPM)/package-lock.json
	cd $(NPM) && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules

.PHONY: clients
clients: $(NPM)/node_modules ## run programs of others that use a node; BITCOINCLI names a bitcoin-cli
	cd test/oracle && $(GO) test -count=1 -v ./clients

BROWSER := test/browser

$(BROWSER)/npm/node_modules: $(BROWSER)/npm/package-lock.json
	cd $(BROWSER)/npm && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules

.PHONY: browser
browser: $(BROWSER)/npm/node_modules ## look at all pages in Chromium; KARAT_SHOTS names a folder for pictures
	cd $(BROWSER) && $(GO) test -count=1 -timeout 20m -v ./...

.PHONY: beyond
beyond: ## run what reaches beyond one machine, beside real servers of NATS and PostgreSQL
	cd test/beyond && $(GO) test -count=1 -timeout 20m -v ./...

.PHONY: beyond-kills
beyond-kills: ## kill nodes, a NATS server and a reader of its stream of events: KILLS=1000
	cd test/beyond && KARAT_BEYOND_KILLS=$(or $(KILLS),1000) $(GO) test ./events -count=1 -timeout 60m -run '^TestKills$$' -v

.PHONY: beyond-rate
beyond-rate: ## measure how fast a chain is written to NATS and read: TXS=200000
	cd test/beyond && KARAT_BEYOND_RATE=$(or $(TXS),200000) $(GO) test ./events -count=1 -timeout 60m -run '^TestRate$$' -v
.PHONY: warehouse
warehouse: ## fill PostgreSQL with TXS (200000) transactions from a stream, and tell how fast that was
	cd test/beyond && $(GO) test -count=1 -timeout 60m -v -run '^TestThroughput$$' ./warehouse -txs $(or $(TXS),200000)

.PHONY: race
race: ## run all tests under the race detector
	$(GO) test -race -short -timeout 20m ./...

# Modules, of which each is looked at by itself. Tests against others' code use what these have
# given up, so staticcheck does not read them.
MODULES := . test/oracle $(BROWSER) test/beyond cmd/karat-events

.PHONY: lint
lint: deadcode ## check formatting, modules, vet, staticcheck and dead code
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) && test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	@for module in $(MODULES); do \
		echo "lint $$module" && (cd $$module && $(GO) mod tidy -diff && $(GO) vet ./...) || exit 1; \
		test $$module = test/oracle || (cd $$module && $(GO) run $(STATICCHECK) ./...) || exit 1; \
	done

# What the programs reach, then what they and the tests reach. cmd/karat-events is a
# program too, but a module of its own: it alone reads journals.
.PHONY: deadcode
deadcode: ## find functions that nothing calls, or only tests
	@dead=$$({ $(GO) run $(DEADCODE) ./cmd/... || echo failed; } | sed '/^chain\/journal\//d' && $(GO) run $(DEADCODE) -test ./... && cd test/oracle && $(GO) run $(DEADCODE) -test ./... && cd ../../cmd/karat-events && $(GO) run $(DEADCODE) -test ./...) && \
		test -z "$$dead" || { echo "$$dead"; exit 1; }

.PHONY: vulnerabilities
vulnerabilities: ## find known faults in karat's dependencies and in Go that karat reaches
	@sh test/vulnerabilities.sh

.PHONY: check
check: lint test race ## what to run before a change; .ci/run does more

.PHONY: bench
bench: ## run the benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

.PHONY: bench-rpc
bench-rpc: build ## measure answers, beside a bitcoind that KARAT_BITCOIND names
	$(GO) run ./test/rpcbench -karatd bin/karatd -bitcoind "$(KARAT_BITCOIND)"

.PHONY: web-bench
web-bench: build ## measure pages of a long chain beside a node that syncs: BLOCKS=200000 COINS=1000000
	$(GO) run ./test/webbench -karatd bin/karatd -blocks $(or $(BLOCKS),200000) -coins $(or $(COINS),1000000)

.PHONY: hashrate
hashrate: ## compare hashes a second with cpuminer, whose minerd KARAT_MINERD names: SECONDS=5
	$(GO) test ./miner/sha256d -count=1 -timeout 30m -run '^TestBesideMinerd$$' -v -beside $(or $(SECONDS),5)s

.PHONY: dev-day
dev-day: ## go through a day at a block a second on karatd dev, as fast as can be: DAY=24h
	$(GO) test ./cmd/karatd -count=1 -timeout 0 -run '^TestDevDay$$' -v -day $(or $(DAY),24h)

.PHONY: replay
replay: ## kill nodes and their subscribers a thousand times: KILLS=1000
	KARAT_REPLAY_KILLS=$(or $(KILLS),1000) $(GO) test ./rpc -count=1 -timeout 60m -run '^TestReplay$$' -v

.PHONY: replicas
replicas: ## kill one of three nodes behind HAProxy KILLS (30) times while they are read
	$(GO) test ./cmd/karatd -count=1 -timeout 30m -run '^TestReplicas$$' -v -replica-kills $(or $(KILLS),30)

.PHONY: kills
kills: ## kill the wallet's commands at each of their writes: KILLS=1000
	$(GO) test ./cmd/karat -count=1 -timeout 30m -run '^TestKilledAtEveryWrite$$' -v -kills $(or $(KILLS),1000)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s)
	sh test/fuzz.sh $(FUZZTIME)

.PHONY: cover
cover: ## show the statement coverage of each package
	$(GO) test -cover ./...

.PHONY: netns
netns: build ## run five nodes in network namespaces with shaped lines (takes root)
	@GO="$(GO)" sh test/netns.sh

.PHONY: core
core: build ## run Bitcoin Core's functional tests, from KARAT_CORE_SOURCE, against karatd
	@test/core/run.py

.PHONY: soak
soak: ## run 24 nodes among attackers under the race detector for SOAK (10m)
	$(GO) test -race -run '^TestSoak$$' -timeout 0 -v ./node -soak $(or $(SOAK),10m)

.PHONY: day
day: ## run a lab of four nodes for DAY (24) hours of its time, and hold that nothing grows
	$(GO) test -count=1 -timeout 0 -v -run '^TestDay$$' ./node/lab -day $(or $(DAY),24)

.PHONY: hundredfold
hundredfold: ## let the hash rate of three processes grow and fall a hundredfold, with a half-life of HALFLIFE (60s)
	$(GO) test -count=1 -timeout 0 -v -run '^TestHundredfold$$' ./cmd/karatd -hundredfold $(or $(HALFLIFE),60s)

.PHONY: farm
farm: ## simulate 300 Stratum miners for FARM (1h) of their time
	$(GO) test -count=1 -timeout 0 -v -run '^TestFarm$$' ./miner/stratum -farm $(or $(FARM),1h)

.PHONY: sim
sim: ## simulate a network: NODES=200 SEED=1 HOSTILE=0.2 (docs/simulation.md)
	@GO="$(GO)" sh test/sim.sh

.PHONY: fees
fees: ## simulate quiet, busy and changing networks, and show how good estimates of fees are (docs/fees.md)
	$(GO) test ./mempool/fees -count=1 -run '^TestSimulation$$' -v

.PHONY: selection
selection: ## let the wallet choose coins for PAYMENTS (10000) payments, beside the largest first
	$(GO) test ./wallet -count=1 -run '^TestSelection$$' -v -payments $(or $(PAYMENTS),10000)

.PHONY: flood
flood: ## send FLOOD (1000000) transactions to a pool, and show what memory it takes
	$(GO) test ./mempool -count=1 -run '^TestFlood$$' -v -flood $(or $(FLOOD),1000000)

.PHONY: attack
attack: ## attack a node in every known way, and show what its users notice (docs/security.md): SECONDS=8 ATTACKERS=40
	$(GO) test ./cmd/karatd -count=1 -timeout 30m -run '^TestAttacks$$' -v -attack $(or $(SECONDS),8)s -attackers $(or $(ATTACKERS),40)

.PHONY: vectors
vectors: ## run the comparisons with the answers of others, and list the cases
	@sh test/vectors.sh

.PHONY: vectors-pack
vectors-pack: ## make testdata/vectors from the folder FROM
	$(GO) run ./internal/vectors/pack $(FROM) testdata/vectors

.PHONY: launch
launch: ## launch a coin as docs/guides/launch.md says, to the letter: under five minutes
	KARAT_LAUNCH=whole $(GO) test -count=1 -v -run TestLaunchGuide ./cmd/karatd

.PHONY: readme
readme: ## run every command of the README, and compare what it prints
	bash test/readme.sh

# The platforms of a release: TARGETS="linux/amd64 linux/arm64".
TARGETS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: release
release: toolchain ## make dist: archives, Debian packages, manual, bills of materials, checksums
	$(GO) run ./internal/release -out dist -nfpm $(NFPM) $(TARGETS)

.PHONY: release-check
release-check: release ## make the release again elsewhere, and compare it byte by byte
	GO="$(GO)" NFPM="$(NFPM)" sh test/release.sh $(TARGETS)

.PHONY: image
image: ## build contrib/docker/Dockerfile, where there is Docker, and run it
	sh test/image.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist coverage.out
