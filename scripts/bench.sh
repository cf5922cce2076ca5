#!/usr/bin/env bash
# Measures Sen beside Mosquitto and Node-RED on this machine: `./scripts/bench.sh [system…] [options]`
# (`./scripts/bench.sh --help` lists both). Takes a few minutes; wants the machine to itself.
# Needs what scripts/test.sh installs. Node-RED is installed from npm into ~/.cache/sen.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sen
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
for tool in cargo node npm influxd mosquitto setpriv; do
    have $tool || die "$tool is missing: run scripts/test.sh first, it installs it"
done

export BENCH_NODE_RED=$cache/node-red
mkdir -p "$BENCH_NODE_RED"
cp tests/bench/node-red/package.json tests/bench/node-red/package-lock.json tests/bench/node-red/.npmrc "$BENCH_NODE_RED/"
npm_install "$BENCH_NODE_RED"

[ -d dashboards/phone/dist ] || build_page
cargo build --release --locked -p sen-gateway -p sen-tests --bins
exec "$CARGO_TARGET_DIR/release/bench" "$@"
