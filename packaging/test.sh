#!/bin/sh
# The whole suite with branch coverage. What plays against independent programs takes real time and hardly any
# processor, the rest the other way round: both run at once, and the peers are first in line for the processor.
# With arguments: one pytest with them.
set -eu

cd "$(dirname "$0")/.."
pytest=".venv/bin/python -m pytest --cov --cov-branch"
[ $# = 0 ] || exec $pytest --cov-report=term "$@"

parts=$(mktemp -d) peers=
trap 'kill "$peers" 2>/dev/null; rm -rf "$parts"' EXIT
trap 'exit 130' INT TERM
COVERAGE_FILE=$parts/peers $pytest --cov-report= -p no:cacheprovider tests/peers >"$parts/said" 2>&1 &
peers=$!
code=0
COVERAGE_FILE=$parts/rest nice -n 10 $pytest --cov-report= --ignore=tests/peers || code=$?
wait $peers || code=$?
.venv/bin/coverage combine --quiet "$parts/peers" "$parts/rest" && .venv/bin/coverage report
echo "== tests/peers, which ran beside it"
cat "$parts/said"
exit $code
