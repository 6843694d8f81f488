#!/usr/bin/env bash
# Code that is sent, run: every language that is here, an input and arguments, each limit, a key that may do no more than this; and
# how long a run takes beside starting the bare interpreter. On a platform of its own, which is stopped and removed in the end.
#
#   scripts/demo-run.sh PROGRAM
set -euo pipefail
skylift=$(realpath "$1")
unset SKYLIFT_URL SKYLIFT_TOKEN
work=$(mktemp -d)
export XDG_STATE_HOME="$work/state" XDG_CONFIG_HOME="$work/config"
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
finish() {
  trap '' INT TERM
  [ -z "${platform:-}" ] || { kill -TERM "$platform" 2>/dev/null || true; wait "$platform" 2>/dev/null || true; }
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A session of its own: Ctrl-C is for us, who stop everything in order.
setsid "$skylift" up --data "$work/data" --listen 127.0.0.1:0 > "$work/log" 2>&1 < /dev/null &
platform=$!
until grep -q '^ready' "$work/log"; do
  kill -0 "$platform" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  read -rt 0.1 <> <(:) || true
done
url=$(cat "$work/data/listen") token=$(cat "$work/data/owner-token")
ask() { curl -sS -H "x-api-key: ${key:-$token}" -H 'host: localhost' "$@"; }
# What an answer says, in one line.
told() {
  python3 -c 'import json, sys
a = json.load(sys.stdin)
if "error" in a: sys.exit(print("refused:", a["error"]["message"], "-", a["error"]["hint"]))
u = a["usage"]
print("%-13s exit %-4s %r%s  (%.1f ms, %.1f MiB, %s)" % (a["status"], a["exit_code"], a["stdout"][:60], " …" if a["stdout_truncated"] else "",
      u["wall_us"] / 1000, u["peak_memory_bytes"] / 2**20, u["start"]))'
}
run() { printf '%s\n' "$1"; ask "$url/run" -d "$1" | told; }

step "1. What can be run here"
ask "$url/v1/languages" | python3 -c 'import json, sys
print(", ".join(l["name"] + " " + l["version"] for l in json.load(sys.stdin)["languages"]))'

step "2. Code, and its verdict"
run '{"language":"python","source":"print(40+2)"}'
run '{"language":"python","source":"import sys; print(sys.argv[1:], input())","args":["-x"],"stdin":"a line"}'
run '{"language":"bash","source":"echo $((40+2)); exit 3"}'
run '{"language":"c++","source":"#include <iostream>\nint main() { std::cout << 40+2; }"}'
run '{"language":"c++","source":"int main() { return x; }"}'

step "3. Limits, each told by its name"
run '{"language":"python","source":"print(\"begun\")\nwhile True: pass","limits":{"cpu_ms":300}}'
run '{"language":"python","source":"import time; time.sleep(60)","limits":{"wall_ms":500}}'
run '{"language":"python","source":"x = bytearray(200 << 20)","limits":{"memory_bytes":52428800}}'
run '{"language":"python","source":"print(\"x\" * 10**6)","limits":{"output_bytes":40}}'
run '{"language":"python","source":"import urllib.request as u\ntry: u.urlopen(\"http://169.254.169.254/\", timeout=2)\nexcept OSError as e: print(\"nothing is reached:\", e.reason)"}'

step "4. A key that may run code, twice in an hour, and nothing else"
key=$("$skylift" --data "$work/data" keys create demo --scope runs 2>/dev/null)
printf 'GET /v1/apps: '; ask "$url/v1/apps" | told || true
key=
key=$(ask "$url/v1/keys" -H 'content-type: application/json' -d '{"name":"seldom","scopes":["runs"],"rate":{"runs":2,"per_s":3600}}' |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])')
for _ in 1 2 3; do ask "$url/run" -d '{"language":"python","source":"print(42)"}' | told || true; done
key=

step "5. How long it takes, beside starting the bare interpreter"
python3 - "$url" "$token" <<'PYTHON'
import http.client, json, statistics, subprocess, sys, time
host = sys.argv[1].split("//")[1].split(":")
connection = http.client.HTTPConnection("127.0.0.1", int(host[1].strip("/")))
def send():
    body = json.dumps({"language": "python", "source": "print(42)"})
    connection.request("POST", "/run", body, {"host": "localhost", "x-api-key": sys.argv[2]})
    assert json.loads(connection.getresponse().read())["stdout"] == "42\n"
def bare():
    subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", "print(42)"], stdout=subprocess.DEVNULL, check=True)
def median(work):
    times = []
    for _ in range(40):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
ours, theirs = median(send), median(bare)
print(f"POST /run {ours:.1f} ms, bare python3 -I -S {theirs:.1f} ms: {ours / theirs:.2f} of it (medians of 40)")
PYTHON
