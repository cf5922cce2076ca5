#!/usr/bin/env bash
# Builds the firmware's chip-neutral crates for the boards' processors: that no `std` slips in shows only here.
# Needs rustup's targets, or Debian's rustc-web (scripts/lib.sh says how):
#   rustup target add thumbv7em-none-eabihf riscv32imc-unknown-none-elf
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

targets=(thumbv7em-none-eabihf riscv32imc-unknown-none-elf)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sen/target}"
firmware_toolchain "${targets[@]}"
for target in "${targets[@]}"; do
    say "sen-wire, sen-node, sen-drivers and sen-embassy for $target"
    "${firmware_cargo[@]}" -p sen-wire -p sen-node -p sen-drivers -p sen-embassy --target "$target"
done
