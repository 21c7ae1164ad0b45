#!/usr/bin/env bash
# Ends all that `up` and `watch` started. May be repeated.
. "$(dirname "$0")/common.sh"

for name in feed runner watch emulator redis; do
    stop "$name"
done
# What the emulator held went with it.
rm -rf "$state"
say "nothing is left running"
