#!/usr/bin/env bash
# Not part of scripts/test.sh yet: it still finds panics that the optimiser can't rule out.
#
# Proves that no decoder of the firmware can panic: firmware/no-panic links only then.
# Needs rustup's target or Debian's rustc-web (scripts/lib.sh says how):
#   rustup target add thumbv7m-none-eabi
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

target=thumbv7m-none-eabi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sen/target}/no-panic"
firmware_toolchain "$target"
cd firmware/no-panic
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "${firmware_cargo[@]}" --target "$target" 2>&1 | tee "$log"; then
    grep -q a_decoder_can_panic "$log" || exit 1
    # Once more, with a linker that lets it pass, to see who calls.
    "${firmware_cargo[@]}" --target "$target" --config "target.$target.rustflags = ['-Clink-arg=--unresolved-symbols=ignore-all']"
    printf '\nFunctions that can panic:\n'
    llvm-objdump -d --demangle --no-show-raw-insn "$CARGO_TARGET_DIR/$target/release/sen-no-panic" |
        awk '/^[0-9a-f]+ </ { caller = $0 } /<(core::panicking|core::slice::index|core::str::slice_error|core::option::|core::result::)/ && !/^[0-9a-f]+ </ { print caller }' |
        sed 's/^[0-9a-f]* //' | sort | uniq -c | sort -rn
    die "a decoder can panic"
fi
