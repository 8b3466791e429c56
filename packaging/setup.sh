#!/bin/sh
# Makes .venv ready for `run` or for `dev` (tests, checks); does nothing when it is. Called by the Makefile.
set -eu

fail() {
    echo "provisioner: $1" >&2
    exit 1
}

find_python() {
    found=
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        # it is run, not looked up: a version manager's shim may stand for a version that is not there
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        found=$candidate
        "$candidate" -c 'import venv, ensurepip' 2>/dev/null || continue
        return
    done
    [ -n "$found" ] || fail "Python 3.11 or later is missing: install it (Debian, Ubuntu: apt-get install python3 python3-venv)"
    fail "$found has no venv: install it (Debian, Ubuntu: apt-get install python3-venv), then try again"
}

pip_install() {
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check "$@" >.venv/setup.log 2>&1
}

fail_install() {
    tail -n 5 .venv/setup.log >&2
    fail "could not install $1 (all of it: .venv/setup.log): check the network, then try again"
}

cd "$(dirname "$0")/.."
case $1 in
    run) lock=packaging/requirements.lock ;;
    dev) lock=packaging/requirements-dev.lock ;;
    *) fail "usage: packaging/setup.sh run|dev" ;;
esac
state=$({ pwd && cat packaging/*.lock setup.cfg packaging/setup.sh; } | cksum | cut -d ' ' -f 1)
[ -e ".venv/ready-$1-$state" ] && .venv/bin/python -c '' 2>/dev/null && exit 0

find_python
echo "Setting up .venv with $("$found" --version), once; this takes a minute." >&2
rm -f ".venv/ready-$1-"*
.venv/bin/python -c '' 2>/dev/null || "$found" -m venv --clear .venv || fail "could not make .venv: see above"
pip_install --require-hashes -r "$lock" || fail_install "what $lock lists"
PYTHONWARNINGS=ignore pip_install --no-deps --no-build-isolation --editable . || fail_install "the program"
# needs a compiler; psutil does its work where it is missing
pip_install --no-deps --no-build-isolation --require-hashes -r packaging/requirements-netifaces.lock || true
touch ".venv/ready-run-$state" ".venv/ready-$1-$state" # what dev has is all that run needs
