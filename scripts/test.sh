#!/usr/bin/env bash
# Builds and tests everything: `./scripts/test.sh`. CI runs the same.
#
#   --nightly   also the slow forms: more crashes, more load, longer
#   --help      this text
#
# Needs Rust 1.95, Node.js 20 and npm. On Debian, as root, it installs the rest by itself: the
# servers that the tests run (on ports and folders of their own; nothing is left running), Chromium,
# and the compiler for the boards. Builds go to $CARGO_TARGET_DIR, by default a folder in ~/.cache.
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
debian_packages='
    influxdb=/usr/bin/influxd
    victoria-metrics=/usr/bin/victoria-metrics
    mosquitto=/usr/sbin/mosquitto
    chromium=/usr/bin/chromium
    llvm=/usr/bin/llvm-size
    qemu-system-arm=/usr/bin/qemu-system-arm
    util-linux=/usr/bin/setpriv
    build-essential=/usr/bin/make
'
# Standard library sources for the boards, for machines where rustup has no targets to download.
if ! { have rustup && rustup target list --installed 2>/dev/null | grep -q thumbv7m-none-eabi; }; then
    debian_packages+='
    rustc-web=/usr/bin/rustc
    cargo-web=/usr/bin/cargo
    rust-web-src=/usr/lib/rustlib/src/rust/library/core/Cargo.toml
'
fi

step "what has to be installed"
# shellcheck disable=SC2086
install_debian_packages $debian_packages
have cargo-nextest || cargo install --locked cargo-nextest

# --- the page

step "phone page"
build_page
(cd dashboards/phone && npm run check && npm test && npm run size)
npm_install tests/browser

# --- the Rust side

step "cargo fmt"
cargo fmt --all --check

step "cargo clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked -p sen-gateway -p sen-alerts -p sen-wire -p sen-node

step "build"
# Tests and programs in one go: built apart, their dependencies would be built twice with different
# features.
cargo build --workspace --bins --tests --locked
export SEN_BIN=$CARGO_TARGET_DIR/debug/sen

step "firmware for the boards"
scripts/firmware-targets.sh

step "no panic from outside input"
scripts/no-panic.sh

step "boards' images"
scripts/firmware-boards.sh

step "cargo nextest"
if [ -n "$nightly" ]; then
    SEN_NIGHTLY=1 cargo nextest run --workspace --locked --profile nightly
    step "fuzzing"
    scripts/fuzz.sh 60
else
    cargo nextest run --workspace --locked
fi

printf '\nALL GREEN: page, format, lints, firmware and tests passed in %s s\n' $((SECONDS - started))
