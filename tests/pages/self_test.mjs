// Copies of a report that are broken on purpose: the check has to find each.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VIEWS } from './browser.mjs';

const DOT = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';
// The page's own policy refuses other styles and scripts.
const loose = (page) => page.replace(/style-src '[^']*'/, "style-src 'unsafe-inline'");
const added = (html) => (page) => (html.includes('style=') ? loose(page) : page).replace('</header>', `</header>${html}`);
const without = (what) => (page) => page.replace(what, '');
const lawless = without(/<meta http-equiv="Content-Security-Policy"[^>]*>/);
const also = (...changes) => (page) => changes.reduce((text, change) => change(text), page);
const style = (css) => also(loose, (page) => page.replace('</head>', `<style>${css}</style></head>`));
// A page without that place in its script stays as it is, which is told.
const scripted = (what, other) => (page) => (page.includes(what) ? lawless(page.replace(what, () => other)) : page);
const used = { ...VIEWS.desk, play: true };

// Each with the view that has to find it, the kind, and words of what is found.
const BROKEN = [
  ['an element wider than a phone', added('<div id="broad" style="width:420px">x</div>'), VIEWS.phone, 'wide', 'div#broad'],
  ['an element wider than a small phone', added('<div id="broad" style="width:320px">x</div>'), VIEWS.phone320, 'wide', 'div#broad'],
  ['an element left of the page', added('<div id="left" style="position:relative;left:-300px">x</div>'), VIEWS.desk, 'wide', 'div#left'],
  ['a wide element inside folded details', added('<details><summary>s</summary><p id="broad" style="width:900px">x</p></details>'), VIEWS.phone, 'wide', 'p#broad'],
  ['a box that hides what does not fit', added('<div style="overflow:hidden"><p id="broad" style="width:900px">x</p></div>'), VIEWS.phone, 'wide', 'p#broad'],
  ['a word wider than its element', added(`<div id="word" style="overflow-wrap:normal">${'x'.repeat(90)}</div>`), VIEWS.phone, 'wide', 'div#word'],
  ['an element too wide for paper', style('@media print{.story{width:50rem}}'), VIEWS.paper, 'wide', 'p.story'],
  ['an element that is wide without scripts', added('<noscript><div id="broad" style="width:2000px">x</div></noscript>'), VIEWS.deskScriptless, 'wide', 'div#broad'],
  ['a script that fails', also(lawless, added('<script>throw new Error("on purpose")</script>')), VIEWS.desk, 'script', 'on purpose'],
  ['a style that its own policy refuses', (page) => page.replace('</head>', '<style>p{margin:0}</style></head>'), VIEWS.desk, 'console', 'Content Security Policy'],
  ['a script that was changed', (page) => page.replace("'use strict';\n", "'use strict';\n\n"), VIEWS.desk, 'console', 'Content Security Policy'],
  ['a script that does not run', scripted('<script>', '<script type="text/plain">'), used, 'cursor', 'did not run'],
  ['values of another moment', scripted('Math.floor((ms - line.from) / line.step);\n      const [share', 'Math.floor((ms - line.from) / line.step) + 7;\n      const [share'), used, 'cursor', 'where the data has'],
  ['values that nobody is told', scripted('    sayValues();\n', ''), used, 'cursor', 'is not told'],
  ['a cursor on one chart alone', scripted('for (const svg of all) {', 'for (const svg of all.slice(0, 1)) {'), used, 'cursor', 'charts show the cursor'],
  ['a key that does not zoom', scripted("'+': () => zoomBy(0.5),", ''), used, 'zoom', '+ shows'],
  ['a drag that shows another time', scripted('zoomTo(from, until);\n    say', 'zoomTo(from, until + 9e5);\n    say'), used, 'zoom', 'a drag from'],
  ['a filter that hides nothing', scripted("one.classList.toggle('filtered', Boolean(away));", ''), used, 'filter', 'of other hosts'],
  ['a script that its own policy refuses', added('<script>1</script>'), VIEWS.desk, 'console', 'Content Security Policy'],
  ['an image from elsewhere', also(lawless, added('<img src="http://elsewhere.invalid/x.png" alt="x">')), VIEWS.desk, 'network', 'elsewhere.invalid'],
  ['no policy', lawless, VIEWS.desk, 'policy', 'forbid'],
  ['a landmark twice', added('<section aria-label="twice">a</section><section aria-label="twice">b</section>'), VIEWS.desk, 'axe', 'landmark-unique'],
  ['an image without words', added(`<img src="${DOT}">`), VIEWS.phone, 'axe', 'image-alt'],
  ['text that cannot be read in the dark', style('@media (prefers-color-scheme:dark){.story{color:#333}}'), VIEWS.phoneDark, 'axe', 'color-contrast'],
  ['text that cannot be read in the light', style('@media (prefers-color-scheme:light){.story{color:#ddd}}'), VIEWS.desk, 'axe', 'color-contrast'],
  ['no charts', (page) => page.replace(/<svg[\s\S]*?<\/svg>/g, ''), VIEWS.phone, 'charts', 'no charts'],
  ['a chart that cuts off a word', (page) => page.replace('</svg>', '<text x="850" y="20">cut off on purpose</text></svg>'), VIEWS.desk, 'cut', 'on purpose'],
  ['no verdict', without(/<span class="badge [a-z]+ big">[\s\S]*?<\/span> ?\w+<\/span>/), VIEWS.phone, 'verdict', 'no verdict'],
  ['a verdict that is not shown', style('.head{display:none}'), VIEWS.deskScriptless, 'verdict', 'no verdict'],
  ['details that are not printed', style('@media print{details::details-content{content-visibility:hidden!important}}'), VIEWS.paper, 'folded', 'not printed'],
];

// The same of a page that has lanes of metrics and logs.
const LANES_PAGE = new URL('../../docs/examples/violated.html', import.meta.url);
const LANES = [
  ['rates of another moment', scripted('Math.floor((ms - line.from) / line.step);\n    const [high, low]', 'Math.floor((ms - line.from) / line.step) + 9;\n    const [high, low]'), used, 'cursor', 'log shop'],
  ['a stretch that was not read, told as one without lines', scripted('high === null ?', 'false ?'), used, 'cursor', 'where the data has nothing'],
  ['a gap of a metric that is not told', scripted('if (within(gaps, ms)) text', 'if (false) text'), used, 'cursor', 'where nothing is known'],
  ['a metric without its unit', scripted('${plain(number)}${unit && ` ${unit}`}', '${plain(number)}'), used, 'cursor', 'error rate shows'],
  ['a rate that a zoom draws lower', scripted('clamp(value / high, 0, 1)', 'clamp(value / high / 2, 0, 1)'), used, 'zoom', 'the highest rate is drawn at'],
  ['samples that a zoom loses', scripted('at >= view.from && at <= view.until);', 'at >= view.from && at <= view.until - 6e4);'), used, 'zoom', 'samples are drawn'],
  ['a filter that leaves lines of logs', scripted("one.classList.toggle('filtered', Boolean(away));", "if (!one.matches('g')) one.classList.toggle('filtered', Boolean(away));"), used, 'filter', 'lines of logs of other hosts'],
  ['values of logs that are filtered away', scripted("g[data-l=\"${index}\"]`)?.classList.contains('filtered')", "g[data-l=\"${index}\"]`)?.classList.contains('nothing')"), used, 'filter', 'lines of logs, the values of'],
  ['a goal without its label', without(/<text class="wanted"[^>]*>[^<]*<\/text>/), VIEWS.deskScriptless, 'unclear', 'has no label'],
  ['labels that lie on each other', (page) => page.replace('>goal: 98 % good</text>', '>goal: 98 % good</text><text class="wanted" x="844" y="66">another label</text>'), VIEWS.desk, 'unclear', 'lies on'],
  ['an axis without a name', (page) => page.replace(/(data-r="0"[\s\S]*?<\/svg>)/, (lane) => lane.replace(/<text class="name"[^>]*>[^<]*<\/text>/g, '')), VIEWS.desk, 'unclear', 'no name'],
  ['a term that only a mouse explains', without(/<div><dt>budget spent<\/dt>[\s\S]*?<\/div>/g), VIEWS.phone, 'unclear', 'budget spent'],
];

// Names of any length outside of charts, whose labels were measured when they were drawn.
const longNames = (page) =>
  page.replace(/(<style>[\s\S]*?<\/style>|<script[\s\S]*?<\/script>|<svg[\s\S]*?<\/svg>|<[^>]*>)|\b(checkout|app\d|client\d|coordinator)\b/g, (all, kept) => kept ?? all.repeat(12));

// Everything that has a colour of its own and that a report where all held does not show.
const STATES = ['held', 'violated', 'unknown', 'notrun', 'clean', 'stuck', 'dirty', 'unproven', 'gone'];
const colours = (page) => {
  let place = 0;
  const others = page.replace(/<span class="badge \w+">/g, () => `<span class="badge ${STATES[place++ % STATES.length]}">`);
  return added('<p class="alarm" role="alert">x</p>')(others).replaceAll('<tr><td data-label="vantage">', '<tr class="out"><td data-label="vantage">');
};

// And what is right must not be found. Colours are looked at by axe.
const RIGHT = [
  ['a page with names of a hundred letters', longNames, VIEWS.phone320],
  ['a page with names of a hundred letters', longNames, VIEWS.tablet],
  ['a page with names of a hundred letters', longNames, VIEWS.desk],
  ['a page with names of a hundred letters', longNames, VIEWS.paper],
  ['all colours in the light', colours, VIEWS.desk, true],
  ['all colours in the dark', colours, VIEWS.phoneDark, true],
  ['a wide element in a box that scrolls', added('<div style="overflow-x:auto" tabindex="0"><p style="width:900px">x</p></div>'), VIEWS.phone],
];

const listed = (all) => all.slice(0, 5).map(({ kind, text }) => `\n  ${kind}: ${text}`).join('') || 'nothing';

/** Runs the check on each copy; returns whether it found what it had to. */
export async function selfTest(file, check) {
  const page = await readFile(file, 'utf8');
  // One attack is enough to break.
  let attacks = 0;
  const small = page.replace(/<article[\s\S]*?<\/article>/g, (article) => (attacks++ === 0 ? article : ''));
  const folder = await mkdtemp(join(tmpdir(), 'firedrill-pages-'));
  const copy = join(folder, 'report.html');
  const problems = [];
  const found = async (what, page, change, view) => {
    const changed = change(page);
    if (changed === page) problems.push(`${what}: the copy is not changed: the page has no such place`);
    await writeFile(copy, changed);
    return check(copy, view);
  };
  try {
    for (const [what, change, view, kind, words] of BROKEN) {
      const all = await found(what, small, change, { ...view, axe: kind === 'axe', play: ['cursor', 'zoom', 'filter'].includes(kind) });
      if (!all.some((one) => one.kind === kind && one.text.includes(words))) {
        problems.push(`${what} (${view.name}): not found; found were: ${listed(all)}`);
      }
    }
    const lanes = await readFile(LANES_PAGE, 'utf8');
    for (const [what, change, view, kind, words] of LANES) {
      const all = await found(what, lanes, change, { ...view, axe: false, play: ['cursor', 'zoom', 'filter'].includes(kind) });
      if (!all.some((one) => one.kind === kind && one.text.includes(words))) {
        problems.push(`${what} (${view.name}): not found; found were: ${listed(all)}`);
      }
    }
    for (const [what, change, view, axe] of RIGHT) {
      const all = await found(what, page, change, { ...view, axe, play: false });
      if (all.length > 0) problems.push(`${what} (${view.name}) is right, but it finds: ${listed(all)}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  for (const problem of problems) console.error(`error: the check does not work: ${problem}`);
  if (problems.length === 0) console.log(`ok   the check finds ${BROKEN.length + LANES.length} pages that are broken on purpose`);
  return problems.length === 0;
}
