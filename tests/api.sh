#!/usr/bin/env bash
# Tests the API of a running `equilibrium serve` against its own description: the description is valid OpenAPI, a client that is
# generated from it works, and schemathesis finds no answer that it does not have. The README's quick start works, too.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=infra/local/common.sh
. infra/local/common.sh

api=$root/tests/tests/api
work=$(mktemp -d)
program=${EQUILIBRIUM_PROGRAM:-$target/debug/equilibrium}

end() {
    local status=$?
    [ "$status" = 0 ] || tail -n 20 "$work"/*.log
    [ ! -f "$work/pid" ] || kill "$(cat "$work/pid")" 2> /dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap end EXIT

# The Python tools, at the versions in requirements.txt, in a virtual environment.
python=$target/tools/api
if ! cmp --silent "$api/requirements.txt" "$python/installed"; then
    require_venv
    info "installing schemathesis and openapi-spec-validator (PyPI) into $python"
    rm -rf "$python"
    python3 -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$api/requirements.txt"
    cp "$api/requirements.txt" "$python/installed"
fi

"$program" --port 0 > "$work/serve.log" 2>&1 &
echo $! > "$work/pid"
for _ in $(seq 300); do
    EQUILIBRIUM_URL=$(grep --only-matching --max-count 1 'http://127.0.0.1:[0-9]*' "$work/serve.log") && break
    kill -0 "$(cat "$work/pid")"
    sleep 0.1
done
export EQUILIBRIUM_URL

curl --silent --show-error --fail --output "$work/openapi.json" "$EQUILIBRIUM_URL/v1/openapi.json"
"$python/bin/openapi-spec-validator" --schema 3.1 "$work/openapi.json"

# It expects the first version of the policy.
"$root/tests/story.sh" "$EQUILIBRIUM_URL" "$program"

(cd "$api" && npm ci --silent --no-audit --no-fund && npm run --silent test)

# Saving policies changes the city that the other operations are tested with, so it comes last.
cd "$api"
schemathesis() { "$python/bin/st" --config-file schemathesis.toml run "$EQUILIBRIUM_URL/v1/openapi.json" "$@"; }
schemathesis --exclude-operation-id putPolicy
schemathesis --include-operation-id putPolicy --phases examples,coverage,fuzzing
kill -0 "$(cat "$work/pid")"
