#!/usr/bin/env bash
# Builds and tests everything: `./scripts/test.sh`. CI runs the same.
#
#   --nightly   also the slow forms: more crashes, more load, longer
#   --help      this text
#
# Covers the workspace's members (firmware/wire, firmware/node) and the phone page. Needs Rust 1.95, Node.js 20
# and npm. Builds go to $CARGO_TARGET_DIR, by default a folder in ~/.cache.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

nightly=
for arg in "$@"; do
    case $arg in
        --nightly) nightly=1 ;;
        --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit ;;
        *) die "unknown option $arg (see --help)" ;;
    esac
done

started=$SECONDS
step=starting
trap 'code=$?; [ $code = 0 ] || printf "\nFAILED at: %s (exit %s, %s s)\n" "$step" "$code" $((SECONDS - started)) >&2' EXIT
step() { step=$*; say "$*"; }

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sen/target}

# --- what has to be there

for tool in cargo node npm; do
    have $tool || die "$tool is missing: install Rust 1.95 (https://rustup.rs) and Node.js 20 first"
done

# package=a file that it brings
step "test runner"
have cargo-nextest || cargo install --locked cargo-nextest

# --- the page

step "phone page"
build_page
(cd dashboards/phone && npm run check && npm test && npm run size)

# --- the Rust side

step "cargo fmt"
cargo fmt --all --check

step "cargo clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "cargo nextest"
if [ -n "$nightly" ]; then
    SEN_NIGHTLY=1 cargo nextest run --workspace --locked --profile nightly
else
    cargo nextest run --workspace --locked
fi

printf '\nALL GREEN: page, format, lints and tests passed in %s s\n' $((SECONDS - started))
