#!/usr/bin/env bash
# How long it takes to build, from nothing and after a change of one line; the rows of docs/numbers.md. An idle machine, please.
#
#   tests/build_times.sh           in a clone of this checkout's HEAD, in a new folder, which is removed afterwards
#
# The demo and the tests take their time too: with DEMO=1 and TESTS=1 they run as part of it.
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet . "$work/clone"
cd "$work/clone"
unset CARGO_TARGET_DIR

row() {
    local what=$1 from tenths
    shift
    from=$(date +%s%N)
    "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; echo "build_times.sh: $what failed" >&2; exit 1; }
    tenths=$((($(date +%s%N) - from) / 100000000))
    printf '%5d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$what"
}

row "fetch the sources of all crates" cargo fetch --locked
if [[ -n ${DEMO:-} ]]; then
    row "cargo run --release -- demo" cargo run --release -- demo
else
    row "cargo build --release" cargo build --release
fi
row "cargo build --release -p firedrill-agent, after it" cargo build --release -p firedrill-agent
row "cargo test --workspace --no-run, from nothing" cargo test --workspace --no-run
[[ -z ${TESTS:-} ]] || row "cargo test --workspace, compiled before" cargo test --workspace

# One line of a fault's file, as somebody changes it who works on that fault.
change() { echo "// Changed $RANDOM times." >>agent/src/fault/service_stop.rs; }
change
row "the same after that (incremental, first time)" cargo test -p firedrill-agent --lib fault
for _ in 1 2; do
    change
    row "one line of a fault changed: its unit tests have run" cargo test -p firedrill-agent --lib fault
done
change
row "one line of a fault changed: cargo check" cargo check -p firedrill-agent
