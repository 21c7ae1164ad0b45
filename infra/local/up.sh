#!/usr/bin/env bash
# Starts an emulator of AWS, deploys the stack to it, and posts the simulated city's events. May be repeated.
. "$(dirname "$0")/common.sh"

require curl curl "checks that a started server answers"
python_tools
node_tools
info "building the functions (the first build takes minutes)"
build_functions --package equilibrium-local
mkdir -p "$state"
start_emulator

info "deploying to $endpoint"
# shellcheck disable=SC2119 # The arguments are optional.
deploy
# The emulator's mappings only poll; `equilibrium run-event-sources` does what Lambda does on AWS.
for mapping in $(aws lambda list-event-source-mappings --query 'EventSourceMappings[].UUID' --output text); do
    aws lambda update-event-source-mapping --uuid "$mapping" --no-enabled > /dev/null
done

# A copy: a program that runs cannot be overwritten by the next build.
equilibrium=$state/equilibrium
install "$target/lambda/equilibrium/bootstrap" "$equilibrium"
api=$endpoint/_aws/execute-api/$(output ApiId)/\$default
"$equilibrium" policies --deployment "$deployment"
stop feed
stop event-sources
start event-sources "$equilibrium" run-event-sources --deployment "$deployment" --positions "$state/positions" \
    --control-port "$control_port"
start feed "$equilibrium" feed "$api/v1/events"
stadium='lat=40.8296&lng=-73.9262'
has_price() { curl --silent --fail "$api/v1/price?$stadium" | grep --quiet '"mode":"fresh"'; }
wait_until "there was a fresh price" feed has_price

cat <<TEXT

Equilibrium is running. The price at the stadium:
  curl '$api/v1/price?$stadium'
the surge map, as JSON and as GeoJSON hexagons:
  curl '$api/v1/cities/nyc/surge'
  curl -H 'accept: application/geo+json' '$api/v1/cities/nyc/surge'
all cities, and one city:
  curl '$api/v1/cities'
  curl '$api/v1/cities/nyc'
an event:
  curl -H 'content-type: application/x-ndjson' '$api/v1/events' --data-binary \\
    '{"type":"ride_requested","id":"e1","time":"'"\$(date -u +%FT%TZ)"'","city":"nyc","request_id":"q1","lat":40.8296,"lng":-73.9262}'

The tables, the queue of dead letters and the cache:
  export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=$AWS_REGION
  $tools/bin/aws dynamodb scan --table-name $deployment-maps --projection-expression 'city, part, version' --max-items 5
  $tools/bin/aws dynamodb query --table-name $deployment-checkpoints --key-condition-expression '#log = :log' \\
    --expression-attribute-names '{"#log": "log", "#snapshot": "snapshot"}' --expression-attribute-values '{":log": {"S": "city/nyc"}}' --projection-expression 'n, #snapshot' --max-items 5
  $tools/bin/aws sqs receive-message --endpoint-url $endpoint --queue-url $endpoint/000000000000/$deployment-dead-letters
  redis-cli -p $redis_port keys '*'

The event source mappings, and how to disable one:
  curl http://127.0.0.1:$control_port/2015-03-31/event-source-mappings
  $tools/bin/aws lambda list-event-source-mappings --endpoint-url http://127.0.0.1:$control_port
  $tools/bin/aws lambda update-event-source-mapping --endpoint-url http://127.0.0.1:$control_port --uuid UUID --no-enabled

Logs are in $state. \`make down\` stops everything.
TEXT
