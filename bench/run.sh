#!/usr/bin/env bash
# Measures the program, where there is a peer side by side with it, in alternating rounds; prints medians and ratios. All of it takes
# about half an hour; what fails, or is not there, keeps nothing else from being measured.
#
#   bench/run.sh PROGRAM [--quick]
set -euo pipefail
program=$(realpath "${1:?the release binary}")
serve=$(dirname "$program")/examples/serve
cd "$(dirname "$0")"
failed=()
measure() { # script, program, arguments…
  printf '\n== %s\n' "$*"
  [ -x "$2" ] || { echo "SKIPPED: there is no $2"; return; }
  python3 "$@" || failed+=("$1")
}
measure measure.py "$program" "${@:2}"
if [[ " $* " != *" --quick "* ]]; then
  measure neighbours.py "$program"
  measure instances.py "$program"
  measure runs.py "$program"
  measure run_queue.py "$program"
  measure routes.py "$program" --rounds 100
  measure uploads.py "$program"
  measure edge.py "$serve"
  measure proxy.py "$serve"
fi
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
