#!/usr/bin/env bash
# Build time is decided here: the default build has no more crates than recorded, each in one version where that can be, and a
# package that is built by itself shares all of them with the whole.
set -euo pipefail
cd "$(dirname "$0")/.."

# Crates of others in the default build (`cargo build --release`). Change the number together with the dependency that made it
# grow, and say in that commit what the dependency is worth.
most=243
# PostgreSQL's client brings 25 crates (logins by SCRAM, names in Unicode), that of Redis 32 (most of them for URLs, of which nothing is used).
# More than one version of these is linked, because dependencies differ; nothing here decides it.
twice="base64 fallible-iterator getrandom"
# Compiled once more for the agent alone, because clients of stores, which it does not link, want more of them.
apart="futures-channel|syn"

list() { cargo tree --locked --edges normal,build --prefix none "$@" | sed 's/ (\*)$//; s/ (proc-macro)//; s/ ([^)]*)$//; s/ *$//' | sort -u; }

all=$(list --package firedrill --format '{p}' | grep -v '^firedrill')
count=$(wc -l <<<"$all")
echo "$count crates of others in the default build, $most are recorded"
if ((count > most)); then
    echo "the default build has grown: cut a dependency, or record $count in $0 and say what it is worth" >&2
    exit 1
fi

doubled=$(cut -d ' ' -f 1 <<<"$all" | uniq -d)
if [[ $(echo $doubled) != "$twice" ]]; then
    echo "in more than one version: $(echo ${doubled:-none}); recorded in $0: $twice" >&2
    exit 1
fi

# What the agent alone would compile once more: the same crate with other features.
whole=$(list --package firedrill --format '{p} [{f}]')
alone=$(list --package firedrill-agent --format '{p} [{f}]')
other=$(comm -13 <(echo "$whole") <(echo "$alone") | grep -vE "^($apart) " || true)
if [[ -n $other ]]; then
    echo "built with other features for firedrill-agent alone; name them in the workspace's table:" >&2
    echo "$other" >&2
    exit 1
fi
echo "firedrill-agent by itself shares all of them but ${apart//|/ and }"

# No documentation has a test (`doctest = false`), since each crate's would take seconds to find none: code in it says its language.
untested=$(git ls-files -z '*.rs' | xargs -0 awk '
    FNR == 1 { inside = 0 }
    /^ *\/\/[\/!] *```/ { if (!inside && $0 ~ /``` *(rust[a-z,_]*|ignore|no_run|should_panic|compile_fail)? *$/) print FILENAME ":" FNR; inside = !inside }')
if [[ -n $untested ]]; then
    echo "code in documentation that no test would run: name its language (text, toml, sh), or test it elsewhere:" >&2
    echo "$untested" >&2
    exit 1
fi
lacking=$(grep -L '^doctest = false$' Cargo.toml agent/Cargo.toml crates/*/Cargo.toml || true)
if [[ -n $lacking ]]; then
    echo "without \`doctest = false\` below [lib], so that each run of the tests looks for tests in documentation: $lacking" >&2
    exit 1
fi
echo "no documentation has code that nothing tests"
