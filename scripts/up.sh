#!/usr/bin/env bash
# Starts the platform, deploys the bundled example, prints its URL and stays until Ctrl-C.
# `up.sh check` only says whether its address is free: building takes longer than finding that out.
# SKYLIFT_UP_FLAGS: flags of `skylift up`. SKYLIFT_CLI_FLAGS: of the deploy, such as the same `--data DIR`.
set -euo pipefail
flags=${SKYLIFT_UP_FLAGS:-}

# Where it will listen; nothing where only its settings say so.
address() {
  if [[ $flags =~ (^|[[:space:]])--listen[=[:space:]]+([^[:space:]]+) ]]; then
    echo "${BASH_REMATCH[2]}"
  elif [[ $flags != *--data* && $flags != *--config* &&
    ! -e ${XDG_DATA_HOME:-$HOME/.local/share}/skylift/config.toml ]]; then
    echo 127.0.0.1:8080
  fi
}

check() {
  local address host
  address=$(address)
  host=${address%:*} host=${host#[} host=${host%]}
  if [[ -n $address ]] && (: <>"/dev/tcp/$host/${address##*:}") 2>/dev/null; then
    echo "error: $address is in use, perhaps by a Skylift that runs already" >&2
    echo "hint: stop what listens there, or choose another: SKYLIFT_UP_FLAGS='--listen 127.0.0.1:9090' make up" >&2
    exit 5
  fi
}

check
[[ $1 == check ]] && exit
skylift=$(realpath "$1")
cd "$(dirname "$0")/.."
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# The log would drown what is said below; SKYLIFT_LOG=info brings it back.
SKYLIFT_LOG=${SKYLIFT_LOG:-warn} "$skylift" up $flags >"$output" &
server=$!
trap 'kill -TERM $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f "$output"' EXIT INT TERM

until grep -q '^ready ' "$output"; do
  kill -0 "$server" 2>/dev/null || {
    code=0
    wait "$server" || code=$?
    echo "hint: \`make up\` takes flags of \`skylift up\` in SKYLIFT_UP_FLAGS, as in SKYLIFT_UP_FLAGS='--listen 127.0.0.1:9090' make up" >&2
    exit "$code"
  }
  read -rt 0.1 <> <(:) || true
done
cat "$output"
url=$("$skylift" ${SKYLIFT_CLI_FLAGS:-} deploy examples/hello --app welcome)
printf '\n  %s\n\n' "$url"
echo "Deploy your own: $skylift deploy PATH-OR-GIT-URL      Stop: Ctrl-C" >&2
wait "$server"
