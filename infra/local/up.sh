#!/usr/bin/env bash
# Starts an emulator, deploys everything to it, and feeds it the simulated city. May be repeated.
. "$(dirname "$0")/common.sh"

debian curl curl "asks whether what was started answers"
python_tools
node_tools
say "building the functions (the first time takes minutes)"
build_functions
mkdir -p "$state"
start_emulator

say "deploying to $endpoint"
deploy
# Its own mappings only poll; the runner does what Lambda does.
for mapping in $(aws lambda list-event-source-mappings --query 'EventSourceMappings[].UUID' --output text); do
    aws lambda update-event-source-mapping --uuid "$mapping" --no-enabled > /dev/null
done

# A copy: what runs could not be built again.
equilibrium=$state/equilibrium
install "$target/lambda/equilibrium/bootstrap" "$equilibrium"
api=$endpoint/_aws/execute-api/$(output ApiId)/\$default
"$equilibrium" policies --deployment "$deployment"
stop feed
stop runner
start runner "$equilibrium" run-sources --deployment "$deployment" --positions "$state/positions" \
    --control-port "$control_port"
start feed "$equilibrium" feed "$api/v1/events"
stadium='lat=40.8296&lng=-73.9262'
has_price() { curl --silent --fail "$api/v1/price?$stadium" | grep --quiet '"mode":"fresh"'; }
until_it "a fresh price" feed has_price

cat <<TEXT

A living city, priced by functions of its own. The stadium's price:
  curl '$api/v1/price?$stadium'
its map, and as hexagons:
  curl '$api/v1/cities/nyc/surge'
  curl -H 'accept: application/geo+json' '$api/v1/cities/nyc/surge'
all cities, and one:
  curl '$api/v1/cities'
  curl '$api/v1/cities/nyc'
an event of your own:
  curl -H 'content-type: application/x-ndjson' '$api/v1/events' --data-binary \\
    '{"type":"ride_requested","id":"e1","time":"'"\$(date -u +%FT%TZ)"'","city":"nyc","request_id":"q1","lat":40.8296,"lng":-73.9262}'

What is in the tables, the cache and the queues:
  export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=$AWS_REGION
  $tools/bin/aws dynamodb scan --table-name $deployment-maps --projection-expression 'city, part, version' --max-items 5
  $tools/bin/aws dynamodb query --table-name $deployment-checkpoints --key-condition-expression '#log = :log' \\
    --expression-attribute-names '{"#log": "log", "#snapshot": "snapshot"}' --expression-attribute-values '{":log": {"S": "city/nyc"}}' --projection-expression 'n, #snapshot' --max-items 5
  $tools/bin/aws sqs receive-message --endpoint-url $endpoint --queue-url $endpoint/000000000000/$deployment-dead-letters
  redis-cli -p $redis_port keys '*'

The mappings of streams to functions, and one of them stopped and started again:
  curl http://127.0.0.1:$control_port/2015-03-31/event-source-mappings
  $tools/bin/aws lambda list-event-source-mappings --endpoint-url http://127.0.0.1:$control_port
  $tools/bin/aws lambda update-event-source-mapping --endpoint-url http://127.0.0.1:$control_port --uuid UUID --no-enabled

Logs lie in $state; \`make down\` ends everything.
TEXT
