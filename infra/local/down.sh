#!/usr/bin/env bash
# Stops everything that `up` and `watch` started. May be repeated.
. "$(dirname "$0")/common.sh"

for name in feed event-sources watch emulator redis; do
    stop "$name"
done
# The emulator kept its data in memory, so the rest of its state is of no use.
rm -rf "$state"
info "all processes are stopped"
