#!/usr/bin/env bash
# Proves that nothing that comes from outside makes the firmware panic: not the network, not flash, not probes.
#
# It links firmware/no-panic, which calls all that takes such input, for a board, and looks in the image for calls of
# core::panicking: what the optimiser has proved unreachable is gone, and what is left is named with the lines that lead there.
# Needs rustup's target, or Debian's rustc-web (as root, both are installed if they can be had), and LLVM's tools.
#   rustup target add thumbv7m-none-eabi
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

target=thumbv7m-none-eabi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sen/target}/no-panic"

# What may stay, and why. Each is a pattern over the source lines that lead to the panic, or over the function that raises it.
#
# core's reader and printer of floats (dec2flt, flt2dec) check the bounds of their own tables and digits: more than the optimiser
# can follow. Only packs reach them, which the gateway reads and no board does: a float in CBOR, a number of more than 18 digits.
# Fuzzed with overflow checks as the targets `decimal` and `pack`.
floats='library/core/src/(num/(imp/)?(dec2flt|flt2dec|bignum)|fmt/float)'
# A future that is polled after its end: an executor's mistake, made by no input.
polled_again='panic_const_(async_fn_resumed|coroutine_resumed)'

install_debian_packages llvm=/usr/bin/llvm-objdump

build=(cargo build --locked --release --target "$target")
# Nothing of the host's settings: they name other linkers and processors.
unset RUSTFLAGS CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS
if ! { have rustup && { rustup target list --installed | grep -qxF "$target" || rustup target add "$target" >/dev/null 2>&1; }; }; then
    install_debian_packages rustc-web=/usr/bin/rustc cargo-web=/usr/bin/cargo \
        rust-web-src=/usr/lib/rustlib/src/rust/library/core/Cargo.toml
    # The linker comes with rustup's own toolchain; Debian's has none for these targets.
    if ! have rust-lld; then
        lld=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin
        [ -x "$lld/rust-lld" ] && PATH=$PATH:$lld
    fi
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    build=(/usr/bin/cargo "${build[@]:1}" -Zbuild-std=core,alloc)
fi
(cd firmware/no-panic && "${build[@]}")
image=$CARGO_TARGET_DIR/$target/release/sen-no-panic

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Everything must be in there: an entry that never returns would silently take those after it along.
expected=$(grep -cE '^    fn [a-z0-9_]+\(\) \{' firmware/no-panic/src/{wire,node,drivers}.rs | awk -F: '{ sum += $2 } END { print sum }')
llvm-nm --demangle --defined-only "$image" >"$work/symbols"
present=$(grep -cE ' sen_no_panic::(wire|node|drivers)::(wire|node|probe)_[a-z0-9_]+(::h[0-9a-f]{16})?$' "$work/symbols" || true)
[ "$present" = "$expected" ] || die "$present of $expected entries of firmware/no-panic are in the image: does one never return?"

# Address, function and raiser of each call. Functions of core that do nothing but panic are raisers; whatever else of core
# calls one is found itself, so that one that is not named here is reported and not missed.
raisers='<core::(panicking::|option::(unwrap|expect)_failed|result::unwrap_failed|slice::index::slice_[a-z_]*fail|slice::copy_from_slice_impl::len_mismatch_fail|str::slice_error_fail|cell::panic_)'
llvm-objdump -d --demangle --no-show-raw-insn "$image" | awk -v raisers="$raisers" -v polled_again="$polled_again" '
    /^[0-9a-f]+ </ { caller = $0; sub(/^[0-9a-f]+ /, "", caller); sub(/:$/, "", caller); next }
    $0 ~ raisers && caller !~ raisers && $0 !~ polled_again {
        address = $1; sub(/:$/, "", address)
        raiser = $0; sub(/^[^<]*</, "", raiser); sub(/>[^>]*$/, "", raiser)
        print "0x" address "\t" caller "\t" raiser
    }' >"$work/calls"

# With the lines that were inlined there, the panicking one first; a line for each call.
cut -f1 "$work/calls" | llvm-symbolizer --obj="$image" --inlines --demangle --output-style=LLVM |
    awk -v RS= '{
        chain = ""
        n = split($0, lines, "\n")
        for (i = 2; i <= n; i += 2) chain = chain (chain == "" ? "" : " < ") lines[i]
        print chain
    }' >"$work/chains"
left=$(wc -l <"$work/calls")
[ "$left" = "$(wc -l <"$work/chains")" ] || die "llvm-symbolizer did not answer for each of $left calls"
paste "$work/calls" "$work/chains" | awk -v floats="$floats" '
    # Excused is what floats do themselves, not what they call of ours.
    { ours = index($0, "/firmware/"); if (match($0, floats) && (!ours || RSTART < ours)) next; print }' | sort -u -k2 |
    sed -E "s|$PWD/||g; s|[^[:space:]]*/registry/src/[^/]*/||g; s|[^[:space:]]*/library/core/|core/|g" |
    awk -F'\t' '{ printf "%s\n    in %s\n    at %s\n", $3, $2, $4 }' >"$work/found"
if [ -s "$work/found" ]; then
    cat "$work/found"
    die "outside input may make the firmware panic: see above, the panicking line first"
fi
printf 'no panic can be reached from outside: %s entries; %s calls are left, all in the float code that is excused\n' \
    "$present" "$left"
