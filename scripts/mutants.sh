#!/bin/sh
# `npm run mutants`: takes each guard away in a copy and runs the test that must notice.
. "$(dirname "$0")/ensure-dependencies"
cd "$root" || exit 1
exec "$node" scripts/mutants/run-mutants.ts "$@"
