// Starts Debian's Chromium, and says in which ways a report is opened. Judges nothing.
import { chromium } from 'playwright-core';

const PROGRAM = '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Starts the browser. */
export async function start() {
  try {
    return await chromium.launch({ executablePath: PROGRAM, args: FLAGS });
  } catch (error) {
    const why = String(error.message ?? error).trim();
    throw new Error(`cannot start ${PROGRAM}: ${why}\n  = help: as root, tests/packages.sh pages installs it`);
  }
}

const phone = (width, more = {}) => ({
  name: `phone ${width} px`, width, height: 844, media: 'screen',
  options: { isMobile: true, hasTouch: true, deviceScaleFactor: 3, ...more },
});
const desk = (more = {}) => ({ name: 'desk 1280 px', width: 1280, height: 900, media: 'screen', options: { ...more } });
const named = (view, more, extra = {}) => ({ ...view, ...extra, name: `${view.name}, ${more}` });
const dark = { colorScheme: 'dark' };
const light = { colorScheme: 'light' };
const scriptless = { javaScriptEnabled: false };

/** The ways in which a report is opened. `axe`: accessibility is checked too; `play`: the page is used. */
export const VIEWS = {
  desk: named(desk(light), 'light', { axe: true, play: true }),
  deskDark: named(desk(dark), 'dark', { axe: true }),
  deskScriptless: named(desk(scriptless), 'JavaScript off'),
  phone: named(phone(390, light), 'light', { axe: true }),
  phoneDark: named(phone(390, dark), 'dark', { axe: true, play: true }),
  phoneScriptless: named(phone(390, scriptless), 'JavaScript off'),
  phone360: phone(360),
  phone320: phone(320),
  // Just wider than where the page's tables become lists.
  tablet: { ...phone(660), name: 'tablet 660 px' },
  // A4 less the page's own margins, at 96 px an inch.
  paper: { name: 'paper', width: 688, height: 1000, media: 'print', options: {} },
};

/** Opens an empty page for that view. */
export async function open(browser, view) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height }, serviceWorkers: 'block', ...view.options,
  });
  const page = await context.newPage();
  await page.emulateMedia({ media: view.media });
  return { context, page };
}
