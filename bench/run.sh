#!/usr/bin/env bash
# Measures the program, where there is a peer side by side with it, in alternating rounds; prints medians and ratios.
set -euo pipefail
cd "$(dirname "$0")"
exec python3 measure.py "$(realpath "${1:?the release binary}")" "${@:2}"
