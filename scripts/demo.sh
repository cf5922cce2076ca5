#!/usr/bin/env bash
# Shows Sen at work: `./scripts/demo.sh`, then open the address that it prints.
#
# Builds the phone page and the gateway, and runs `sen demo`: a gateway with its own broker and
# simulated nodes that replay real measurements. Options are passed on (`--help` lists them).
# Needs a Rust toolchain (1.95) and Node.js 20 with npm; on Debian, as root, it installs a C compiler and make if there is
# none. No network once built.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

missing=()
have cargo || missing+=("a Rust toolchain, 1.95 or newer (https://rustup.rs)")
have node || missing+=("Node.js 20 or newer (https://nodejs.org)")
have npm || missing+=("npm (comes with Node.js)")
if [ ${#missing[@]} -gt 0 ]; then
    printf 'The demo needs:\n' >&2
    printf '  - %s\n' "${missing[@]}" >&2
    exit 1
fi

if ! { have cc && have make; }; then
    install_debian_packages build-essential=/usr/bin/make gcc=/usr/bin/cc
fi
build_page
exec cargo run --release --locked -p sen-gateway -- demo "$@"
