#!/usr/bin/env bash
# Builds the functions and the command line as `up` deploys them.
. "$(dirname "$0")/common.sh"
python_tools
build_functions --package equilibrium-local
