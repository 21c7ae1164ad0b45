#!/usr/bin/env bash
# Runs the functions under `cargo lambda watch`: each is built again when its source changes. Tables,
# streams and cache are the emulator's; the runner invokes count and surge there.
. "$(dirname "$0")/common.sh"

debian curl curl "asks whether what was started answers"
python_tools
node_tools
mkdir -p "$state"
start_emulator
say "creating tables, streams and queues at $endpoint"
deploy -c functions=no
say "building the functions (the first time takes minutes)"
# As cargo lambda watch does: it finds them built.
(cd "$root" && "$cargo" build --locked --all-features --bins)
equilibrium=$state/equilibrium
install "$target/debug/equilibrium" "$equilibrium"
"$equilibrium" policies --deployment "$deployment"

export EQUILIBRIUM_DEPLOYMENT=$deployment EQUILIBRIUM_CACHE_URLS
EQUILIBRIUM_CACHE_URLS=$(output CacheUrl)
EQUILIBRIUM_DEAD_LETTERS_URL=$(aws sqs get-queue-url --endpoint-url "$endpoint" --queue-name "$deployment-dead-letters" --query QueueUrl --output text)
export EQUILIBRIUM_DEAD_LETTERS_URL
stop feed
stop runner
stop watch
api=http://127.0.0.1:$watch_port
cd "$root"
start watch cargo lambda watch --invoke-address 127.0.0.1 --invoke-port "$watch_port" --all-features
until_it "the cities" watch curl --silent --fail "$api/v1/cities"
until_it "events being taken" watch curl --silent --fail -H 'content-type: application/x-ndjson' --data-binary '' "$api/v1/events"
start runner "$equilibrium" run-sources --deployment "$deployment" --to "$api" --positions "$state/positions" \
    --control-port "$control_port"
start feed "$equilibrium" feed "$api/v1/events"

cat <<TEXT

The functions run under cargo lambda watch: change one and ask again.
  curl '$api/v1/price?lat=40.8296&lng=-73.9262'
  curl '$api/v1/cities/nyc/surge'
A sample payload, to one of them:
  $tools/bin/cargo-lambda lambda invoke -A 127.0.0.1 -P $watch_port price --data-file events/http/get-price.json

Logs lie in $state; \`make down\` ends everything.
TEXT
