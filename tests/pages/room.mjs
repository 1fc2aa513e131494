// Uses the control room as people do: logs in, looks at all pages, writes a note and a finding, lets somebody in, decides about slots, approves by passkey; on a phone and at a desk, with and without
// script. Prints what is wrong.
//
//   node room.mjs FIREDRILL REPORTS [PICTURES]      REPORTS: a directory of runs, which gets a note; PICTURES: a folder for pictures
//
// Ends with 0 if nothing is wrong, 1 if something is, 2 if it could not look.
import { spawn, execFileSync } from 'node:child_process';
import { appendFile, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { VIEWS, open, start } from './browser.mjs';
import { look } from './look.mjs';
import { passkeys } from './passkeys.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
// The name of a run that goes on; it is the newest.
const LIVE = '20991231-2359-live-0001';
const SEEN = ['desk', 'deskDark', 'phone', 'phoneDark', 'phone320', 'phoneScriptless'];

/** Writes a game day that is due every day and asks two of the people for their agreement; returns its folder. */
async function gamedays(state) {
  const folder = join(state, 'gamedays');
  const root = resolve(import.meta.dirname, '../..');
  await mkdir(folder);
  // Nobody answers at the first port of this machine.
  const fleet = await readFile(join(root, 'scenarios/fleet.toml'), 'utf8');
  await writeFile(join(state, 'fleet.toml'), fleet.replaceAll('addresses =', 'agent = "127.0.0.1:1"\naddresses ='));
  await writeFile(join(folder, 'friday.toml'), `schema = 1
name = "friday"
scenarios = ["${root}/scenarios/single-host.toml"]
fleet = "${state}/fleet.toml"
schedule = { cron = "0 14 * * *", zone = "Europe/Berlin" }
roles = { commander = "desk", oncall = "phone" }
go_no_go = { people = 2, of = ["commander", "oncall"], expires = "30d" }
`);
  return folder;
}

/** Makes a folder of scenarios: two that are right, with what they include, and one that is broken; returns it. */
async function scenarios(state) {
  const folder = join(state, 'scenarios');
  const root = resolve(import.meta.dirname, '../../scenarios');
  await mkdir(join(folder, 'lib'), { recursive: true });
  for (const file of ['demo.toml', 'friday.toml', 'lib/shop.toml', 'fleet.toml']) await copyFile(join(root, file), join(folder, file));
  await writeFile(join(folder, 'broken.toml'), 'schema = 1\nname = "broken"\nhypothesis = "It is <b>read</b>."\n[[attack]\n');
  return folder;
}

/** Issues the certificate of a control room that starts game days; returns its options. */
function starting(firedrill, state) {
  const pki = join(state, 'pki');
  for (const words of [['init'], ['issue', 'person', 'room', '--role', 'operator']]) {
    execFileSync(firedrill, ['pki', '--dir', pki, ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  return ['--start-gamedays', '--pki', pki, '--as', 'room'];
}

/** Starts a control room; returns its process, its origin, and a function that makes a login link. */
async function serve(firedrill, reports, state) {
  const options = ['--reports', reports, '--state', join(state, 'room'), '--gamedays', await gamedays(state), '--scenarios', await scenarios(state), ...starting(firedrill, state)];
  const child = spawn(firedrill, ['serve', '--no-link', '--listen', '127.0.0.1:0', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await Promise.race([
    createInterface({ input: child.stdout })[Symbol.asyncIterator]().next().then(({ value }) => [value]),
    new Promise((_, fail) => { child.once('exit', (code) => fail(new Error(`the control room ended with ${code}`))); }),
  ]);
  const link = (name, role) =>
    execFileSync(firedrill, ['serve', 'link', '--as', name, '--role', role, '--state', join(state, 'room')], { encoding: 'utf8' }).trim();
  return { child, origin: line.split('people open ')[1], link };
}

/** Makes a run that goes on: its log has a half, and a program holds its lock. Returns what it lacks, and how to end it. */
async function begin(reports, run) {
  const folder = join(reports, LIVE);
  const log = join(folder, 'events.jsonl');
  const lines = (await readFile(join(reports, run, 'events.jsonl'), 'utf8')).trimEnd().split('\n');
  const half = lines.findIndex((line) => line.includes('"to":"in-force"')) + 1;
  await mkdir(folder);
  await writeFile(log, `${lines.slice(0, half).join('\n')}\n`);
  const lock = spawn('flock', ['--no-fork', log, 'sleep', '900'], { stdio: 'ignore' });
  return { log, rest: lines.slice(half), end: () => { lock.kill(); return rm(folder, { recursive: true }); }, release: () => lock.kill() };
}

/** Watches a run: what is appended to its log shows without a reload, a half-written note outlives its end. */
async function watch(page, live, report) {
  await page.goto(`/runs/${LIVE}`);
  await page.waitForFunction(() => document.getElementById('news').textContent === 'Live.');
  await page.focus('.halt summary');
  await page.keyboard.press('Enter');
  if (!(await page.isVisible('.halt button'))) report('the keyboard does not open the halt');
  await page.fill('textarea', 'half a note');
  const before = await page.innerText('#live');
  const undone = live.rest.findIndex((line) => line.includes('"to":"undone"')) + 1;
  await appendFile(live.log, `${live.rest.slice(0, undone).join('\n')}\n`);
  await page.waitForFunction((old) => document.getElementById('live').innerText !== old, before);
  if (!(await page.isVisible('.halt button'))) report('the halt closes while somebody reads it');
  // The form that skips an attack names the one that is next, also once the page's own has begun.
  const armed = live.rest.findIndex((line) => line.includes('"event":"armed","attack":1')) + 1;
  await appendFile(live.log, `${live.rest.slice(undone, armed).join('\n')}\n`);
  await page.waitForFunction(() => document.getElementById('skip').value === '3')
    .catch(() => report('the form to skip an attack names one that has begun'));
  await appendFile(live.log, `${live.rest.slice(armed).join('\n')}\n`);
  live.release();
  await page.waitForFunction(() => document.getElementById('news').textContent.startsWith('The run is over.'));
  if ((await page.inputValue('textarea')) !== 'half a note') report('the end of the run throws a note away');
}

/** Opens a page, and reports what is wrong with it. */
async function visit(page, view, path, report) {
  const answer = await page.goto(path, { waitUntil: 'load' });
  await inspect(page, view, path, report);
  return answer;
}

async function inspect(page, view, path, report) {
  // What can be opened is looked at open.
  await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; })).catch(() => {});
  const told = (kind) => (text) => report(`${view.name}, ${path}: ${kind}: ${text}`);
  for (const text of (await page.evaluate(look, view.width)).wide) told('wide')(text);
  if (view.options.javaScriptEnabled === false) return;
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: values, resultTypes: ['violations'] }), TAGS);
  for (const { id, help, nodes } of violations) {
    told('axe')(`${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', ')}`);
  }
  const small = await page.evaluate(() => [...document.querySelectorAll('button, nav a, summary, input:not([type=hidden]), select')]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43.5).map((one) => one.textContent.trim() || one.name));
  for (const text of small) told('small')(`“${text}” is less than 44 px high`);
}

/** Writes a note with the keyboard alone and a finding, closes that, and lets somebody in. */
async function act(page, view, run, report) {
  await page.goto(`/runs/${run}`);
  await page.focus('textarea');
  await page.keyboard.type('the pager rang <b>twice</b>');
  await page.keyboard.press('Tab');
  await Promise.all([page.waitForURL('**?done=note'), page.keyboard.press('Enter')]);
  const text = await page.innerText('main');
  if (!text.includes('The note is written.') || !text.includes('the pager rang <b>twice</b>')) report('a note is not shown as it was written');
  await page.fill('#text', 'nobody was <b>paged</b>');
  await page.selectOption('#severity', 'high');
  await Promise.all([page.waitForURL('**?done=finding'), page.click('text=Write it as a finding')]);
  await page.locator('ol.notes a', { hasText: 'Finding' }).first().click();
  await page.waitForURL('**/findings/f-*');
  await page.fill('#owner', 'payments');
  await page.fill('#follow_up', 'friday of 2026-12-18');
  await Promise.all([page.waitForURL('**?done=set'), page.click('text="Save"')]);
  const found = await page.innerText('main');
  if (!found.includes('nobody was <b>paged</b>') || (await page.inputValue('#owner')) !== 'payments') report('a finding is not shown as it was written');
  if ((await page.inputValue('#severity')) !== 'high') report('a finding loses its severity');
  await visit(page, view, new URL(page.url()).pathname, report);
  await Promise.all([page.waitForURL('**?done=set'), page.click('text=Save and close')]);
  if (!(await page.innerText('main')).includes('Save and open again')) report('a finding is not closed');
  await page.goto('/people');
  await page.fill('#name', 'vera');
  await page.selectOption('#role', 'viewer');
  await Promise.all([page.waitForURL('**/people/links'), page.click('text=Make a login link')]);
  return page.innerText('.copy');
}

/** Starts a game day outside of its schedule. Nobody has agreed, so it is not held. */
async function startNow(page, report) {
  await page.goto('/calendar');
  const start = page.locator('details.act', { hasText: 'Start friday' });
  await start.locator('summary').click();
  await Promise.all([page.waitForURL('**/calendar?done=start'), start.locator('button').click()]);
  if (!(await page.innerText('main')).includes('The game day is asked to start.')) report('a start is not shown');
}

/** Agrees to the next start, and skips the one after it. */
async function decide(page, name, report) {
  await page.goto('/calendar');
  await Promise.all([page.waitForURL('**/calendar?done=agree'), page.locator('form[action$="/agree"] button').first().click()]);
  const agreed = await page.innerText('main');
  if (!agreed.includes('Your agreement is written.') || !agreed.match(new RegExp(`of 2 agreed \\([^)]*${name}`))) report('an agreement is not shown');
  const skip = page.locator('details.act').nth(1);
  await skip.locator('summary').click();
  await skip.locator('input').fill(`${name} sees <b>smoke</b>`);
  await Promise.all([page.waitForURL('**/calendar?done=skip'), skip.locator('button').click()]);
  if (!(await page.innerText('main')).includes(`not held: skipped by ${name}: ${name} sees <b>smoke</b>`)) report('a skip is not shown with its reason');
}

/** Returns the address that a page links with these words. */
async function linked(page, path, words) {
  await page.goto(path);
  return page.locator('main a', { hasText: words }).first().getAttribute('href');
}

/** Chooses with the keyboard what a scenario is planned for. */
async function plan(page, report) {
  await page.goto(await linked(page, '/scenarios', 'demo'));
  const before = await page.innerText('#plan ~ form select option:checked');
  await page.focus('#with');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  await Promise.all([page.waitForURL('**?with=**'), page.keyboard.press('Enter')]);
  const after = await page.innerText('#plan ~ form select option:checked');
  if (before === after) report('the choice of a fleet is not kept');
  const text = await page.innerText('main');
  for (const part of ['no host was asked', 'Touches ', 'put back by the host’s agent']) {
    if (!text.includes(part)) report(`a plan does not say “${part}”`);
  }
}

/** Asks the hosts of a fleet, none of which answers. */
async function ask(page, view, fleet, report) {
  await page.goto(fleet);
  await Promise.all([page.waitForURL('**?done=ask'), page.click('text=Ask the hosts')]);
  const text = await page.innerText('main');
  if (!text.includes('0 of 6 answered') || !text.includes('Unknown: edge1, app1')) report('hosts that did not answer are not named');
  if (text.includes('nothing in force')) report('a host that did not answer is taken for well');
  await inspect(page, view, fleet, report);
}

async function main([firedrill, reports, pictures]) {
  if (!firedrill || !reports) {
    console.error('usage: node room.mjs FIREDRILL REPORTS [PICTURES]');
    return 2;
  }
  const wrong = [];
  const report = (text) => wrong.push(text);
  const run = (await readdir(reports)).filter((name) => /^\d{8}-/.test(name)).sort()[0];
  const state = await mkdtemp(join(tmpdir(), 'firedrill-room-'));
  let live = await begin(reports, run);
  const room = await serve(resolve(firedrill), resolve(reports), state);
  const browser = await start();
  try {
    for (const name of SEEN) {
      const view = { ...VIEWS[name], options: { ...VIEWS[name].options, baseURL: room.origin } };
      const { context, page } = await open(browser, view);
      let expected = '';
      page.on('console', (message) => message.type() === 'error' && !expected && report(`${view.name}: ${message.text()}`));
      page.on('pageerror', (error) => report(`${view.name}: ${error.message}`));
      page.on('request', (request) => request.url().startsWith(room.origin) || request.url().startsWith('data:') || report(`it asks for ${request.url()}`));
      await visit(page, view, '/login', report);
      await visit(page, view, room.link(name, 'admin'), report);
      await Promise.all([page.waitForURL(`${room.origin}/`), page.click('button')]);
      const fleet = await linked(page, '/fleets', 'fleet.toml');
      const pages = { [await linked(page, '/scenarios', 'demo')]: 'scenario', [await linked(page, '/scenarios', 'broken')]: 'broken', [fleet]: 'fleet' };
      for (const path of ['/', '/runs', `/runs/${run}`, `/runs/${LIVE}`, '/calendar', '/calendar/friday', '/scenarios', '/fleets', ...Object.keys(pages), '/findings', '/history', '/messages', '/people', '/passkeys', '/audit']) {
        await visit(page, view, path, report);
        if (pictures) await page.screenshot({ path: join(pictures, `${name}${(pages[path] ? `_${pages[path]}` : path).replace(run, 'run').replace(LIVE, 'live').replaceAll('/', '_')}.png`), fullPage: true });
      }
      expected = 'a page that is not there is an error of the console';
      if ((await visit(page, view, '/runs/nothing', report)).status() !== 404) report('a run that is not there has a page');
      expected = '';
      if (name === 'desk' || name === 'phone') {
        const link = await act(page, view, run, report);
        const other = await open(browser, view);
        await other.page.goto(link);
        await Promise.all([other.page.waitForURL(`${room.origin}/`), other.page.click('button')]);
        await other.page.goto(`/runs/${run}`);
        if (await other.page.locator('textarea, .halt, #skip').count()) report('a viewer is shown what takes an operator');
        await other.page.goto(fleet);
        if (await other.page.locator('form[action$="/ask"]').count()) report('a viewer is shown how to ask hosts');
        await other.page.goto(`/runs/${run}/report`);
        const reach = await other.page.evaluate(() => fetch('/people').then(() => 'reached', () => 'not reached'));
        if (reach !== 'not reached') report('the script of a report reaches the control room');
        await other.context.close();
        await decide(page, name, report);
        await startNow(page, report);
        await plan(page, report);
        await ask(page, view, fleet, report);
        if (pictures) await page.screenshot({ path: join(pictures, `${name}_asked.png`), fullPage: true });
        await visit(page, view, '/calendar', report);
      }
      if (name === 'desk' || name === 'phoneDark') {
        await watch(page, live, report);
        await live.end();
        live = await begin(reports, run);
      }
      await page.goto('/');
      await Promise.all([page.waitForURL('**/login'), page.click('text=Log out')]);
      await context.close();
      console.log(`${view.name}: looked at`);
    }
    const narrow = VIEWS.phone320;
    await passkeys(browser, narrow, resolve(firedrill), room, resolve(reports), state, report, async (page, path) => {
      await inspect(page, narrow, path, report);
      if (pictures) await page.screenshot({ path: join(pictures, `passkeys${path.replaceAll('/', '_')}.png`), fullPage: true });
    });
    console.log('passkeys: used');
  } finally {
    await browser.close();
    room.child.kill();
    await live.end();
    await rm(state, { recursive: true });
  }
  for (const text of wrong) console.error(`  ${text}`);
  return wrong.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${error.stack ?? error}`);
  process.exitCode = 2;
}
