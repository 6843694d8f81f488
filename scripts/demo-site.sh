#!/usr/bin/env bash
# From a Git remote to a live URL, step by step: a repository is made and served by Git's own daemon on this machine,
# deployed, changed, deployed again and rolled back.
set -euo pipefail
skylift=$(realpath "$1")
work=$(mktemp -d)
port=${DEMO_PORT:-8085}
git_port=${DEMO_GIT_PORT:-9418}
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
pids=()
finish() { for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; rm -rf "$work"; }
trap finish EXIT

step "1. A Git repository with a small site"
export GIT_AUTHOR_NAME=Demo GIT_AUTHOR_EMAIL=demo@localhost GIT_COMMITTER_NAME=Demo GIT_COMMITTER_EMAIL=demo@localhost
git init -q -b main "$work/site"
echo '<!doctype html><title>demo</title><h1>One</h1>' > "$work/site/index.html"
git -C "$work/site" add . && git -C "$work/site" commit -qm "Say one"
git clone -q --bare "$work/site" "$work/remote/site.git"
git -C "$work/remote/site.git" log --oneline

step "2. A Git server on this machine"
git daemon --reuseaddr --listen=127.0.0.1 --port="$git_port" --base-path="$work/remote" --export-all "$work/remote" &
pids+=($!)

step "3. The platform, allowed to fetch from it"
cat > "$work/config.toml" <<TOML
[build.egress]
allow = ["127.0.0.1:$git_port"]
[build.git]
allow_insecure_hosts = ["127.0.0.1"]
TOML
cat "$work/config.toml"
"$skylift" up --data "$work/data" --listen "127.0.0.1:$port" --config "$work/config.toml" > "$work/ready" 2> "$work/log" &
pids+=($!)
until grep -q '^ready ' "$work/ready"; do kill -0 "${pids[1]}" || { cat "$work/log"; exit 1; }; read -rt 0.1 <> <(:) || true; done
cat "$work/ready"

step "4. Deploy the repository"
url=$("$skylift" --data "$work/data" deploy "git://127.0.0.1:$git_port/site.git" --app demo)
echo "$url"
curl -sS "$url"

step "5. A new commit, deployed again"
echo '<!doctype html><title>demo</title><h1>Two</h1>' > "$work/site/index.html"
git -C "$work/site" commit -qam "Say two" && git -C "$work/site" push -q "$work/remote/site.git" main
"$skylift" --data "$work/data" deploy "git://127.0.0.1:$git_port/site.git" --app demo
curl -sS "$url"
"$skylift" --data "$work/data" deployments demo

step "6. Back to what was live before"
"$skylift" --data "$work/data" rollback demo
curl -sS "$url"

step "Done: everything it made is removed now."
