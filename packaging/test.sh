#!/bin/sh
# The whole suite with branch coverage. First what plays against independent programs, alone, for it is about real
# time; then the pages beside all the rest, for both want a processor each. With arguments: one pytest with them.
set -eu

cd "$(dirname "$0")/.."
pytest=".venv/bin/python -m pytest --cov --cov-branch"
[ $# = 0 ] || exec $pytest --cov-report=term "$@"

parts=$(mktemp -d) pages=''
trap 'kill $pages 2>/dev/null; rm -rf "$parts"' EXIT
trap 'exit 130' INT TERM
code=0
COVERAGE_FILE=$parts/peers $pytest --cov-report= tests/peers || code=$?
COVERAGE_FILE=$parts/pages $pytest --cov-report= -p no:cacheprovider tests/web >"$parts/said" 2>&1 &
pages=$!
COVERAGE_FILE=$parts/rest $pytest --cov-report= --ignore=tests/peers --ignore=tests/web || code=$?
wait $pages || code=$?
printf '\n== tests/web, which ran beside it\n'
cat "$parts/said"
.venv/bin/coverage combine --quiet "$parts/peers" "$parts/pages" "$parts/rest" && .venv/bin/coverage report
exit $code
