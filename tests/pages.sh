#!/usr/bin/env bash
# Opens a report in a real browser, as a phone, a desk and paper show it. It must show its verdict and its charts, fit the width,
# load nothing from anywhere, raise no error, and be accessible; its cursor, zoom and filters must show what its data says. Copies that are broken on purpose show that this can fail. The page over
# many runs has to be all that, too, and so do the pages of the control room.
#
#   tests/pages.sh [REPORT.html]     default: reports/example/report.html, and an index over runs made of that
#   FIREDRILL=PROGRAM                what writes that index; default: it is built
#
# Debian's Chromium is driven by playwright-core, since a headless window is never narrower than 500 px: only an emulated
# device is as narrow as a phone. The packages come from the npm registry, by tests/pages/package-lock.json.
# shellcheck source=tests/strict.sh
source "$(dirname "$0")/strict.sh"
page=$(realpath "${1:-$(dirname "$0")/../reports/example/report.html}")
cd "$(dirname "$0")/.."

# Who is not root cannot install anything, and only in CI is that a failure.
cannot() {
  if ((EUID != 0)) && [[ -z ${CI:-} ]]; then
    echo "skipped: $1" >&2
    exit 0
  fi
  echo "error: $1" >&2
  exit 1
}

tests/packages.sh pages || cannot "the page was not opened in a browser: its packages are not installed"
# `npm ci` removes what is there and installs all of it: only where the lock file is another than the installed one.
if ! cmp -s tests/pages/package-lock.json tests/pages/node_modules/.installed; then
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --prefix tests/pages --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
    cannot "the page was not opened in a browser: npm could not install tests/pages/package-lock.json"
  cp tests/pages/package-lock.json tests/pages/node_modules/.installed
fi
node tests/pages/check.mjs --self-test "$page"
(($# == 0)) || exit 0

# The script by itself, and an example of each verdict.
node --check crates/judge/src/report/page.js
for file in docs/examples/*.html; do
  echo "$file"
  node tests/pages/check.mjs "$file"
done

# The example's log again and again, each at a time of its own; with a goal that it misses in two, and cut short in one.
firedrill=${FIREDRILL:-}
if [[ -z $firedrill ]]; then
  cargo build --release -p firedrill -p firedrill-agent >&2
  firedrill=${CARGO_TARGET_DIR:-$PWD/target}/release/firedrill
fi
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
read -r id < <(grep -om 1 '"run":"[^"]*"' reports/example/events.jsonl | cut -d '"' -f 4)
for day in {10..17}; do
  new=202611$day-${id#*-}
  mkdir "$runs/$new"
  sed "s/$id/$new/g; 1s/\"wall\":\"[^T]*T/\"wall\":\"2026-11-${day}T/" reports/example/events.jsonl >"$runs/$new/events.jsonl"
  case $day in
  12 | 16) sed -i '1s/"good":"85%"/"good":"99.99%"/' "$runs/$new/events.jsonl" ;;
  14) sed -i '$d' "$runs/$new/events.jsonl" ;;
  17) sed -i '1s/"name":"demo"/"name":"a scenario whose name is long"/' "$runs/$new/events.jsonl" ;;
  esac
done
mkdir "$runs/no-run"
"$firedrill" report --index --reports "$runs" >&2
finding=$("$firedrill" findings --reports "$runs" | grep -om 1 'f-[0-9a-f]*') || {
  echo "error: the runs that miss their goal left no finding" >&2
  exit 1
}
"$firedrill" findings set "$finding" --reports "$runs" --owner payments --ticket https://tickets.example/OPS-7 \
  --note "$(printf 'a note that is long enough to be broken %.0s' {1..4})" >&2
"$firedrill" report "$runs"/20261116-*/ --format html --reports "$runs" >/dev/null || true
"$firedrill" report "$runs"/20261110-*/ --format html --reports "$runs" >/dev/null || true
for file in "$runs/index.html" "$runs"/20261116-*/report.html; do
  grep -q payments "$file" || {
    echo "error: $file does not show who sees to the finding" >&2
    exit 1
  }
  echo "$(basename "$(dirname "$file")")/$(basename "$file")"
  node tests/pages/check.mjs "$file"
done

# The control room over these runs: people log in, watch a run, write a note, let somebody in.
node tests/pages/room.mjs "$firedrill" "$runs"
