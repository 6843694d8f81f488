#!/usr/bin/env bash
# Licences, sources and duplicate crates. cargo-deny is installed where it is missing and CI asks for it.
set -euo pipefail
if ! cargo deny --version >/dev/null 2>&1; then
  if [ "${CI:-}" != true ]; then
    echo "cargo-deny is not installed: dependencies are not checked (cargo install --locked cargo-deny)" >&2
    exit 0
  fi
  cargo install --quiet --locked cargo-deny
fi
cargo deny --log-level error check bans licenses sources
