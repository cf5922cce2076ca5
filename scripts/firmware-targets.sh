#!/usr/bin/env bash
# Builds the firmware's chip-neutral crates for the boards' processors: that no `std` slips in shows only here.
#
# With rustup's targets, if they are installed:
#   rustup target add thumbv7em-none-eabihf riscv32imc-unknown-none-elf
# Else with Debian's rustc-web, which brings the standard library's source to build `core` from; as root the packages are
# installed. The result is the same code checked, not a byte-identical one.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

targets=(thumbv7em-none-eabihf riscv32imc-unknown-none-elf)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sen/target}"
# Nothing of the host's settings: they name other linkers and processors.
unset RUSTFLAGS CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS

build() {
    local target
    for target in "${targets[@]}"; do
        say "sen-wire, sen-node and sen-drivers for $target"
        "$@" build --locked --release -p sen-wire -p sen-node -p sen-drivers --target "$target"
    done
}

if have rustup; then
    installed=$(rustup target list --installed)
    if [ "$(printf '%s\n' "$installed" | grep -cxF "$(printf '%s\n' "${targets[@]}")")" -eq "${#targets[@]}" ]; then
        build cargo
        exit
    fi
fi

if ! [ -d /usr/lib/rustlib/src/rust/library ] || ! [ -x /usr/bin/cargo ] || ! [ -x /usr/bin/rustc ]; then
    packages=(rustc-web cargo-web rust-web-src)
    if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
        die "run 'rustup target add ${targets[*]}', or install ${packages[*]}"
    fi
    say "installing ${packages[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# The linker comes with rustup's own toolchain; Debian's has none for these targets.
if ! have rust-lld; then
    lld=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin
    [ -x "$lld/rust-lld" ] && PATH=$PATH:$lld
fi
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
build_std() { local command=$1; shift; /usr/bin/cargo "$command" -Zbuild-std=core "$@"; }
build build_std
