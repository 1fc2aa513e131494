#!/usr/bin/env bash
# Random crash trials: of N, three quarters are one agent each in fresh namespaces, whose processes die while its journal,
# configuration or identity may go bad, and one quarter are hosts of a lab. The number of a trial decides everything that
# is chosen in it, so that runs with other numbers add up. Prints tables, and exits with 1 if anything was left.
#
#   tests/crash_trials.sh [--trials N] [--seed S] [--at-once K]
#
#   tests/crash_trials.sh                            200 trials from number 1
#   tests/crash_trials.sh --trials 2000 --seed 1     the numbers of docs/numbers.md
#   tests/crash_trials.sh --trials 1 --seed 195      one that failed, again
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"
cd "$(dirname "$0")/.."

trials=200 seed=1 at_once=
while [ $# -gt 0 ]; do
    case "$1" in
        --trials) trials=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --at-once) at_once=$2; shift 2 ;;
        -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        *) echo "$0: what is $1? See $0 --help" >&2; exit 2 ;;
    esac
done
for number in "$trials" "$seed" ${at_once:+"$at_once"}; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "$0: $number is not a number" >&2; exit 2; }
done

commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
cargo test --quiet --package firedrill-agent --test crash_trials --no-run
cargo test --quiet --package firedrill --test crash_matrix --no-run
lab=$((trials / 4)) bad=0
echo "commit $commit, trials $seed to $((seed + trials - lab - 1)) in namespaces, $seed to $((seed + lab - 1)) on labs"
export FIREDRILL_SEED=$seed
FIREDRILL_TRIALS=$((trials - lab)) ${at_once:+env FIREDRILL_TRIALS_AT_ONCE="$at_once"} \
    cargo test --quiet --package firedrill-agent --test crash_trials || bad=1
if [ "$lab" -gt 0 ]; then
    FIREDRILL_TRIALS=$lab cargo test --quiet --package firedrill --test crash_matrix -- ${at_once:+--test-threads "$at_once"} || bad=1
fi
exit $bad
