#!/bin/sh
# `npm run campaign`: faults, kills and full disks against the real program, judged from outside. Hours, if told so.
. "$(dirname "$0")/ensure-dependencies"
cd "$root" || exit 1
exec "$node" scripts/campaign/run-all.ts "$@"
