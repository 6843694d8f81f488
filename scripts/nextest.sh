#!/usr/bin/env bash
# Runs tests with cargo-nextest where it is installed, with cargo's own runner elsewhere.
set -euo pipefail
if cargo nextest --version >/dev/null 2>&1; then
  exec cargo nextest run --locked --no-fail-fast "$@"
fi
exec cargo test --locked --no-fail-fast "$@"
