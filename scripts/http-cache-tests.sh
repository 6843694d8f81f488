#!/usr/bin/env bash
# Runs the cases of npm's http-cache-tests against the edge's cache and prints the score.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --locked --quiet -p skylift
cargo test --locked --quiet -p skylift-tests --test http_cache -- --nocapture | grep -E '^http-cache-tests:|^test result|^SKIPPED'
