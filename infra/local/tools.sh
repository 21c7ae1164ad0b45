#!/usr/bin/env bash
# Installs the programs that the tests start and the tools that build them.
. "$(dirname "$0")/common.sh"

require redis-server redis-server "the cache's tests start it"
require npm npm "runs the CDK's tests and an emulator of Kinesis"
require curl curl "checks that a started server answers"
require c++ g++ "compiles libFuzzer"
require chromium chromium "the page's tests open it"
[[ $(fc-list 2> /dev/null) == *Inter* ]] || install_package fonts-inter "the page's pictures are set in it"
require_venv
