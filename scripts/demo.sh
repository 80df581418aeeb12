#!/bin/sh
# `npm run demo`: the real service against a simulated Hub on this machine; no network.
. "$(dirname "$0")/ensure-dependencies"
cd "$root" || exit 1
exec "$node" scripts/demo/play-week.ts "$@"
