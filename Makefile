# Every task of this repository; `make` alone lists them. CONTRIBUTING.md says what each installs.

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
# cargo-lambda builds functions for these processors, so this is what is measured.
BENCH_FLAGS = -C target-cpu=x86-64-v3

# Without a feature, the tests of all crates but these need no SDK and start no other process.
SLOW = aws local
FAST = $(subst _,-,$(filter-out $(SLOW),$(notdir $(patsubst %/,%,$(wildcard shared/*/ functions/*/))))) tests

.PHONY: help check fmt test-fast test tools infra-test api-test page page-test pictures page-figures up-test simulate simulate-aws fuzz \
	conform bench load deployed docs \
	up down watch package

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

check: ## Check formatting and lints. A minute after the first build.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- --deny warnings

fmt: ## Format the Rust code. A second.
	$(CARGO) fmt --all

test-fast: ## Run the tests that need no SDK and start nothing. Seconds after the first build.
	$(CARGO) test --locked $(FAST:%=--package equilibrium-%)

test: check tools ## Run every test there is: `check`, workspace, infra-test, api-test, page-test, up-test, fuzz. 45 minutes.
	$(CARGO) test --workspace --all-features --locked
	$(MAKE) infra-test api-test page-test up-test fuzz

tools: ## Install what tests start: a Redis server, npm, curl, a C++ compiler, Chromium, a font and Python's venv (Debian).
	infra/local/tools.sh

infra-test: ## Test the CDK app alone. Installs npm packages; a minute.
	cd infra && npm ci --silent --no-audit --no-fund && npm test

api-test: ## Test the HTTP API alone against its description. Installs npm and Python packages; a minute.
	$(CARGO) build --locked --package equilibrium-local --bin equilibrium
	tests/api.sh

page: ## Build the web page into functions/page/dist, which is committed. Installs npm packages; seconds.
	cd functions/page/web && npm ci --silent --no-audit --no-fund && npm run --silent check && npm run --silent build

page-test: ## Test the web page alone, in Chromium against the running system. Installs npm packages; two minutes.
	$(CARGO) build --locked --package equilibrium-local --bin equilibrium
	cd functions/page/web && npm ci --silent --no-audit --no-fund && npm run --silent check
	cd tests/tests/page && npm ci --silent --no-audit --no-fund && npm test

pictures: ## Take the README's pictures of the web page. Installs npm and Debian packages; minutes.
	tests/pictures.sh

page-figures: ## Print the web page's figures: weight, first paint, frames. Installs npm packages; a minute.
	$(CARGO) build --locked --package equilibrium-local --bin equilibrium
	cd tests/tests/page && npm ci --silent --no-audit --no-fund && npm run --silent figures

up-test: ## Test `make up` and `make down` alone, on ports of their own. Minutes.
	tests/up.sh

simulate: ## Simulate faults: SEED=N LANES=N TRACE=1, or a range of seeds, SEEDS=0..100. A second each.
	@$(CARGO) run --quiet --locked --package equilibrium-tests --bin simulate -- \
		$(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),0..100)) $(if $(LANES),--lanes $(LANES)) $(if $(TRACE),--trace)

fuzz: ## Search for inputs that break a parser: SECONDS=60 for each target, or TARGET=NAME. 8 minutes.
	SECONDS_EACH=$(or $(SECONDS),60) FUZZ_TARGET=$(TARGET) tests/fuzz/run.sh

simulate-aws: ## Print figures of a simulated account of AWS. ONLY=units|swap|snapshots|delays. Minutes.
	@$(CARGO) run --quiet --locked --package equilibrium-tests --features aws --bin simulate_aws -- $(ONLY)

conform: ## Replay every *.ndjson of DATA, with and without faults; compare with its *.ticks.ndjson.gz.
	$(if $(DATA),,$(error DATA names no folder: make conform DATA=FOLDER))
	$(CARGO) build --release --locked --package equilibrium-local --package equilibrium-tests --bins
	tests/conform.sh $(DATA)
	$(TARGET_DIR)/release/simulate $(DATA)

bench: ## Print figures of one core. EQUILIBRIUM_EVENTS=FILE adds a replay, ONLY=NAME selects one. Minutes.
	RUSTFLAGS="$(BENCH_FLAGS)" $(CARGO) bench --package equilibrium-tests --bench figures --locked --target-dir target/bench

load: ## Print figures of the served process (by wrk). ONLY=NAME selects one, MINUTES=N sets the soak. Minutes.
	RUSTFLAGS="$(BENCH_FLAGS)" $(CARGO) bench --package equilibrium-local --bench serve --locked --target-dir target/bench

deployed: ## Print figures of the functions as deployed. Installs Python packages; minutes.
	infra/local/build.sh
	$(CARGO) test --workspace --all-features --locked --bench functions

docs: ## Build the documentation of the Rust code; warnings are errors. A minute.
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --all-features --locked

up: ## Start an emulator of AWS, deploy everything to it, feed it the simulated city. Minutes at first.
	infra/local/up.sh

down: ## Stop all that `make up` and `make watch` started.
	infra/local/down.sh

watch: ## The same as `up` with the functions under `cargo lambda watch`, which rebuilds them on change.
	infra/local/watch.sh

package: ## Build bootstrap.zip of each function for AWS: arm64, or ARCH=x86-64. Minutes.
	infra/local/package.sh $(ARCH)
