#!/usr/bin/env bash
# The large counts. Writes what it measured to docs/figures.md with date, machine and seed.
set -euo pipefail
cd "$(dirname "$0")/.."
export NEXTEST_PROFILE=soak SKYLIFT_SOAK=1 SKYLIFT_SEED=${SKYLIFT_SEED:-1}
began=$(date -u +%FT%TZ)
cargo build --locked -p skylift
scripts/nextest.sh --workspace 2>&1 | tee target/soak.log
# In a virtual machine, because this machine may not have version 2 of control groups.
guest=0
scripts/cgroup2-guest.sh "$PWD/target/cgroup2-guest" || guest=$?
case $guest in
  0) echo "figure: cgroup v2 in a virtual machine: all passed" >> target/soak.log ;;
  69) echo "figure: cgroup v2 in a virtual machine: skipped, it cannot be started here" | tee -a target/soak.log >&2 ;;
  *) echo "figure: cgroup v2 in a virtual machine: FAILED" >> target/soak.log ;;
esac
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
[ "$guest" = 0 ] || [ "$guest" = 69 ] || exit "$guest"
