#!/bin/sh
# The whole suite with branch coverage, in three parts at once: what plays against independent programs takes real
# time and hardly any processor, so it is first in line for it; the pages and all the rest share what it leaves.
# With arguments: one pytest with them.
set -eu

cd "$(dirname "$0")/.."
pytest=".venv/bin/python -m pytest --cov --cov-branch"
[ $# = 0 ] || exec $pytest --cov-report=term "$@"

parts=$(mktemp -d) peers='' pages=''
trap 'kill $peers $pages 2>/dev/null; rm -rf "$parts"' EXIT
trap 'exit 130' INT TERM
COVERAGE_FILE=$parts/peers $pytest --cov-report= -p no:cacheprovider tests/peers >"$parts/said-peers" 2>&1 &
peers=$!
COVERAGE_FILE=$parts/pages nice -n 10 $pytest --cov-report= -p no:cacheprovider tests/web >"$parts/said-pages" 2>&1 &
pages=$!
code=0
COVERAGE_FILE=$parts/rest nice -n 10 $pytest --cov-report= --ignore=tests/peers --ignore=tests/web || code=$?
for part in pages peers; do
    eval "wait \$$part" || code=$?
    printf '\n== %s, which ran beside it\n' "$part"
    cat "$parts/said-$part"
done
.venv/bin/coverage combine --quiet "$parts/peers" "$parts/pages" "$parts/rest" && .venv/bin/coverage report
exit $code
