#!/usr/bin/env bash
# The large counts, part by part: a part that fails or takes too long does not keep the others from running. Writes what
# was counted to docs/figures.md, a line for each part, with date, commit, machine and seed; lists what failed; exits
# with 1 where anything did. All of it takes hours: it may be done in pieces, each renews its own lines.
#
#   scripts/soak.sh [PART…]                only these parts
#   SKYLIFT_SEED=7 scripts/soak.sh         another seed; a part that failed is repeated with the one it printed
#   SKYLIFT_ROUNDS=5 scripts/soak.sh kill  no count above 5, to try the script itself
set -uo pipefail
cd "$(dirname "$0")/.."
export NEXTEST_PROFILE=soak SKYLIFT_SOAK=1 SKYLIFT_SEED=${SKYLIFT_SEED:-1}
logs=${CARGO_TARGET_DIR:-target}/soak

# name | seconds at most | what it counts | package and tests, or a script
parts=(
  "kill|420|200 kills of the platform at random, half of them during sandboxed builds|-p skylift-tests -E binary(queue)&test(whatever_was_acknowledged)"
  "cancel|1200|10,000 deploys that two cancels race with|-p skylift-tests -E binary(queue)&test(cancels_that_race)"
  "roles|1500|200 kills at random of each of three processes (edge, api and upload, build and deploy), and the controls|-p skylift-tests --test outages --run-ignored all --test-threads 3 -E test(killed_at_random)|test(/^kills::control/)"
  "pairs|5400|30 s in which each of ten pairs of processes and stores silently lose each other, one way and both|-p skylift-tests --test outages -E test(/^pairs::/)"
  "late|3600|100 rounds of networks that lose what is sent one way, 120 requests over slow ones that reset, clocks that jump, a builder that is too late|-p skylift-tests --test outages --test-threads 3 -E test(/^weather::/)|test(/^late::/)"
  "database|900|600 connections cut in the middle of a commit, servers killed under load, frozen, crowded and replaced by their copies|-p skylift-store --test-threads 3 -E test(/^commits::/)|test(/^crowd::/)|test(/^failover::/)|test(/^loss::/)"
  "cut|120|200 uploads cut at random|-p skylift-tests -E binary(archives)&test(uploads_that_break_off)"
  "mutate|120|10,000 damaged archives|-p skylift-build --run-ignored only -E test(ten_thousand_damaged_archives)"
  "steps|7200|death with rows in a file and on a server, full, failing and slow disk, at every fsync, rename and commit, and at every write|-p skylift-tests --run-ignored all --test-threads 4 -E binary(crash_points)&!test(power)"
  "power|7200|power cut with rows in a file and on a server, at every fsync, rename and commit|-p skylift-tests --run-ignored all --test-threads 4 -E binary(crash_points)&test(power)"
  "simulation|1800|10,500 histories of control and store, with clocks, workers and deaths of their own|-p skylift-tests -E binary(simulation)"
  "race|600|1,000 races of clean-up with a rollback|-p skylift-control -E test(a_rollback_to_what_clean_up_takes)"
  "parsing|3600|2,000,000 changed requests to the edge's fast path and its strict one, with the same answers|--cargo-profile release -p skylift-edge --lib -E test(both_answer_changed_requests)"
  "stampede|300|5,000 who ask at once for what is kept|-p skylift-edge -E test(many_who_ask_at_once)"
  "unkept|3600|1,000,000 requests with and without credentials to a site that keeps nothing|-p skylift-edge -E test(nothing_is_kept_of_a_site)"
  "nothing|2400|101 deploys, 20 rollbacks, 20 canaries taken back, half of them by themselves, one instance to ten and back six times, under four clients of each kind, HTTP/2 among them; 20 instances killed|-p skylift-tests -E binary(no_failures)"
  "rollouts|7200|death before and after every durable step of what is done to an app that runs, with rows in a file and on a server, and of making a database on a server|-p skylift-tests --run-ignored all --test-threads 3 -E binary(rollout_deaths)|binary(volumes)&test(dies_at_any_step)"
  "pushes|600|10,000 route changes that contradict themselves or lead to nothing, beside clients who ask all the while|-p skylift-edge -E test(thousands_of_bad_route_changes)"
  "floods|1200|60 s of each attack over HTTP/2, beside a client who wants a page|-p skylift-edge --test-threads 1 -E test(/^floods::/)"
  "slow|600|1,000 slow clients of each kind and 10,000 who say nothing, beside a client who wants a page|-p skylift-edge --test-threads 1 -E test(/^slow_clients::/)"
  "races|1500|200 times another deploy, a rollback, a cancel or the removal of the app in the middle of a rollout; ten deploys at once|-p skylift-tests -E binary(rollouts)&test(/^at_once::/)"
  "crowd|300|1,001 who ask at once of an app that sleeps|-p skylift-tests -E binary(scaling)&test(a_crowd_before)"
  "pools|900|16 fixed pool sizes and the tuner within the memory of each: ten seeds of four hours, three kinds of arrivals|--cargo-profile release -p skylift-scale --lib -E test(/^sim::pools::/)"
  "board|600|the Visitor Board's demo: 50 requests a second, one instance to ten and back, five of them removed or killed|-p skylift-tests -E binary(board)&test(demo)"
  "runs|5400|100,000 queued runs while the platform, the nursery and the interpreter are killed at random 2,000 times; what 10,000 runs of all kinds leave|-p skylift-tests -E binary(runs)&(test(whatever_is_killed)|test(nothing_is_left_of_runs))"
  "queues|1200|every queue of runs, on both databases, Redis Streams and two servers that speak as SQS does|-p skylift-queue --features sqs --test-threads 2 -E binary(suite)"
  "cgroup2|1200|the sandbox's tests with cgroup version 2, in a virtual machine|scripts/cgroup2-guest.sh $PWD/target/cgroup2-guest"
)

run_tests() {
  if [[ $1 == scripts/* ]]; then
    "$@"
  elif cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast --success-output final "$@"
  else
    echo "the soak needs cargo-nextest: its parts are chosen by name" >&2
    return 1
  fi
}
export -f run_tests

wanted() { [[ $# -eq 1 || " ${*:2} " == *" $1 "* ]]; }

mkdir -p "$logs"
for part in "$@"; do
  printf '%s\n' "${parts[@]}" | grep -q "^$part|" || { echo "there is no part \`$part\`" >&2; exit 64; }
done
echo "soak: building"
cargo build --locked --quiet -p skylift || exit 1
# What the parts build themselves, before their time counts. One by one: together they would be built with other features.
for part in "${parts[@]}"; do
  IFS='|' read -r name _ _ arguments <<<"$part"
  [[ $arguments != scripts/* ]] && wanted "$name" "$@" || continue
  read -ra built < <(grep -oE -- '(-p|--test|--cargo-profile|--features) [a-z-]+|--lib' <<<"${arguments%% -E *}" | paste -sd ' ')
  cargo nextest run --locked --no-run "${built[@]}" >/dev/null 2>&1 || { echo "soak: $name: ${built[*]} does not build" >&2; exit 1; }
done

rows=() failed=()
for part in "${parts[@]}"; do
  IFS='|' read -r name limit counts arguments <<<"$part"
  wanted "$name" "$@" || continue
  log=$logs/$name.log
  echo "soak: $name: $counts (at most $limit s, log in $log)"
  commit=$(git rev-parse --short HEAD)
  [[ -z $(git status --porcelain -- . ':!docs') ]] || commit+=" and changes"
  started=$SECONDS
  read -ra words <<<"$arguments"
  # Its own group, so that a part that takes too long is ended with all it started.
  timeout --kill-after=30 "$limit" bash -c 'run_tests "$@"' run_tests "${words[@]}" >"$log" 2>&1
  status=$?
  took=$((SECONDS - started))
  verdict=passed
  [[ $status -eq 0 ]] || { verdict="FAILED ($status)"; failed+=("$name"); }
  [[ $status -ne 124 && $status -ne 137 ]] || verdict="FAILED (not done in $limit s)"
  # What this machine cannot do is said, and is no failure.
  [[ $words != scripts/* || $status -ne 69 ]] || { verdict="skipped: it cannot be started here"; unset 'failed[-1]'; }
  # A filter that finds no test any more must not look like one that passed.
  if [[ $words != scripts/* && $status -eq 0 ]] && ! grep -qE 'Summary.* [1-9][0-9]* tests? run' "$log"; then
    verdict="FAILED (no test of that name)"
    failed+=("$name")
  fi
  figures=$(grep -ohE '(figure: .*|seed [0-9]+: .* of .*)' "$log" | sed 's/^figure: //' | sort -u | paste -sd ';' | sed 's/;/; /g')
  rows+=("| $name | $counts | ${figures:-–} | $(date -u +%F) | $commit | $SKYLIFT_SEED | $took s | $verdict |")
  echo "soak: $name: $verdict in $took s${figures:+: $figures}"
done

# What a part counted before, unless it was run now.
line_of() {
  printf '%s\n' "${rows[@]}" | grep -m1 "^| $1 |" || grep -sm1 "^| $1 |" docs/figures.md || true
}

if [[ -z ${SKYLIFT_ROUNDS:-} ]]; then
  lines=$(for part in "${parts[@]}"; do line_of "${part%%|*}"; done)
  {
    echo "# Figures"
    echo
    echo "Written by \`make soak\`: the large counts of the tests, each part when it was last run."
    echo
    echo "Machine of the last run: Linux $(uname -r | cut -d- -f1), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo)."
    echo
    echo "| part | what is repeated | counted | date | commit | seed | time | verdict |"
    echo "|---|---|---|---|---|---|---|---|"
    echo "$lines"
  } > docs/figures.md
fi
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "soak: failed: ${failed[*]}" >&2
  for name in "${failed[@]}"; do
    grep -E '^ *FAIL|panicked at|SKYLIFT_(SEED|CRASH_AT|FAIL_AT)=' "$logs/$name.log" | tail -5 >&2
    echo "soak: again: SKYLIFT_SEED=$SKYLIFT_SEED scripts/soak.sh $name" >&2
  done
  exit 1
fi
echo "soak: everything passed"
