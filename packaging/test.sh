#!/bin/sh
# The whole suite with branch coverage. First what plays against independent programs, alone, for it is about real
# time; then the pages beside all the rest, for both want a processor each. With arguments: one pytest with them.
set -eu

cd "$(dirname "$0")/.."
pytest=".venv/bin/python -m pytest --cov --cov-branch"
[ $# = 0 ] || exec $pytest --cov-report=term "$@"

few=5 # failures that a busy machine may be to blame for
parts=$(mktemp -d) pages=''
trap 'rm -rf "$parts"; [ -z "$pages" ] || kill $pages' EXIT
trap 'exit 130' INT TERM
code=0

part() { # name, arguments of pytest…
    name=$1
    shift
    COVERAGE_FILE=$parts/.coverage.$name $pytest --cov-report= -o cache_dir="$parts/$name" "$@"
}

part peers tests/peers || code=$?
failed=$(grep -c '"tests/' "$parts/peers/v/cache/lastfailed" 2>/dev/null) || failed=0
if [ "$code" = 1 ] && [ "$failed" -gt 0 ] && [ "$failed" -le "$few" ]; then
    printf '\n== these %d once more: who plays in real time may have been kept waiting; twice is a fault\n' "$failed"
    cp -r "$parts/peers" "$parts/again"
    code=0
    part again --last-failed --last-failed-no-failures none tests/peers || code=$?
fi
part pages tests/web >"$parts/said" 2>&1 &
pages=$!
part rest --ignore=tests/peers --ignore=tests/web || code=$?
wait $pages || code=$?
pages=''
printf '\n== tests/web, which ran beside it\n'
cat "$parts/said"
.venv/bin/coverage combine --quiet "$parts" && .venv/bin/coverage report
exit $code
