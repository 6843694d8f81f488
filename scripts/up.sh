#!/usr/bin/env bash
# Starts the platform, deploys the bundled example, prints its URL and stays until Ctrl-C.
set -euo pipefail
skylift=$(realpath "$1")
cd "$(dirname "$0")/.."
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# The log would drown what is said below; SKYLIFT_LOG=info brings it back.
SKYLIFT_LOG=${SKYLIFT_LOG:-warn} "$skylift" up ${SKYLIFT_UP_FLAGS:-} >"$output" &
server=$!
trap 'kill -TERM $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f "$output"' EXIT INT TERM

until grep -q '^ready ' "$output"; do
  kill -0 "$server" 2>/dev/null || { wait "$server"; exit 1; }
  read -rt 0.1 <> <(:) || true
done
cat "$output"
url=$("$skylift" ${SKYLIFT_CLI_FLAGS:-} deploy examples/hello --app welcome)
printf '\n  %s\n\n' "$url"
echo "Deploy your own: $skylift deploy PATH-OR-GIT-URL      Stop: Ctrl-C" >&2
wait "$server"
