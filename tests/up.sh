#!/usr/bin/env bash
# Does what a new user does: `make up`, every command that it prints, `make up` again, `make down` twice. Uses
# its own ports and its own directory, so that another deployment can run beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
log=$work/log
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
export EQUILIBRIUM_STATE=$work/state
EQUILIBRIUM_GATEWAY_PORT=$(free_port)
EQUILIBRIUM_REDIS_PORT=$(free_port)
EQUILIBRIUM_CONTROL_PORT=$(free_port)
export EQUILIBRIUM_GATEWAY_PORT EQUILIBRIUM_REDIS_PORT EQUILIBRIUM_CONTROL_PORT
unset AWS_ENDPOINT_URL
passed=0

end() {
    local status=$?
    if [ "$status" != 0 ]; then
        tail -n 20 "$log" "$EQUILIBRIUM_STATE"/{emulator,feed,event-sources}.log 2> /dev/null || true
        printf '%s passed, 1 failed\n' "$passed"
    fi
    make down > /dev/null 2>&1 || true
    rm -rf "$work"
    exit "$status"
}
trap end EXIT

pass() {
    printf 'ok: %s\n' "$*"
    passed=$((passed + 1))
}

# Waits up to a minute for a condition.
eventually() { # CLAIM COMMAND…
    local claim=$1
    shift
    for _ in $(seq 300); do
        if "$@"; then
            pass "$claim"
            return
        fi
        sleep 0.2
    done
    printf 'not within a minute: %s\n' "$claim"
    return 1
}

make up > "$log" 2>&1
pass "make up succeeds"

# The commands as they are printed, except the one that needs a mapping's UUID; curl reports failures.
sed -n '/^Equilibrium is running/,$ s/^  //p' "$log" | grep -v UUID > "$work/commands"
sed -i 's/^curl /curl --silent --show-error --fail /' "$work/commands"
bash -euo pipefail "$work/commands" > "$work/output" 2> "$work/errors" || { cat "$work/output" "$work/errors"; exit 1; }
pass "every printed command succeeds"
grep --quiet '"mode":"fresh"' "$work/output"
grep --quiet '"FeatureCollection"' "$work/output"
grep --quiet '"accepted":1' "$work/output"
grep --quiet '"part"' "$work/output"
grep --quiet 'nyc' "$work/output"
pass "they print a fresh price, hexagons, a receipt, rows of a table and keys of the cache"

price=$(sed -n "s/^  curl '\(.*\/v1\/price.*\)'/\1/p" "$log" | head -n 1)
price_field() { curl --silent --fail "$price" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
before=$(price_field as_of)
is_newer() { [[ $(price_field as_of) > $before ]]; }
eventually "the price is updated" is_newer

mappings=http://127.0.0.1:$EQUILIBRIUM_CONTROL_PORT/2015-03-31/event-source-mappings
mapping() { # FUNCTION FIELD
    curl --silent --fail "$mappings/?FunctionName=equilibrium-$1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["EventSourceMappings"][0][sys.argv[1]])' "$2"
}
is_in_state() { [ "$(mapping "$1" State)" = "$2" ]; } # FUNCTION STATE
mapped=$(python3 -c 'import json; print(*json.load(open("infra/deployment.json"))["mappings"])')
for name in $mapped; do
    eventually "the mapping of $name is enabled" is_in_state "$name" Enabled
done
uuid=$(mapping count UUID)
set_enabled() { curl --silent --fail --output /dev/null --request PUT --data "{\"Enabled\": $1}" "$mappings/$uuid"; }
set_enabled false
eventually "the mapping of count is disabled on request" is_in_state count Disabled
eventually "the price ages while it is disabled" bash -c "[ \$(curl --silent '$price' | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"age_ms\"])') -gt 12000 ]"
before=$(price_field as_of)
set_enabled true
eventually "the price is updated again once it is enabled" is_newer

make up >> "$log" 2>&1
pass "make up succeeds a second time"
before=$(price_field as_of)
eventually "the price is updated after that" is_newer

groups=$(cut -d ' ' -f 1 "$EQUILIBRIUM_STATE"/*.pid)
make down >> "$log"
for group in $groups; do
    if kill -0 -- "-$group" 2> /dev/null; then
        printf 'still running: %s\n' "$(ps -o args= -g "$group")"
        exit 1
    fi
done
if pgrep --full "$EQUILIBRIUM_STATE" > "$work/left" || pgrep --full "equilibrium-.*bootstrap" >> "$work/left"; then
    printf 'still running: %s\n' "$(xargs -r ps -o args= -p < "$work/left")"
    exit 1
fi
pass "make down leaves no process running"
make down >> "$log"
pass "make down succeeds a second time"
printf '%s passed, 0 failed\n' "$passed"
