#!/usr/bin/env bash
# Makes `firedrill` available to the steps of a job: the one that is installed, or else this version, built from source.
set -euo pipefail

if command -v firedrill >/dev/null; then
    firedrill --version
    exit 0
fi
command -v cargo >/dev/null || {
    echo "::error title=firedrill::firedrill is not installed, and there is no cargo to build it with; install one of them in an earlier step"
    exit 2
}
source=$(cd "$(dirname "$0")/../.." && pwd)
root=${RUNNER_TEMP:-/tmp}/firedrill
cargo install --locked --path "$source" --root "$root" firedrill
"$root/bin/firedrill" --version
[[ -z ${GITHUB_PATH:-} ]] || echo "$root/bin" >>"$GITHUB_PATH"
