# Everything starts here: `make run` to try Skein, `make test` to check it. Each target does its own set-up first and
# skips what is done already.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run build test contract check audit model sim chaos fuzz mutants bench flames setup-build setup-test app

# What `make run` passes on: make run ARGS="--data data --workers 5"
ARGS ?= --demo
# How long `make fuzz` runs.
FUZZ_SECONDS ?= 60
# How long `make bench` loads a server for each measurement.
BENCH_SECONDS ?= 5
# How long `make sim` runs, and what it passes on.
SIM_SECONDS ?= 60
SIM_ARGS ?=
# How long `make chaos` runs, and from which seed; without one it takes any and says which. Settings of the world that replace what the
# seed draws: see docs/testing.md.
SECONDS ?= 60
SEED ?=
WORLD ?=
# What `make mutants` changes: a file or folder (or several), one of so many shards, or what differs from a commit; in all crates, or one.
FILE ?=
SHARD ?=
DIFF ?=
PACKAGE ?=
# How many requests `make contract` makes up for each operation and phase; its seed is SEED, 1 without one.
EXAMPLES ?= 5
# What `make load` runs, from ops/k6; how many arrivals a second, and for how long.
SCRIPT ?= load.js
RATE ?=
DURATION ?=

APP := web/dist/index.html
APP_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path 'web/e2e/*' \
	-not -path 'web/test-results/*' 2>/dev/null)

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

run: build ## set everything up and serve the app on an embedded cluster (ARGS="..." for flags of `skein up`)
	@exec target/release/skein up $(ARGS)

build: app ## set everything up and build target/release/skein, the app inside it
	@cargo build --release --locked --package skein

test: setup-test app ## set everything up and run every test
	@cd web && npm test
	@cargo test --workspace --locked --no-run
	@cd web && SKEIN_BIN="$(CURDIR)/target/debug/skein" npm run e2e
	@EXAMPLES=$(EXAMPLES) SEED=$(SEED) tests/contract/run
	@cargo test --workspace --locked

check: app ## the quick part: format, lints, types, unit tests
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@cd web && npm run check
	@cd web && npm test
	@cargo test --workspace --locked --lib --bins --quiet
	@cargo test --locked --package skein --test tidy --quiet

audit: ## check the dependencies: licences, sources, duplicates, known vulnerabilities (needs the network for the last)
	@ops/setup audit
	@ops/audit

contract: app ## hold the API against its OpenAPI document (EXAMPLES=n SEED=n; see tests/contract)
	@ops/setup contract
	@cargo build --locked --package skein
	@EXAMPLES=$(EXAMPLES) SEED=$(SEED) tests/contract/run

model: ## explore every world of the protocol's model and leave out each of its rules (ten minutes and a few GB)
	@cargo run --release --locked --package skein-sim --bin skein-model
	@cargo run --release --locked --package skein-sim --bin skein-model -- --without

sim: ## play whole clusters under faults for a minute (SIM_SECONDS=n; SIM_ARGS="--seed N" replays one)
	@cargo run --profile sim --locked --package skein-sim --bin skein-sim -- --seconds $(SIM_SECONDS) $(SIM_ARGS)

chaos: setup-test app ## break whole clusters under load for a minute (SECONDS=n SEED=n WORLD='workers=2 light=0')
	@SKEIN_CHAOS_SECONDS=$(SECONDS) SKEIN_CHAOS_SEED=$(SEED) SKEIN_CHAOS_WORLD="$(WORLD)" \
		cargo test --locked --package skein --test cluster -- --exact chaos::chaos

fuzz: ## feed the frame decoder with random bytes for a minute (FUZZ_SECONDS=n)
	@ops/setup fuzz
	@mkdir -p fuzz/corpus-new
	@cd fuzz && cargo fuzz run -s none frames corpus-new corpus/frames -- -max_total_time=$(FUZZ_SECONDS)

mutants: ## change the code a little and see that a test fails (FILE=path, SHARD=3/20 or DIFF=main; else all of protocol/, which takes hours)
	@ops/setup mutants
	@FILE="$(FILE)" SHARD="$(SHARD)" DIFF="$(DIFF)" PACKAGE="$(PACKAGE)" ops/mutants

.PHONY: container-test observe load

container-test: ## bring the containers up for real, kill and restart them (needs Docker)
	@docker compose version >/dev/null || { echo "container-test needs Docker with the compose plugin" >&2; exit 1; }
	@cargo test --locked --package skein --features containers --test containers -- --test-threads=1

observe: ## run the containers with Prometheus, Grafana and traces (needs Docker)
	@OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 docker compose --profile observe up --build --detach --wait
	@echo "the app: http://127.0.0.1:$${SKEIN_PORT:-8080}   the dashboard: http://127.0.0.1:$${GRAFANA_PORT:-3000}"

load: ## put load on the containers (SCRIPT=load.js RATE=n DURATION=30s; needs Docker)
	@docker compose ps --quiet coordinator | grep -q . || docker compose up --build --detach --wait
	@docker compose --profile load run --rm --no-deps -e RATE=$(RATE) -e DURATION=$(DURATION) k6 run --quiet /scripts/$(SCRIPT)

bench: setup-build app ## measure: requests beside the ceiling, memory, start-up, a rejoin, readers, the core's steps (BENCH_SECONDS=n)
	@ops/setup bench
	@cargo build --release --locked --package skein --package skein-bench
	@target/release/skein-bench http --seconds $(BENCH_SECONDS) --json target/bench.json
	@target/release/skein-bench memory
	@target/release/skein-bench rejoin
	@target/release/skein-bench readers --seconds $(BENCH_SECONDS)
	@cargo bench --locked --package skein-bench --features micro

flames: setup-build app ## draw flame graphs of the writes into docs/images
	@ops/setup flames
	@cargo build --release --locked --package skein --package skein-bench
	@target/release/skein-bench flame

setup-build:
	@ops/setup build

setup-test:
	@ops/setup test

app: $(APP)

# The app is built anew when a source of it is newer than what was built.
$(APP): $(APP_SOURCES) | setup-build
	@cd web && npm run build
	@touch $@
