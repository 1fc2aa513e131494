// Opens a report as people do, and prints what is wrong with it.
//
//   node check.mjs [--self-test] REPORT.html
//
// With --self-test it first opens copies of the report that are broken on purpose, and fails if one of them passes.
// Ends with 0 if nothing is wrong, 1 if something is, 2 if it could not look.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { VIEWS, open, start } from './browser.mjs';
import { look, unfold } from './look.mjs';
import { play } from './play.mjs';
import { selfTest } from './self_test.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// More findings of one view than this are counted and not printed.
const MOST = 12;
const VERDICTS = ['held', 'violated', 'unknown'];

/** Opens a file in one view; returns what is wrong, each with its kind, the view and words. */
export async function check(browser, file, view) {
  const found = [];
  const report = (kind, text) => found.push({ kind, view: view.name, text });
  const { context, page } = await open(browser, view);
  try {
    const address = pathToFileURL(resolve(file)).href;
    page.on('console', (message) => message.type() === 'error' && report('console', message.text()));
    page.on('pageerror', (error) => report('script', error.message));
    // Nothing leaves this machine: what else the page asks for is recorded and refused.
    await page.route('**/*', (route) => {
      const asked = route.request().url();
      if (asked === address) return route.continue();
      report('network', `it asks for ${asked}`);
      return route.abort();
    });
    await page.goto(address, { waitUntil: 'load' });
    const seen = await page.evaluate(look, view.width);
    judge(seen, view, report);
    if (view.media === 'print') {
      await paper(page, report);
    } else {
      await page.evaluate(unfold);
      const opened = await page.evaluate(look, view.width);
      for (const text of opened.wide) if (!seen.wide.includes(text)) report('wide', `${text}, with all details open`);
      if (view.axe) await accessibility(page, report);
      if (view.play) {
        await play(page, report, !view.options.hasTouch);
        // With its cursor shown, too.
        await accessibility(page, report);
        const after = await page.evaluate(look, view.width);
        for (const text of after.wide) if (!opened.wide.includes(text)) report('wide', `${text}, with the cursor shown`);
      }
    }
  } finally {
    await context.close();
  }
  return found;
}

function judge(seen, view, report) {
  for (const text of seen.wide) report('wide', text);
  for (const text of seen.cut) report('cut', `the chart cuts off ${text}`);
  for (const text of seen.unclear) report('unclear', text);
  if (!VERDICTS.includes(seen.verdict)) report('verdict', `it shows no verdict, only “${seen.verdict}”`);
  if (!seen.title) report('verdict', 'it shows no title');
  if (!seen.story) report('verdict', 'it shows no story');
  if (seen.charts === 0) report('charts', 'it shows no charts');
  if (view.media === 'print' && seen.folded > 0) report('folded', `${seen.folded} details are not printed`);
  if (!seen.policy.includes("default-src 'none'")) report('policy', 'it does not forbid itself to load anything');
}

async function accessibility(page, report) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, help, nodes } of violations) {
    const where = nodes.slice(0, 3).map((node) => `\n      ${node.target.join(' ')}`).join('');
    report('axe', `${id}, ${nodes.length} times: ${help}${where}`);
  }
}

async function paper(page, report) {
  const pdf = await page.pdf({ preferCSSPageSize: true, format: 'A4' });
  if (pdf.subarray(0, 5).toString('latin1') !== '%PDF-') report('paper', 'it does not print');
}

async function main(args) {
  const wantsSelfTest = args.includes('--self-test');
  const [file, ...more] = args.filter((arg) => arg !== '--self-test');
  if (!file || more.length > 0 || file.startsWith('--')) {
    console.error('usage: node check.mjs [--self-test] REPORT.html');
    return 2;
  }
  const browser = await start();
  try {
    if (wantsSelfTest && !(await selfTest(file, (copy, view) => check(browser, copy, view)))) return 1;
    let wrong = 0;
    for (const view of Object.values(VIEWS)) {
      const found = await check(browser, file, view);
      console.log(`${found.length === 0 ? 'ok  ' : 'FAIL'} ${view.name}`);
      for (const { kind, text } of found.slice(0, MOST)) console.error(`  ${kind}: ${text}`);
      if (found.length > MOST) console.error(`  and ${found.length - MOST} more`);
      wrong += found.length;
    }
    if (wrong > 0) console.error(`error: ${file}: ${wrong} things are wrong with this page`);
    return wrong > 0 ? 1 : 0;
  } finally {
    await browser.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${error.message ?? error}`);
  process.exitCode = 2;
}
