# What is done with this repository; `make` alone lists it.

CARGO ?= cargo
# cargo-lambda builds functions for these processors, so this is what is measured.
BENCH_FLAGS = -C target-cpu=x86-64-v3

.PHONY: help test lint tools infra-test up-test up down watch package bench load deployed conform

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: lint tools ## Check formatting and lints, and run every test.
	$(CARGO) test --workspace --all-features --locked
	$(MAKE) infra-test up-test

infra-test: ## Test the CDK app alone (npm).
	cd infra && npm ci --silent --no-audit --no-fund && npm test

up-test: ## Test `make up` and `make down` alone, on ports of their own.
	tests/up.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- --deny warnings

tools: ## Install what tests start: a Redis server, npm, curl and Python's venv (Debian).
	infra/local/tools.sh

up: ## Start an emulator of AWS, deploy everything to it, and feed it the simulated city.
	infra/local/up.sh

down: ## End all that `make up` and `make watch` started.
	infra/local/down.sh

watch: ## The same with the functions under `cargo lambda watch`: built again when they change.
	infra/local/watch.sh

package: ## Build bootstrap.zip of each function for AWS: arm64, or ARCH=x86-64.
	infra/local/package.sh $(ARCH)

bench: ## Print the README's figures; EQUILIBRIUM_EVENTS names a file to replay, ONLY a part.
	RUSTFLAGS="$(BENCH_FLAGS)" $(CARGO) bench --package equilibrium-tests --bench figures --locked --target-dir target/bench

load: ## Print the README's figures of the served process (by wrk); ONLY names one, MINUTES the soak.
	RUSTFLAGS="$(BENCH_FLAGS)" $(CARGO) bench --package equilibrium-local --bench serve --locked --target-dir target/bench

deployed: ## Print the README's figures of the functions as they are deployed.
	infra/local/build.sh
	$(CARGO) test --workspace --all-features --locked --bench functions

conform: ## Replay every *.ndjson of DATA, calmly and among faults; compare with its *.ticks.ndjson.gz.
	$(CARGO) build --release --locked --package equilibrium-local --package equilibrium-tests --bins
	tests/conform.sh $(DATA)
	target/release/rough $(DATA)
