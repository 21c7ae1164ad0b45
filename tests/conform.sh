#!/usr/bin/env bash
# Replays every NAME.ndjson[.gz] of a folder, under NAME.policies.json if that file exists, over 1, 4 and 64 lanes, and
# compares the rows of each city, in order, with NAME.ticks.ndjson.gz.
set -euo pipefail

data=${1:?usage: tests/conform.sh FOLDER}
program=${CARGO_TARGET_DIR:-target}/release/equilibrium
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

by_city() { sort --stable --field-separator='"' --key=4,4; }

failed=0
for ticks in "$data"/*.ticks.ndjson.gz; do
    name=${ticks%.ticks.ndjson.gz}
    events=$name.ndjson
    [ -f "$events" ] || events=$name.ndjson.gz
    city=()
    [ ! -f "$name.policies.json" ] || city=(--city "$name.policies.json")
    for lanes in 1 4 64; do
        "$program" replay "$events" --out "$work/ticks" --lanes "$lanes" "${city[@]}" 2> "$work/summary"
        if cmp --silent <(by_city < "$work/ticks") <(gunzip --stdout "$ticks" | by_city); then
            verdict=same
        else
            verdict=DIFFERENT
            failed=1
        fi
        printf '%-16s %2d lanes: %s; %s\n' "$(basename "$name")" "$lanes" "$verdict" "$(tail -n 1 "$work/summary")"
    done
done
exit "$failed"
