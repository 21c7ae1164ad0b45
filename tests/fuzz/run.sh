#!/usr/bin/env bash
# Runs every fuzz target, or FUZZ_TARGET, for SECONDS_EACH, two at a time. New inputs are kept below the target folder.
# SEED is the random seed; with the same one and no kept inputs, a run repeats the inputs of another.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${SECONDS_EACH:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}/fuzz
# The instrumentation of cargo-fuzz without a sanitizer: these parsers have no unsafe code. For `--target` alone the
# flags do not apply to build scripts.
export RUSTFLAGS="--cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
-C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
-C llvm-args=-sanitizer-coverage-trace-compares"
${CARGO:-cargo} build --locked --package equilibrium-fuzz --profile fuzz --target "$host" --target-dir "$out"
program=$out/$host/fuzz/equilibrium-fuzz

run() {
    local name=$1 status=0 folders=("$out/corpus/$name" "tests/fuzz/seeds/$name")
    mkdir -p "$out/corpus/$name" "$out/crashes/$name"
    if [ -d "tests/fuzz/regressions/$name" ]; then
        folders+=("tests/fuzz/regressions/$name")
    fi
    FUZZ_TARGET=$name "$program" -seed="${SEED:-1}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
        -print_final_stats=1 -artifact_prefix="$out/crashes/$name/" "${folders[@]}" > "$out/$name.log" 2>&1 ||
        status=$?
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") inputs in $seconds s," \
        "coverage $(grep -o 'cov: [0-9]*' "$out/$name.log" | tail -1 | cut -c6-)"
    if [ "$status" != 0 ]; then
        tail -n 40 "$out/$name.log"
        echo "$name FAILED: move its input from $out/crashes/$name/ to tests/fuzz/regressions/$name/, then" \
            "cargo test -p equilibrium-fuzz"
        return 1
    fi
}

targets=${FUZZ_TARGET:-$(ls tests/fuzz/seeds)}
failed=0 running=0
for name in $targets; do
    if [ "$running" = 2 ]; then
        wait -n || failed=1
        running=1
    fi
    run "$name" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
