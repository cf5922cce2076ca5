#!/usr/bin/env bash
# Builds the image of every board, prints what it takes of flash and RAM, and fails over budget.
#
#   scripts/firmware-boards.sh [image…]     all of them, or those named as below
#
# Images end up in $CARGO_TARGET_DIR/boards/<image>. The emulated board's are what tests/tests/emulated_board.rs runs.
# Needs llvm-size and llvm-nm, and rustup's targets or Debian's rustc-web (scripts/lib.sh says how):
#   rustup target add thumbv7m-none-eabi thumbv7em-none-eabihf riscv32imc-unknown-none-elf
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# The emulated board's goal is 192 KiB. It is not reached: the budget is what it takes today, so that it does not grow unseen.
# image | folder in firmware/boards | target | features | flash, KiB | RAM with the stack, KiB (-: as the linker allows)
boards='
    qemu-mps2-ethernet | qemu-mps2 | thumbv7m-none-eabi | ethernet | 224 | 64
    qemu-mps2-ppp      | qemu-mps2 | thumbv7m-none-eabi | ppp      | 224 | 64
'

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sen/target}"
images=$CARGO_TARGET_DIR/boards
mkdir -p "$images"
rows=$(sed 's/ *| */|/g; s/^ *//; s/ *$//; /^$/d' <<<"$boards")
mapfile -t targets < <(cut -d'|' -f3 <<<"$rows" | sort -u)
firmware_toolchain "${targets[@]}"

# Where the code stood when it was compiled is in every panic's message: by these only the part that says something.
flags="'--remap-path-prefix=$PWD='"
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=", '--remap-path-prefix=$registry='"
done

# The image's symbol as a number, or nothing.
symbol() { llvm-nm "$1" | awk -v name="$2" '$3 == name { print "0x" $1 }'; }

report=() over=()
measure() {
    local image=$1 flash_budget=$2 ram_budget=$3 text data bss flash static start end stack=0 ram
    read -r text data bss _ < <(llvm-size "$images/$image" | tail -n 1)
    # Data stands in flash too, to be copied at start.
    flash=$((text + data)) static=$((data + bss))
    # cortex-m-rt leaves the stack all RAM that nothing else takes.
    start=$(symbol "$images/$image" _stack_start) end=$(symbol "$images/$image" _stack_end)
    [ -z "$start" ] || stack=$((start - end))
    ram=$((static + stack))
    report+=("$(awk -v image="$image" -v flash=$flash -v budget="$flash_budget" -v static=$static -v stack=$stack 'BEGIN {
        printf "%-20s %7.1f of %4s KiB flash, %5.1f KiB static RAM + %5.1f KiB for the stack",
            image, flash / 1024, budget, static / 1024, stack / 1024 }')")
    [ "$flash" -le $((flash_budget * 1024)) ] || over+=("$image: $flash bytes of flash")
    [ "$ram_budget" = - ] || [ "$ram" -le $((ram_budget * 1024)) ] || over+=("$image: $ram bytes of RAM")
}

while IFS='|' read -r image folder target features flash ram; do
    [ $# -eq 0 ] || [[ " $* " == *" $image "* ]] || continue
    say "image $image"
    # From inside: a board's .cargo/config.toml holds its target and how it is linked.
    (cd "firmware/boards/$folder" &&
        CARGO_TARGET_DIR=$images/build "${firmware_cargo[@]}" --config "target.$target.rustflags = [$flags]" \
            --no-default-features --features "$features" </dev/null)
    cp "$images/build/$target/release/sen-$folder" "$images/$image"
    measure "$image" "$flash" "$ram"
done <<<"$rows"

printf '\n'
printf '%s\n' "${report[@]}"
[ ${#over[@]} -eq 0 ] || die "over budget: ${over[*]}"
