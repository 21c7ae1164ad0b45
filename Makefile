# What is done with this repository; `make` alone lists it.

CARGO ?= cargo
# cargo-lambda builds functions for these processors, so this is what is measured.
BENCH_FLAGS = -C target-cpu=x86-64-v3

.PHONY: help test lint bench conform

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: lint ## Check formatting and lints, and run every test.
	$(CARGO) test --workspace --locked

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

bench: ## Print the README's figures; EQUILIBRIUM_EVENTS names a file to replay, ONLY a part.
	RUSTFLAGS="$(BENCH_FLAGS)" $(CARGO) bench --package equilibrium-tests --bench figures --locked --target-dir target/bench

conform: ## Replay every *.ndjson of DATA, calmly and among faults; compare with its *.ticks.ndjson.gz.
	$(CARGO) build --release --locked --package equilibrium-local --package equilibrium-tests --bins
	tests/conform.sh $(DATA)
	target/release/rough $(DATA)
