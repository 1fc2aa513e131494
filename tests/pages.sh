#!/usr/bin/env bash
# Opens a report in a real browser: on a desk, on a phone, on paper. It must show its verdict, fit the width, load nothing
# from anywhere, and raise no script error.
#
#   tests/pages.sh [REPORT.html]     default: reports/example/report.html
set -euo pipefail
cd "$(dirname "$0")/.."
page=${1:-reports/example/report.html}
got=0
tests/packages.sh pages || got=$?
# What cannot be installed is said there, and no failure elsewhere than in CI.
if ((got)); then [[ $got == 3 && -z ${CI:-} ]] && exit 0 || exit "$got"; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if grep -nE '(src|href)="(https?:)?//' "$page"; then
  echo "the page loads something from elsewhere" >&2
  exit 1
fi

# The page itself is asked, by a script added to a copy of it: what it shows, and whether anything sticks out sideways.
# The page allows itself no scripts; the copy has to.
if ! grep -q "Content-Security-Policy.*default-src 'none'" "$page"; then
  echo "the page does not forbid itself to load anything" >&2
  exit 1
fi
sed '/http-equiv="Content-Security-Policy"/d; s#<head>#<head><script>window.trouble=[];window.onerror=(m)=>{trouble.push(m)};</script>#' "$page" >"$work/asked.html"
cat >>"$work/asked.html" <<'JS'
<script>
addEventListener('load', () => {
  const root = document.documentElement;
  document.title = 'asked ' + JSON.stringify({
    wide: root.scrollWidth > root.clientWidth + 1, trouble, heading: document.querySelector('h1')?.innerText ?? '',
    charts: document.querySelectorAll('svg').length, text: document.body.innerText.length,
  });
});
</script>
JS
browse() {
  chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$work/profile" "$@" 2>/dev/null
}
for width in 1280 375; do
  answer=$(browse --window-size="$width,900" --dump-dom "file://$work/asked.html" | grep -o '<title>asked [^<]*' | sed 's/<title>asked //; s/&quot;/"/g' || true)
  [[ -n $answer ]] || { echo "the page does not answer at $width px: is chromium able to run here?" >&2; exit 1; }
  echo "$width px: $answer"
  [[ $answer == *'"wide":false'* ]] || { echo "the page is wider than $width px" >&2; exit 1; }
  [[ $answer == *'"trouble":[]'* ]] || { echo "the page's script failed" >&2; exit 1; }
  [[ $answer != *'"charts":0'* ]] || { echo "the page has no charts" >&2; exit 1; }
done
browse --print-to-pdf="$work/report.pdf" --no-pdf-header-footer "file://$(realpath "$page")" >/dev/null
[[ $(head -c 5 "$work/report.pdf") == %PDF- ]] || { echo "the page does not print" >&2; exit 1; }
echo "the report reads at 1280 px, at 375 px and on paper"
