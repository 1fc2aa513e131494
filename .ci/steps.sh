# Steps of .ci/run: each prints its time, some run beside others, and a table of all of them comes last. To be sourced.
#
#   step NAME COMMAND…       runs it, its output as it comes
#   beside NAME COMMAND…     starts it and goes on; its output is kept until `join`
#   join                     waits for what runs beside, and prints what it said
#
# A step that fails ends everything, and its name is in the table.

steps_dir=$(mktemp -d)
steps_began=$SECONDS
beside_pids=()

# Runs a step and records how it ended.
timed() {
    local name=$1 from=$SECONDS got=0
    shift
    "$@" || got=$?
    printf '%s\t%s\t%s\t%s\n' "$((from - steps_began))" "$((SECONDS - from))" "$got" "$name" >>"$steps_dir/times"
    return "$got"
}

step() {
    printf '\n== %s\n' "$1"
    timed "$@" || exit 1
    printf -- '-- %s: %s s\n' "$1" "$(tail -n 1 "$steps_dir/times" | cut -f 2)"
}

beside() {
    local number=${#beside_pids[@]}
    printf '%s' "$1" >"$steps_dir/name.$number"
    printf '\n== %s (beside what follows)\n' "$1"
    timed "$@" >"$steps_dir/output.$number" 2>&1 &
    beside_pids+=($!)
}

join() {
    local number failed=0
    for number in "${!beside_pids[@]}"; do
        wait "${beside_pids[number]}" || failed=1
        printf '\n== %s (what it said)\n' "$(cat "$steps_dir/name.$number")"
        cat "$steps_dir/output.$number"
        unset "beside_pids[number]"
        ((failed == 0)) || exit 1
    done
}

# However it ends: nothing runs on, and the table says where the time went.
finish() {
    local code=$? pid
    for pid in "${beside_pids[@]}"; do
        pkill -TERM -P "$pid" 2>/dev/null || true
        kill -TERM "$pid" 2>/dev/null || true
    done
    for number in "${!beside_pids[@]}"; do
        wait "${beside_pids[number]}" 2>/dev/null || true
        printf '\n== %s (ended early; what it said)\n' "$(cat "$steps_dir/name.$number")"
        tail -n 60 "$steps_dir/output.$number"
    done
    printf '\n%8s %8s  %-6s %s\n' 'from (s)' 'took (s)' '' step
    [[ ! -s $steps_dir/times ]] || while IFS=$'\t' read -r from took got name; do
        printf '%8s %8s  %-6s %s\n' "$from" "$took" "$( ((got == 0)) && echo ok || echo FAILED)" "$name"
    done <"$steps_dir/times"
    printf '%8s %8s  %-6s %s\n' '' "$((SECONDS - steps_began))" "$( ((code == 0)) && echo ok || echo FAILED)" 'all of it'
    rm -rf "$steps_dir"
    exit "$code"
}
trap finish EXIT
