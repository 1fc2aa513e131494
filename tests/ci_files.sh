#!/usr/bin/env bash
# The GitHub Action, the GitLab template and the examples: checked by the schemas of both, their scripts by shellcheck, and the scripts of the
# Action and the template run beside a `firedrill` that only says what it was asked. Copies that are broken on purpose show that this can fail.
# shellcheck disable=SC2016 # What stands in single quotes is not to be expanded.
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"
cd "$(dirname "$0")/.."

fail() {
    echo "error: $*" >&2
    exit 1
}

# Who cannot install anything is told; in CI that is a failure.
tools=${CARGO_TARGET_DIR:-$PWD/target}/ci-files
if ! cmp -s tests/ci_files/requirements.txt "$tools/installed"; then
    rm -rf "$tools"
    if ! { python3 -m venv "$tools" && "$tools/bin/pip" install -q --disable-pip-version-check -r tests/ci_files/requirements.txt; } >&2; then
        [[ -z ${CI:-} ]] || fail "the checkers of CI files could not be installed"
        echo "skipped: the checkers of CI files could not be installed (python3-venv, and a registry of Python packages)" >&2
        exit 0
    fi
    cp tests/ci_files/requirements.txt "$tools/installed"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

schema() { "$tools/bin/check-jsonschema" --builtin-schema "$@"; }
gitlab=(vendor.gitlab-ci --data-transform gitlab-ci)
schema vendor.github-actions action.yml
schema vendor.github-workflows examples/ci/github.yml
# The schema looks at no hidden job.
sed 's/^\.firedrill:/firedrill:/' packaging/ci/firedrill.gitlab-ci.yml >"$work/template.yml"
schema "${gitlab[@]}" "$work/template.yml" examples/ci/gitlab.yml

mkdir "$work/scripts"
for file in action.yml examples/ci/github.yml packaging/ci/firedrill.gitlab-ci.yml examples/ci/gitlab.yml; do
    "$tools/bin/python" tests/ci_files/scripts.py "$file" "$work/scripts"
done
# GitLab's shell and the Action's `shell: bash` know all of this; a variable that is not assigned comes from outside.
lint() { "$tools/bin/shellcheck" --shell bash --exclude SC2154 "$@"; }
lint "$work"/scripts/*.sh packaging/ci/*.sh
lint --external-sources --severity warning .ci/* tests/*.sh tests/*/*.sh

# Broken on purpose.
sed 's/using: composite/usage: composite/' action.yml >"$work/action.yml"
! schema vendor.github-actions "$work/action.yml" >/dev/null || fail "a wrong action is not found"
sed 's/when: always/when: sometimes/' "$work/template.yml" >"$work/gitlab.yml"
! schema "${gitlab[@]}" "$work/gitlab.yml" >/dev/null || fail "a wrong template is not found"
sed 's/gate "$run"/gate $run/; s/"$decided"/$decided/' packaging/ci/drill.sh >"$work/drill.sh"
! lint "$work/drill.sh" >/dev/null || fail "a variable without quotes is not found"

# A trace, and one with a key that OTLP does not have.
"$tools/bin/python" tests/ci_files/trace.py docs/examples/trace.json
sed 's/"startTimeUnixNano"/"startTime"/' docs/examples/trace.json >"$work/trace.json"
! "$tools/bin/python" tests/ci_files/trace.py "$work/trace.json" 2>/dev/null || fail "a wrong trace is not found"

# The API's document, and one with a method that there is not.
"$tools/bin/openapi-spec-validator" docs/openapi.json
sed 's/"get": {/"got": {/' docs/openapi.json >"$work/openapi.json"
! "$tools/bin/openapi-spec-validator" "$work/openapi.json" >/dev/null 2>&1 || fail "a wrong OpenAPI document is not found"

# Says what it was asked, prints a report as `run` does, and ends as it was told.
mkdir "$work/bin"
cat >"$work/bin/firedrill" <<'END'
#!/usr/bin/env bash
printf '[%s]' "$@" >>"$WORK/asked"
echo >>"$WORK/asked"
case $1 in
run) [[ ${RUN:-0} == 2 ]] || echo '{"scorecard":{}}'; exit "${RUN:-0}" ;;
gate) exit "${GATE:-0}" ;;
esac
END
chmod +x "$work/bin/firedrill"

# drill CODE VARIABLE=VALUE…: the Action's script ends with that code, and says so to the job.
drill() {
    local code=$1 got=0
    shift
    rm -rf "$work/asked" "$work/outputs" "$work/reports"
    (cd "$work" && env PATH="$work/bin:$PATH" WORK="$work" GITHUB_OUTPUT="$work/outputs" "$@" "$OLDPWD/packaging/ci/drill.sh" >/dev/null) || got=$?
    ((got == code)) || fail "drill.sh ended with $got, not $code: $*"
    grep -qx "exit=$code" "$work/outputs" || fail "the job is not told the exit code $code: $*"
}
asked() { grep -qxF -- "$1" "$work/asked" || fail "not asked: $1; but: $(cat "$work/asked")"; }

both=(FIREDRILL_SCENARIO=a.toml FIREDRILL_FLEET='my fleet.toml')
drill 0 "${both[@]}" FIREDRILL_AS=ci FIREDRILL_PARAMS=$'env=a b\n\nurl=$(reboot)'
asked '[run][a.toml][--fleet][my fleet.toml][--out][reports][--json][--as][ci][--param][env=a b][--param][url=$(reboot)]'
asked '[gate][reports/drill.json][--reports][reports]'
grep -qx 'run=reports/drill.json' "$work/outputs"
drill 1 "${both[@]}" RUN=1 GATE=1
drill 3 "${both[@]}" RUN=3 GATE=3
drill 0 "${both[@]}" RUN=3 FIREDRILL_ALLOW_UNKNOWN=true FIREDRILL_BASELINE=main.json
asked '[gate][reports/drill.json][--reports][reports][--baseline][main.json][--allow-unknown]'
drill 6 "${both[@]}" RUN=6
drill 2 "${both[@]}" RUN=2
! grep -q gate "$work/asked" || fail "without a report there is nothing to decide about"
drill 0 FIREDRILL_RUN=reports/one
asked '[gate][reports/one][--reports][reports]'
drill 2 FIREDRILL_RUN=one "${both[@]}"
drill 2 FIREDRILL_SCENARIO=a.toml

# template CODE VARIABLE=VALUE…: the template's script ends with that code, in the shells of GitLab's runner.
template() {
    local code=$1 shell got
    shift
    for shell in bash sh; do
        rm -rf "$work/asked" "$work/reports"
        got=0
        (cd "$work" && env PATH="$work/bin:$PATH" WORK="$work" "$@" "$shell" -e scripts/firedrill.gitlab-ci-1.sh >/dev/null) || got=$?
        ((got == code)) || fail "the template's script in $shell ended with $got, not $code: $*"
        [[ $code != 2 ]] || ! grep -q gate "$work/asked" || fail "without a report there is nothing to decide about"
    done
}
template 0 "${both[@]}" FIREDRILL_AS=ci FIREDRILL_PARAMS=$'env=a b\n\nurl=$(reboot)'
asked '[run][a.toml][--fleet][my fleet.toml][--out][reports][--json][--as][ci][--param][env=a b][--param][url=$(reboot)]'
asked '[gate][reports/drill.json][--reports][reports]'
template 1 "${both[@]}" RUN=1 GATE=1
template 3 "${both[@]}" RUN=3 GATE=3
template 0 "${both[@]}" RUN=3 FIREDRILL_ALLOW_UNKNOWN=true FIREDRILL_BASELINE='our main.json'
asked '[gate][reports/drill.json][--reports][reports][--baseline][our main.json][--allow-unknown]'
template 6 "${both[@]}" RUN=6
template 2 "${both[@]}" RUN=2
echo "the Action and the template are as GitHub and GitLab want them"
