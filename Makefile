# karat: what people do here. `make` alone lists it.
GO ?= go
export GOFLAGS ?= -buildvcs=false
FUZZTIME ?= 20s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/karatd, the node, and bin/karat, the wallet
	@$(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: run
run: build ## run a node that mines on the dev network
	@exec bin/karatd --network dev --mine

.PHONY: test
test: ## run all tests (under five minutes on two cores)
	cd test/oracle && $(GO) test ./...
	@sh test/vectors.sh sum ./...

.PHONY: race
race: ## run all tests under the race detector
	$(GO) test -race -short ./...

.PHONY: lint
lint: ## check formatting, vet and staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	cd test/oracle && $(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...

.PHONY: check
check: lint test race ## everything that must pass before a change lands

.PHONY: bench
bench: ## run the benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s)
	sh test/fuzz.sh $(FUZZTIME)

.PHONY: cover
cover: ## show the statement coverage of each package
	$(GO) test -cover ./...

.PHONY: vectors
vectors: ## run the comparisons with the answers of others, and list the cases
	@sh test/vectors.sh list -run 'Vectors|Core' ./...

.PHONY: vectors-pack
vectors-pack: ## make testdata/vectors from the folder FROM
	$(GO) run ./internal/vectors/pack $(FROM) testdata/vectors

.PHONY: clean
clean: ## remove what was built
	rm -rf bin coverage.out
