# What is done with this repository; `make` alone lists it.

CARGO ?= cargo
# cargo-lambda builds functions for these processors, so this is what is measured.
BENCH_FLAGS = -C target-cpu=x86-64-v3

.PHONY: help test bench conform

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

bench: ## Print the README's figures; EQUILIBRIUM_EVENTS names a file to replay.
	RUSTFLAGS="$(BENCH_FLAGS)" $(CARGO) bench --package equilibrium-tests --bench figures --target-dir target/bench
