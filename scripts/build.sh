#!/bin/sh
# `npm run build`: compiles src to dist, so that `npm pack` makes a package that runs without a checkout.
. "$(dirname "$0")/ensure-dependencies"
cd "$root" || exit 1
rm -rf dist
"$node" node_modules/.bin/tsc -p tsconfig.build.json || exit 1
# What the program starts by path or reads beside itself must be there, too.
for file in dist/main.js dist/lib/hash-files-worker.js dist/store/batch-thread.js manifests/witness.json config/weightvault.example.yaml; do
  [ -s "$file" ] || { echo "the build lacks $file" >&2; exit 1; }
done
echo "dist is ready; \`npm pack\` makes the package"
