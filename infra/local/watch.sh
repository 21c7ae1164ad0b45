#!/usr/bin/env bash
# Runs the functions under `cargo lambda watch`, which rebuilds a function when its source changes. Tables,
# streams, queues and cache are the emulator's; `equilibrium run-event-sources` invokes the functions that read
# streams.
. "$(dirname "$0")/common.sh"

require curl curl "checks that a started server answers"
python_tools
node_tools
mkdir -p "$state"
start_emulator
info "creating tables, streams and queues at $endpoint"
deploy -c functions=no
info "building the functions (the first build takes minutes)"
# With the flags of `cargo lambda watch`, which then has nothing left to build.
(cd "$root" && "$cargo" build --locked --all-features --bins)
# A copy: a program that runs cannot be overwritten by the next build.
equilibrium=$state/equilibrium
install "$target/debug/equilibrium" "$equilibrium"
"$equilibrium" policies --deployment "$deployment"

# Every client of this machine is served.
export EQUILIBRIUM_AUTH=off EQUILIBRIUM_RATE_LIMITS=off
export EQUILIBRIUM_DEPLOYMENT=$deployment EQUILIBRIUM_CACHE_URLS
EQUILIBRIUM_CACHE_URLS=$(output CacheUrl)
EQUILIBRIUM_DEAD_LETTERS_URL=$(aws sqs get-queue-url --endpoint-url "$endpoint" --queue-name "$deployment-dead-letters" --query QueueUrl --output text)
export EQUILIBRIUM_DEAD_LETTERS_URL
stop feed
stop event-sources
stop watch
api=http://127.0.0.1:$watch_port
cd "$root"
start watch cargo lambda watch --invoke-address 127.0.0.1 --invoke-port "$watch_port" --all-features
wait_until "GET /v1/cities was answered" watch curl --silent --fail "$api/v1/cities"
wait_until "POST /v1/events was answered" watch curl --silent --fail -H 'content-type: application/x-ndjson' --data-binary '' "$api/v1/events"
start event-sources "$equilibrium" run-event-sources --deployment "$deployment" --to "$api" --positions "$state/positions" \
    --control-port "$control_port"
start feed "$equilibrium" feed "$api/v1/events"

cat <<TEXT

The functions run under cargo lambda watch. Change one, and send a request again:
  curl '$api/v1/price?lat=40.8296&lng=-73.9262'
  curl '$api/v1/cities/nyc/surge'
A sample payload for one function:
  $tools/bin/cargo-lambda lambda invoke -A 127.0.0.1 -P $watch_port price --data-file events/http/get-price.json

Logs are in $state. \`make down\` stops everything.
TEXT
