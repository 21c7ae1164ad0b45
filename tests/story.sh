#!/usr/bin/env bash
# Types the commands of the README's quick start against a running system, and checks what they did.
set -euo pipefail
url=$1 equilibrium=$(realpath "$2")
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The blocks of the quick start that call the API, in their order.
awk '/^```sh$/ { block = ""; inside = 1; next }
     /^```$/ { if (inside && block ~ /127\.0\.0\.1:8080/) printf "%s", block; inside = 0 }
     inside { block = block $0 "\n" }' README.md |
    sed -e "s|http://127.0.0.1:8080|$url|g" -e 's/--minutes 60/--minutes 2/' \
        -e "s|cargo run --release -- explain|equilibrium explain --url $url|" -e 's/cargo run --release --/equilibrium/' \
        > "$work/commands"
if [ "$(grep -c 'curl' "$work/commands")" -lt 12 ]; then
    echo "the README has fewer commands than it had"
    exit 1
fi

curl() { command curl --silent --show-error --fail-with-body "$@"; }
# shellcheck disable=SC2317 # the commands call it
equilibrium() { "$equilibrium" "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
cd "$work"
# shellcheck source=/dev/null
source "$work/commands" > "$work/output" 2> "$work/errors" || {
    cat "$work/output" "$work/errors"
    exit 1
}

# shellcheck disable=SC2154 # the quick start sets it
[ "$(curl "$url/v1/quotes/$quote" | field status)" = confirmed ]
curl "$url/v1/cities/nyc/policy" > "$work/saved.json"
grep --quiet '"max_multiplier":4.0' "$work/saved.json"
curl "$url/v1/cities/nyc/overrides" | grep --quiet evacuation
is_capped() {
    curl "$url/v1/price?lat=40.8296&lng=-73.9262" | python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["multiplier"] > 1.5)'
}
# Within five seconds of its answer.
for _ in $(seq 25); do
    if is_capped; then
        echo "ok: the README's quick start at $url"
        exit 0
    fi
    sleep 0.2
done
echo "the cap does not bind"
exit 1
