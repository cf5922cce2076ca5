#!/usr/bin/env bash
# Fuzzes what the firmware reads from outside: `scripts/fuzz.sh [SECONDS [TARGET]]`, 60 s each of all targets by default.
#
# Fails if a target breaks, with the bytes that broke it; put them into firmware/fuzz/found/TARGET. What it has learnt stays
# in $SEN_FUZZ_CORPUS (default: a folder in ~/.cache) for the next time.
# Needs Rust and a C++ compiler only: libFuzzer is built from the crate libfuzzer-sys, with flags that stable Rust has. No
# sanitizer: there is no unsafe code to look into. Overflow checks and debug assertions are on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

seconds=${1:-60}
only=${2:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sen
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}/fuzz"
corpus=${SEN_FUZZ_CORPUS:-$cache/fuzz-corpus}
host=$(rustc -vV | sed -n 's/^host: //p')

install_debian_packages build-essential=/usr/bin/c++

# A folder of its own, and a target that is named: so these flags are not for build scripts.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --locked -p sen-fuzz --bin fuzz --features libfuzzer --profile fuzz --target "$host"
unset RUSTFLAGS
fuzz=$CARGO_TARGET_DIR/$host/fuzz/fuzz

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
targets=$(SEN_FUZZ_SEEDS=$work/seeds "$fuzz")
[ -z "$only" ] || grep -qxF "$only" <<<"$targets" || die "no target $only; there are: $(paste -sd' ' <<<"$targets")"

failed=0
printf '%-12s %10s %8s %8s %8s %8s\n' target inputs 'a second' edges kept MB
for target in ${only:-$targets}; do
    mkdir -p "$corpus/$target" "$work/broken/$target"
    # -max_len: the longest that a target looks at; -timeout: what takes a second hangs.
    code=0
    SEN_FUZZ=$target "$fuzz" -max_total_time="$seconds" -max_len=4200 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$work/broken/$target/" "$corpus/$target" "$work/seeds/$target" >"$work/log" 2>&1 || code=$?
    if [ $code != 0 ]; then
        failed=1
        mkdir -p firmware/fuzz/found/"$target"
        cp "$work/broken/$target"/* firmware/fuzz/found/"$target"/ 2>/dev/null || true
        grep -aE -A4 'panicked at|SUMMARY|libFuzzer: ' "$work/log" | head -20
        printf '%-12s BROKEN: see firmware/fuzz/found/%s\n' "$target" "$target"
        continue
    fi
    stat() { sed -n "s/^stat::$1: *//p" "$work/log"; }
    edges=$(grep -aoE 'cov: [0-9]+' "$work/log" | tail -1 | cut -d' ' -f2)
    printf '%-12s %10s %8s %8s %8s %8s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
        "$edges" "$(find "$corpus/$target" -type f | wc -l)" "$(stat peak_rss_mb)"
done
[ $failed = 0 ] || die "some targets broke; the bytes are in firmware/fuzz/found and are tried by 'cargo test -p sen-fuzz' from now on"
