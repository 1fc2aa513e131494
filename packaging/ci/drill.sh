#!/usr/bin/env bash
# Runs a drill and decides about it, or decides about a run that is there: what the GitHub Action does. Ends with the gate's exit code.
#
#   FIREDRILL_SCENARIO, FIREDRILL_FLEET, FIREDRILL_AS, FIREDRILL_PARAMS (lines NAME=VALUE)     what is run, or
#   FIREDRILL_RUN                                                                              the run that is there
#   FIREDRILL_BASELINE, FIREDRILL_ALLOW_UNKNOWN (true), FIREDRILL_REPORTS                      how it is decided, and where runs are
set -euo pipefail

output() { [[ -z ${GITHUB_OUTPUT:-} ]] || printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }

ends() {
    output exit "$1"
    exit "$1"
}

refuse() {
    printf '::error title=firedrill::%s\n' "$1"
    ends 2
}

reports=${FIREDRILL_REPORTS:-reports}
run=${FIREDRILL_RUN:-}
drilled=0
if [[ -z $run ]]; then
    [[ -n ${FIREDRILL_SCENARIO:-} && -n ${FIREDRILL_FLEET:-} ]] || refuse 'name a scenario and a fleet, or a run'
    words=(run "$FIREDRILL_SCENARIO" --fleet "$FIREDRILL_FLEET" --out "$reports" --json)
    [[ -z ${FIREDRILL_AS:-} ]] || words+=(--as "$FIREDRILL_AS")
    while IFS= read -r line; do
        [[ -z ${line//[[:space:]]/} ]] || words+=(--param "$line")
    done <<<"${FIREDRILL_PARAMS:-}"
    mkdir -p "$reports"
    run=$reports/drill.json
    firedrill "${words[@]}" >"$run" || drilled=$?
    # Where the scenario is wrong there is no report, and the reason stands above.
    [[ -s $run ]] || ends "$drilled"
elif [[ -n ${FIREDRILL_SCENARIO:-} ]]; then
    refuse 'a scenario and a run were named; name one of them'
fi
output run "$run"

words=(gate "$run" --reports "$reports")
[[ -z ${FIREDRILL_BASELINE:-} ]] || words+=(--baseline "$FIREDRILL_BASELINE")
[[ ${FIREDRILL_ALLOW_UNKNOWN:-false} != true ]] || words+=(--allow-unknown)
decided=0
firedrill "${words[@]}" || decided=$?
# What the drill ended with beyond its verdict, such as reports that could not be written, is no pass. The gate has weighed `unknown`.
((decided != 0 || drilled == 0 || drilled == 3)) || ends "$drilled"
ends "$decided"
