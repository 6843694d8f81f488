#!/usr/bin/env bash
# Installs what building and testing need: a C compiler, Git, certificates. Rust and Node are the owner's choice.
set -euo pipefail

need() { command -v "$1" >/dev/null 2>&1; }

packages=()
need cc || packages+=(build-essential)
need git || packages+=(git)
need curl || packages+=(curl)
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
need python3 || packages+=(python3)
need make || packages+=(make)
need tar || packages+=(tar)

if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && need apt-get; then
    echo "installing: ${packages[*]}" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
  else
    echo "please install: ${packages[*]} (on Debian: apt-get install ${packages[*]})" >&2
    exit 1
  fi
fi

need cargo || { echo "please install Rust (https://rustup.rs), then try again" >&2; exit 1; }
need node || echo "Node.js is not installed: static sites work, Node projects cannot be built" >&2
