#!/usr/bin/env bash
# Builds the functions as `up` deploys them.
. "$(dirname "$0")/common.sh"
python_tools
build_functions
