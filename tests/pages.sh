#!/usr/bin/env bash
# Opens a report in a real browser, as a phone, a desk and paper show it. It must show its verdict and its charts, fit the width,
# load nothing from anywhere, raise no error, and be accessible. Copies that are broken on purpose show that this can fail.
#
#   tests/pages.sh [REPORT.html]     default: reports/example/report.html
#
# Debian's Chromium is driven by playwright-core, since a headless window is never narrower than 500 px: only an emulated
# device is as narrow as a phone. The packages come from the npm registry, by tests/pages/package-lock.json.
set -euo pipefail
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
