#!/usr/bin/env bash
# The Visitor Board under load, on this machine: a DynamoDB-compatible server, the platform, the board; visitors come, one
# instance becomes ten, some are taken away and some killed; visitors leave, ten become one; every message is there.
#
#   scripts/demo-board.sh PROGRAM
#
# Variables: DEMO_PORT and DEMO_DYNAMODB_PORT (any that are free), DEMO_SECONDS of load once all instances are there
# (45), DEMO_RATE (50 requests a second), DEMO_INSTANCES at most (10), DEMO_HOLD (6 seconds) before instances go.
# Everything is stopped and removed in the end, after Ctrl-C as well.
set -euo pipefail
skylift=$(realpath "$1")
cd "$(dirname "$0")/.."
peers=$(realpath "${CARGO_TARGET_DIR:-target}")/peers
instances=${DEMO_INSTANCES:-10} seconds=${DEMO_SECONDS:-45} rate=${DEMO_RATE:-50}
work=$(mktemp -d)
# Nobody's own server, and nothing remembered.
unset SKYLIFT_URL SKYLIFT_TOKEN
export XDG_STATE_HOME="$work/state"
pids=()
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
finish() {
  trap '' INT TERM
  local at
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    kill -TERM "${pids[at]}" 2>/dev/null || true
    wait "${pids[at]}" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_true() { # process, log, command…
  local pid=$1 log=$2
  shift 2
  until "$@"; do
    kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
  done
}
port=${DEMO_PORT:-$(free_port)}
dynamodb_port=${DEMO_DYNAMODB_PORT:-$(free_port)}

step "1. A DynamoDB-compatible server"
if [ -e "$peers/npm/node_modules/dynalite/cli.js" ]; then
  name=dynalite server=(node "$peers/npm/node_modules/dynalite/cli.js" --host 127.0.0.1 --port "$dynamodb_port" --createTableMs 0)
else
  name=moto server=("$peers/bin/python" -m moto.server -H 127.0.0.1 -p "$dynamodb_port")
fi
# A session of its own: Ctrl-C is for us, who stop everything in order.
setsid "${server[@]}" > "$work/dynamodb.log" 2>&1 < /dev/null &
pids+=($!)
until_true "${pids[0]}" "$work/dynamodb.log" bash -c "exec 3<>/dev/tcp/127.0.0.1/$dynamodb_port" 2>/dev/null
echo "$name on 127.0.0.1:$dynamodb_port"

step "2. The platform, whose owner opens it to the board as the service \"messages\""
cat > "$work/config.toml" <<TOML
[[service]]
name = "messages"
kind = "dynamodb"
endpoint = "http://127.0.0.1:$dynamodb_port"
table = "board"
apps = ["board"]
variables = { AWS_DEFAULT_REGION = "us-east-1", AWS_ACCESS_KEY_ID = "demo", AWS_SECRET_ACCESS_KEY = "demo" }
TOML
cat "$work/config.toml"
SKYLIFT_LOG=${SKYLIFT_LOG:-warn} setsid "$skylift" up --data "$work/data" --listen "127.0.0.1:$port" \
  --config "$work/config.toml" > "$work/ready" 2> "$work/log" < /dev/null &
pids+=($!)
until_true "${pids[1]}" "$work/log" grep -qs '^ready ' "$work/ready"
cat "$work/ready"

step "3. The board"
# By what this machine can bear, not by processor: ten instances half busy would need five cores.
each=$(( (${rate%.*} + instances - 1) / instances ))
"$skylift" --data "$work/data" deploy examples/visitor-board --app board 2> "$work/deploy" || { cat "$work/deploy" >&2; exit 1; }
"$skylift" --data "$work/data" scale board --min 1 --max "$instances" --rps "$each" --hold "${DEMO_HOLD:-6}" 2> /dev/null

step "4. Visitors come and go, instances with them"
DEMO_INSTANCES=$instances DEMO_SECONDS=$seconds DEMO_RATE=$rate PYTHONDONTWRITEBYTECODE=1 \
  python3 scripts/demo-board/run.py "$port" "$work/data/owner-token" "$dynamodb_port"
