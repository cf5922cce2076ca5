# Shared by the scripts; sourced, not run. Expects to be in the checkout's root.

say() { printf '\n==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

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
