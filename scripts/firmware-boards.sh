#!/usr/bin/env bash
# Builds the image of every board, prints what it takes of flash and RAM, and fails over budget.
#
#   scripts/firmware-boards.sh [image…]     all of them, or those named as below
#
# Images end up in $CARGO_TARGET_DIR/boards/<image>. The emulated board's are what tests/tests/emulated_board.rs runs.
# Needs llvm-size, llvm-nm and llvm-objcopy, and rustup's targets and sources or Debian's rustc-web (scripts/lib.sh says how):
#   rustup component add rust-src
#   rustup target add thumbv7m-none-eabi thumbv7em-none-eabihf riscv32imc-unknown-none-elf
# On Debian, as root, it installs what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# The goal is 192 KiB. The STM32 has not reached it, with its drivers: its budget is what it takes today, so that it does not
# grow unseen.
# image | folder in firmware/boards | binary | target | features | flash, KiB | RAM with the stack, KiB (-: as the linker allows)
boards='
    qemu-mps2-ethernet | qemu-mps2 | sen-qemu-mps2      | thumbv7m-none-eabi          | ethernet | 192 | 64
    qemu-mps2-ppp      | qemu-mps2 | sen-qemu-mps2      | thumbv7m-none-eabi          | ppp      | 192 | 64
    stm32-ethernet     | stm32     | sen-stm32-ethernet | thumbv7em-none-eabihf       | ethernet | 204 | 62
    stm32-modem        | stm32     | sen-stm32-modem    | thumbv7em-none-eabihf       | modem    | 204 | 62
    esp32c3            | esp32c3   | sen-esp32c3        | riscv32imc-unknown-none-elf |          | 976 | -
'

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sen/target}"
images=$CARGO_TARGET_DIR/boards
mkdir -p "$images"
rows=$(sed 's/ *| */|/g; s/^ *//; s/ *$//; /^$/d' <<<"$boards")
mapfile -t targets < <(cut -d'|' -f4 <<<"$rows" | sort -u)
have llvm-size || install_debian_packages llvm=/usr/bin/llvm-size
firmware_toolchain "${targets[@]}"

# A panic ends in a fault, which every board survives by a reset and names in its next hello. Without the text and the place
# of each, an image is some 25 KiB smaller; that takes the standard library's source.
small=()
if [[ " ${firmware_cargo[*]} " != *' -Zbuild-std'* ]] && { [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] ||
    rustup component add rust-src; }; then
    firmware_cargo=(env RUSTC_BOOTSTRAP=1 "${firmware_cargo[@]}" -Zbuild-std=core,alloc)
fi
if [[ " ${firmware_cargo[*]} " == *' -Zbuild-std'* ]]; then
    small=(-Zpanic-immediate-abort --config 'profile.release.panic="immediate-abort"')
fi

# Where the code stood when it was compiled is in every panic's message: by these only the part that says something.
flags="'--remap-path-prefix=$PWD='"
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=", '--remap-path-prefix=$registry='"
done

# The image's symbol as a number, or nothing.
symbol() { llvm-nm "$1" | awk -v name="$2" '$3 == name { print "0x" $1 }'; }

# Bytes of the sections of that name.
section() { llvm-size -A "$1" | awk -v name="$2" '$1 ~ "^(" name ")$" { sum += $2 } END { print sum + 0 }'; }

report=() over=()
measure() {
    local image=$1 flash_budget=$2 ram_budget=$3 text data bss flash static start end stack=0 ram
    if [ "$image" = esp32c3 ]; then
        # What stands in the program's partition. The ELF has gaps that do not, so that llvm-size says more.
        flash=$(sed -n 's/^program=\([0-9]*\) .*/\1/p' "$images/$image.txt")
        # Code in RAM, data and both heaps.
        static=$(section "$images/$image" '\.rwdata_dummy|\.data.*|\.bss|\.noinit|\.dram2_uninit')
        stack=$(section "$images/$image" '\.stack')
    else
        read -r text data bss _ < <(llvm-size "$images/$image" | tail -n 1)
        # Data stands in flash too, to be copied at start.
        flash=$((text + data)) static=$((data + bss))
        # cortex-m-rt leaves the stack all RAM that nothing else takes.
        start=$(symbol "$images/$image" _stack_start) end=$(symbol "$images/$image" _stack_end)
        [ -z "$start" ] || stack=$((start - end))
    fi
    ram=$((static + stack))
    report+=("$(awk -v image="$image" -v flash=$flash -v budget="$flash_budget" -v static=$static -v stack=$stack 'BEGIN {
        printf "%-20s %7.1f of %4s KiB flash, %5.1f KiB static RAM + %5.1f KiB for the stack",
            image, flash / 1024, budget, static / 1024, stack / 1024 }')")
    [ "$flash" -le $((flash_budget * 1024)) ] || over+=("$image: $flash bytes of flash")
    [ "$ram_budget" = - ] || [ "$ram" -le $((ram_budget * 1024)) ] || over+=("$image: $ram bytes of RAM")
}

# The ESP32-C3's boot code wants more than an ELF: $CARGO_TARGET_DIR/boards/esp32c3.bin is what is flashed from address 0.
# Built as part of the workspace, so that no library is compiled with a second set of features.
flashable() {
    cargo build --locked --workspace --bin sen-image </dev/null
    "$CARGO_TARGET_DIR/debug/sen-image" "$images/esp32c3" firmware/boards/esp32c3/partitions.csv "$images/esp32c3.bin" |
        tee "$images/esp32c3.txt"
}

while IFS='|' read -r image folder binary target features flash ram; do
    [ $# -eq 0 ] || [[ " $* " == *" $image "* ]] || continue
    say "image $image"
    # From inside: a board's .cargo/config.toml holds its target and how it is linked.
    options=("${small[@]}")
    # Its exception handler prints, and there is room for what it prints.
    [ "$image" != esp32c3 ] || options=()
    (cd "firmware/boards/$folder" &&
        CARGO_TARGET_DIR=$images/build "${firmware_cargo[@]}" "${options[@]}" --config "target.$target.rustflags = [$flags]" \
            --no-default-features --features "$features" </dev/null)
    cp "$images/build/$target/release/$binary" "$images/$image"
    case $image in
        esp32c3) flashable ;;
        stm32-*) llvm-objcopy -O binary "$images/$image" "$images/$image.bin" ;;
    esac
    measure "$image" "$flash" "$ram"
done <<<"$rows"

printf '\n'
printf '%s\n' "${report[@]}"
[ ${#over[@]} -eq 0 ] || die "over budget: ${over[*]}"
