#!/usr/bin/env bash
# The large counts. Writes what it measured to docs/figures.md with date, machine and seed.
set -euo pipefail
cd "$(dirname "$0")/.."
export NEXTEST_PROFILE=soak SKYLIFT_SOAK=1 SKYLIFT_SEED=${SKYLIFT_SEED:-1}
began=$(date -u +%FT%TZ)
cargo build --locked -p skylift
scripts/nextest.sh --workspace 2>&1 | tee target/soak.log
{
  echo "# Figures"
  echo
  echo "Written by \`make soak\`: the large counts of the tests, on one machine."
  echo
  echo "- date: $began"
  echo "- machine: $(uname -sr), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo)"
  echo "- seed: $SKYLIFT_SEED"
  echo
  echo '```'
  grep -E 'Summary|^test result|figure:' target/soak.log || true
  echo '```'
} > docs/figures.md
