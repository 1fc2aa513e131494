#!/usr/bin/env bash
# Drills of real stores on labs, each with a good and with a broken configuration. Every attack ends with the verdict that stands in the
# table at the top of the store's scenario, scenarios/stores/STORE/drill.toml, and every host is as it was.
#
#   tests/stores.sh                      all of them
#   tests/stores.sh STORE[/FLEET]…       such as: redis, or haproxy/broken
#   tests/stores.sh --turn N             the Nth of all pairs of store and fleet, which begin anew after the last one: CI's part
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"
cd "$(dirname "$0")/.."
stores=$PWD/scenarios/stores
tests=$PWD/tests

fail() {
    echo "stores.sh: $*" >&2
    exit 1
}

all=()
for drill in "$stores"/*/drill.toml; do
    store=$(basename "$(dirname "$drill")")
    all+=("$store/good" "$store/broken")
done
if [[ ${1:-} == --turn ]]; then
    chosen=("${all[${2:?--turn needs a number} % ${#all[@]}]}")
elif (($#)); then
    chosen=()
    for name in "$@"; do
        matching=()
        for pair in "${all[@]}"; do
            [[ $pair == "$name" || $pair == "$name"/* ]] && matching+=("$pair")
        done
        ((${#matching[@]})) || fail "there is no $name; there are: ${all[*]}"
        chosen+=("${matching[@]}")
    done
else
    chosen=("${all[@]}")
fi

if [[ -z ${FIREDRILL:-} ]]; then
    # The same packages as other recipes build, so that nothing is built twice with other features.
    cargo build --release -p firedrill -p firedrill-agent
    FIREDRILL="${CARGO_TARGET_DIR:-$PWD/target}/release/firedrill"
fi
firedrill=$(realpath "$FIREDRILL")
work=$(mktemp -d)
cd "$work"
trap '"$firedrill" lab down --name "$lab" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

# Compares the verdicts of a report with the table. Ends with 3 if all that differ are unknown, and with 1 if another one differs or if a
# host was not proven clean.
compare() {
    python3 - "$1" "$2" "$3" <<'PYTHON'
import json, sys

drill, fleet, report = sys.argv[1:]
rows = [[cell.strip() for cell in line[1:].strip().strip("|").split("|")]
        for line in open(drill) if line.startswith("# |")]
columns, rows = rows[0], rows[1:]
known = {row[0]: row[columns.index(fleet)] for row in rows}
card = json.load(open(report))["scorecard"]
# An attack on a leader has a row for each host that might be it, named after it. All but one are spared.
ran = [attack for attack in card["attacks"] if attack["course"] == "ran"]
seen = {attack["name"].partition(" (")[0]: attack["verdict"] for attack in ran}
if known.keys() != seen.keys():
    sys.exit(f"the table has {sorted(known)}, the report {sorted(seen)}")
other = {name: verdict for name, verdict in seen.items() if verdict != known[name]}
for name, verdict in other.items():
    print(f"{name}: {verdict}, not {known[name]}")
left = {host["host"]: host["state"] for host in card["hosts"] if host["state"] != "clean"}
if left:
    sys.exit(f"not proven clean: {left}")
sys.exit(3 if other and set(other.values()) == {"unknown"} else 1 if other else 0)
PYTHON
}

for pair in "${chosen[@]}"; do
    store=${pair%/*}
    fleet=${pair#*/}
    lab=stores-$store-$fleet-$$
    got=0
    "$tests/packages.sh" "store-$store" || got=$?
    if ((got == 3)) && [[ -z ${CI:-} ]]; then
        continue
    fi
    ((got == 0)) || fail "$pair: its programs are not there"
    # On a machine that stutters `unknown` is the honest answer, or a baseline that does not hold (4): then it is asked again.
    for attempt in 1 2 3; do
        if ! "$firedrill" lab up --name "$lab" --fleet "$stores/$store/$fleet.toml" >up.txt 2>&1; then
            if grep -q 'a lab cannot start here' up.txt; then
                echo "skipped: $(grep -v '^ *$' up.txt | head -3 | tr '\n' ' ')"
                exit 0
            fi
            cat up.txt
            fail "$pair: its lab did not start"
        fi
        ran=0
        "$firedrill" run "$stores/$store/drill.toml" --lab="$lab" --out "$lab-$attempt" >run.txt 2>&1 || ran=$?
        "$firedrill" lab down --name "$lab" >/dev/null
        got=3
        if ((ran != 4)); then
            reports=("$lab-$attempt"/*/report.json)
            [[ -e ${reports[0]} ]] || { cat run.txt; fail "$pair: ended with $ran and without a report"; }
            got=0
            compare "$stores/$store/drill.toml" "$fleet" "${reports[0]}" || got=$?
        fi
        ((got == 3)) || break
        echo "$pair: unknown or refused in try $attempt of 3"
        tail -n 8 run.txt
    done
    ((got == 0)) || { cat run.txt; fail "$pair did not end as its table says"; }
    echo "$pair ended as its table says, and its hosts are clean"
done
