# Shared by the scripts; sourced, not run. Expects to be in the checkout's root.

say() { printf '\n==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Installs what is missing of `package=a file that it brings`…, without starting any service.
install_debian_packages() {
    local missing=() entry
    for entry in "$@"; do
        [ -e "${entry#*=}" ] || missing+=("${entry%%=*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "missing: ${missing[*]} (this script can install them on Debian only)"
    [ "$(id -u)" = 0 ] || die "missing: ${missing[*]}. Run: sudo apt-get install --no-install-recommends ${missing[*]}"
    say "Installing ${missing[*]}"
    # Packages start their service once installed unless this says no (101: forbidden by policy).
    local policy=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    local code=0
    { apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; } || code=$?
    [ -z "$policy" ] || rm -f $policy
    [ $code = 0 ] || die "apt-get failed"
    # And would start it at the next boot.
    if have systemctl; then
        for entry in "${missing[@]}"; do
            case $entry in
                influxdb | victoria-metrics | mosquitto) systemctl disable --quiet "$entry" 2>/dev/null || true ;;
            esac
        done
    fi
}

# npm ci, unless node_modules was made from this very lock file.
npm_install() {
    local dir=$1 stamp sum
    stamp=$dir/node_modules/.from-lock
    sum=$(sha256sum "$dir/package-lock.json" | cut -d' ' -f1)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
        (cd "$dir" && npm ci --no-audit --no-fund)
        echo "$sum" >"$stamp"
    fi
}

# The phone page, which the gateway's build embeds.
build_page() {
    npm_install dashboards/phone
    (cd dashboards/phone && npm run build)
}

# How to build for the given targets: sets `firmware_cargo` (an array) to call as `"${firmware_cargo[@]}" [options]`.
#
# With rustup's targets, if all are installed. Else with Debian's rustc-web, which brings the standard library's source to
# build `core` and `alloc` from; as root the packages are installed. The result is the same code, not the same bytes.
firmware_toolchain() {
    # Nothing of the host's settings: they name other linkers and processors.
    unset RUSTFLAGS CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS
    local installed target missing=
    if have rustup; then
        installed=$(rustup target list --installed)
        for target in "$@"; do
            grep -qxF "$target" <<<"$installed" || missing=1
        done
        if [ -z "$missing" ]; then
            firmware_cargo=(cargo build --locked --release)
            return
        fi
    fi
    if ! [ -d /usr/lib/rustlib/src/rust/library ] || ! [ -x /usr/bin/cargo ] || ! [ -x /usr/bin/rustc ]; then
        if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
            die "run 'rustup target add $*', or install rustc-web, cargo-web and rust-web-src"
        fi
    fi
    install_debian_packages rustc-web=/usr/bin/rustc cargo-web=/usr/bin/cargo \
        rust-web-src=/usr/lib/rustlib/src/rust/library/core/Cargo.toml
    # The linker comes with rustup's own toolchain; Debian's has none for these targets.
    if ! have rust-lld; then
        local lld
        lld=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin
        [ -x "$lld/rust-lld" ] && PATH=$PATH:$lld
    fi
    firmware_cargo=(env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
        /usr/bin/cargo build --locked --release -Zbuild-std=core,alloc)
}
