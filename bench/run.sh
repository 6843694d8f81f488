#!/usr/bin/env bash
# Measures the program, where there is a peer side by side with it, in alternating rounds; prints medians and ratios.
set -euo pipefail
program=$(realpath "${1:?the release binary}")
cd "$(dirname "$0")"
python3 measure.py "$program" "${@:2}"
[[ " $* " == *" --quick "* ]] || python3 neighbours.py "$program"
