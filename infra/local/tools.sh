#!/usr/bin/env bash
# Installs what tests start and what they are built with.
. "$(dirname "$0")/common.sh"

debian redis-server redis-server "the cache's tests run against it"
debian npm npm "runs the CDK's tests, and an emulator of Kinesis"
debian curl curl "asks whether what was started answers"
venv_module
