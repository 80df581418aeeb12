#!/bin/sh
# `npm run bench`: measures the figures the documents quote, each beside a peer or a bound, on this machine.
. "$(dirname "$0")/ensure-dependencies"
cd "$root" || exit 1
exec "$node" scripts/bench/run-all.ts "$@"
