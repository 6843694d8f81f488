#!/usr/bin/env bash
# Runs a command beside a Redis and an S3 server (SeaweedFS) of its own, which tests of the whole then use for all
# platforms they start: SKYLIFT_TEST_STORES=distributed. Everything is stopped and removed afterwards.
set -euo pipefail
target=${CARGO_TARGET_DIR:-target}
weed=$(realpath "$target/peers/bin/weed" 2>/dev/null || command -v weed || true)
if [ -z "$weed" ] || [ ! -x "$weed" ] || ! command -v redis-server >/dev/null; then
  echo "SKIPPED: Redis or SeaweedFS is not installed; \`make setup\` installs them" >&2
  [ -z "${SKYLIFT_NEED_PEERS:-}" ] || exit 1
  exit 0
fi
work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
free_ports() { # count
  python3 - "$1" <<'PY'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PY
}
until_says() { # seconds, what, command…
  local tries=$(($1 * 10)) what=$2
  shift 2
  until "$@"; do
    ((tries-- > 0)) || { echo "$what does not answer" >&2; tail -5 "$work"/*.log >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
  done
}
answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' "${@:2}")" = "$1" ]; }

read -r redis s3 s3_grpc master master_grpc volume volume_grpc filer filer_grpc < <(free_ports 9)
redis-server --bind 127.0.0.1 --port "$redis" --dir "$work" --save "" --appendonly no >"$work/redis.log" 2>&1 &
pids+=($!)
cat > "$work/identities.json" <<'JSON'
{"identities": [{"name": "test", "credentials": [{"accessKey": "test-key", "secretKey": "test-secret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
mkdir "$work/weed"
(cd "$work/weed" && exec "$weed" server -dir="$work/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 -volume.max=16 \
  -master.volumeSizeLimitMB=256 -master.electionTimeout=1s -s3.config="$work/identities.json" -s3.port="$s3" \
  -s3.port.grpc="$s3_grpc" -s3.port.iceberg=0 -s3.port.lance=0 -master.port="$master" -master.port.grpc="$master_grpc" \
  -volume.port="$volume" -volume.port.grpc="$volume_grpc" -filer.port="$filer" -filer.port.grpc="$filer_grpc") \
  >"$work/weed.log" 2>&1 &
pids+=($!)
until_says 20 Redis bash -c "redis-cli -p $redis ping >/dev/null 2>&1"
until_says 60 SeaweedFS answers 403 "http://127.0.0.1:$s3/"
until_says 60 "SeaweedFS's filer" answers 201 -X POST "http://127.0.0.1:$filer/buckets/skylift/"

export SKYLIFT_TEST_STORES=distributed
export SKYLIFT_TEST_REDIS="redis://127.0.0.1:$redis" SKYLIFT_TEST_S3="http://127.0.0.1:$s3"
"$@"
