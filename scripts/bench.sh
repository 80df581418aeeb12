#!/bin/sh
# `npm run bench`: measures the figures the documents quote, each beside a peer or a bound, on this machine.
. "$(dirname "$0")/ensure-dependencies"
cd "$root" || exit 1
# The peers; a benchmark says which of them it had to do without.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ "$WEIGHTVAULT_BENCH_INSTALL" != no ]; then
  for peer in nginx aria2 curl openssl time; do
    dpkg -s "$peer" >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends "$peer" >/dev/null 2>&1 || echo "not installed: $peer"
  done
fi
exec "$node" scripts/bench/run-all.ts "$@"
