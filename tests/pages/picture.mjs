// Takes a picture of a report: docs/report.png, or one to look at.
//
//   node picture.mjs REPORT.html OUT.png [VIEW] [full]      VIEW: a name of browser.mjs, else a desk of 1280 × 1600 px
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { VIEWS, open, start } from './browser.mjs';

const [file, out, name, full] = process.argv.slice(2);
const view = name ? VIEWS[name] : { ...VIEWS.desk, height: 1600 };
if (!file || !out || !view) {
  console.error(`usage: node picture.mjs REPORT.html OUT.png [VIEW] [full]\n  VIEW: ${Object.keys(VIEWS).join(', ')}`);
  process.exit(2);
}
const browser = await start();
try {
  const { page } = await open(browser, view);
  await page.goto(pathToFileURL(resolve(file)).href);
  await page.screenshot({ path: out, fullPage: full === 'full' });
} finally {
  await browser.close();
}
