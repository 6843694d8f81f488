#!/usr/bin/env bash
# Rules that no compiler checks.
set -euo pipefail
fail=0
say() { echo "tidy: $*" >&2; fail=1; }

# Arrows of the design point downwards; crates of one level do not know each other.
below() { # crate, allowed
  local crate=$1 allowed=" $2 "
  while read -r dependency; do
    [[ $allowed == *" $dependency "* ]] || say "crates/$crate may not depend on skylift-$dependency (see ARCHITECTURE.md)"
  done < <(sed -n '/^\[dependencies\]/,/^\[/p' "crates/$crate/Cargo.toml" | sed -nE 's/^skylift-([a-z]+).*/\1/p')
}
below rules ""
below cache ""
below scale ""
below model "rules"
below durable ""
for crate in store blob; do below "$crate" "model durable"; done
below bus "model"
below egress "model durable"
below sandbox ""
below docker ""
below log "model store bus"
below balance "model"
below client "model"
below control "model durable store blob bus sandbox scale"
below edge "model rules cache balance durable store blob bus egress"
below queue "model store blob bus"
below callback "model store bus egress"
below api "model durable store blob bus queue"
below worker "log model durable store blob bus sandbox docker egress"
below run "model durable sandbox scale"
below ai "model"
below build "log model rules durable store blob bus sandbox docker egress"

# Unsafe code stays in the sandbox.
while read -r file; do say "$file has unsafe code; only crates/sandbox may"; done < <(
  grep -rlE '\bunsafe (\{|fn|impl)' crates --include='*.rs' | grep -v '^crates/sandbox/' || true)

# No shell on the platform's side: the two places that name it are the user's own commands in the user's own sandbox; a third has it as a
# language's name.
while read -r file; do say "$file starts a shell"; done < <(
  grep -rlE '"(/bin/)?(ba)?sh"' crates --include='*.rs' | grep '/src/' | grep -vE '^crates/(build/src/builder/commands|worker/src/instance/command|api/src/judge0/languages).rs$' || true)

# Small files: a long one is two.
while read -r lines file; do [ "$lines" -le 500 ] || say "$file has $lines lines; split it"; done < <(
  git ls-files 'crates/*/src/*.rs' | xargs wc -l | awk '$2 != "total" {print $1, $2}')

while read -r file; do say "$file: name the thing (no utils, common, helpers, manager, types, mod.rs)"; done < <(
  git ls-files | grep -E '(^|/)(utils|common|helpers|manager|types|mod)\.rs$' | grep -v '/detect/manager\.rs$' || true)

# A decision is cited by its number.
while read -r number; do say "docs/decisions has $number twice"; done < <(
  git ls-files docs/decisions | sed -nE 's|.*/([0-9]{4})-.*|\1|p' | sort | uniq -d)

exit $fail
