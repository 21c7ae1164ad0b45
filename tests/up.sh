#!/usr/bin/env bash
# Does what a new user does: `make up`, each line that it prints, `make up` again, `make down` twice. On ports
# and in a folder of its own, so that another deployment goes on beside it.
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
        tail -n 20 "$log" "$EQUILIBRIUM_STATE"/{emulator,feed,runner}.log 2> /dev/null || true
        printf '%s passed, 1 failed\n' "$passed"
    fi
    make down > /dev/null 2>&1 || true
    rm -rf "$work"
    exit "$status"
}
trap end EXIT

good() {
    printf 'ok: %s\n' "$*"
    passed=$((passed + 1))
}

# Waits up to a minute for a condition.
soon() { # WHAT COMMAND…
    local what=$1
    shift
    for _ in $(seq 300); do
        if "$@"; then
            good "$what"
            return
        fi
        sleep 0.2
    done
    printf 'not within a minute: %s\n' "$what"
    return 1
}

make up > "$log" 2>&1
good "make up"

# The lines as they are printed, up to the one that needs a mapping's name; curl says where it failed.
sed -n '/^A living city/,$ s/^  //p' "$log" | grep -v UUID > "$work/lines"
sed -i 's/^curl /curl --silent --show-error --fail /' "$work/lines"
bash -euo pipefail "$work/lines" > "$work/said" 2> "$work/errors" || { cat "$work/said" "$work/errors"; exit 1; }
good "every line that it prints"
grep --quiet '"mode":"fresh"' "$work/said"
grep --quiet '"FeatureCollection"' "$work/said"
grep --quiet '"accepted":1' "$work/said"
grep --quiet '"part"' "$work/said"
grep --quiet 'nyc' "$work/said"
good "prices, hexagons, an event taken, rows of DynamoDB and keys of Redis"

price=$(sed -n "s/^  curl '\(.*\/v1\/price.*\)'/\1/p" "$log" | head -n 1)
fact() { curl --silent --fail "$price" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
before=$(fact as_of)
is_newer() { [[ $(fact as_of) > $before ]]; }
soon "prices move" is_newer

mappings=http://127.0.0.1:$EQUILIBRIUM_CONTROL_PORT/2015-03-31/event-source-mappings
mapping() { # FUNCTION FIELD
    curl --silent --fail "$mappings/?FunctionName=equilibrium-$1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["EventSourceMappings"][0][sys.argv[1]])' "$2"
}
is_in_state() { [ "$(mapping count State)" = "$1" ]; }
uuid=$(mapping count UUID)
set_enabled() { curl --silent --fail --output /dev/null --request PUT --data "{\"Enabled\": $1}" "$mappings/$uuid"; }
set_enabled false
soon "a mapping is disabled" is_in_state Disabled
soon "prices age" bash -c "[ \$(curl --silent '$price' | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"age_ms\"])') -gt 12000 ]"
before=$(fact as_of)
set_enabled true
soon "prices move again once it is enabled" is_newer

make up >> "$log" 2>&1
good "make up again"
before=$(fact as_of)
soon "prices move after that" is_newer

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
good "make down leaves nothing running"
make down >> "$log"
good "make down again"
printf '%s passed, 0 failed\n' "$passed"
