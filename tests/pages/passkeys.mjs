// Uses passkeys as people do, with authenticators that Chromium simulates: two people register one each, have it enrolled, log in with it, and approve the attack of a run on
// a lab, whose agents want two people. Reports what is wrong.
import { spawn, execFileSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from './browser.mjs';

// Longer than a run takes on a busy machine.
const LONG = 180_000;

const fleet = (origin) => `schema = 1
[approval]
origins = ["${origin}"]
[defaults]
env = "test"
[[host]]
name = "edge1"
roles = ["edge"]
addresses = ["10.78.1.10"]
[[host]]
name = "app1"
roles = ["app"]
addresses = ["10.78.1.11"]
[[host]]
name = "app2"
roles = ["app"]
addresses = ["10.78.1.12"]
`;

const SCENARIO = `schema = 1
name = "passkeys"
hypothesis = "The shop does without one of its two hosts."
[targets.app1]
where = { name = "app1" }
[probes.door]
http = { url = "http://edge1/checkout", status = 200 }
rate = 20
timeout = "1s"
connection = "new"
from = ["coordinator"]
[objectives.users]
probe = "door"
good = "5%"
[attack_defaults]
baseline = "2s"
hold = "2s"
recovery = "2s"
settle = "0s"
[[attack]]
name = "look at the dashboard"
manual = "Look whether the dashboard is there."
timeout = "5m"
[[attack]]
name = "stop checkout"
on = "app1"
fault.service-stop = { service = "checkout" }
approve = { people = 2, expires = "10m" }
`;

const policy = (origin) => `
[policy.approval]
people = 2
means = ["passkey"]
origins = ["${origin}"]
`;

/** A person with a browser and an authenticator, logged in by a link. */
async function person(browser, view, room, origin, name, report) {
  const { context, page } = await open(browser, { ...view, options: { ...view.options, baseURL: origin } });
  page.on('pageerror', (error) => report(`passkeys: ${error.message}`));
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: {
    protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
  } });
  await page.goto(`${origin}/login${new URL(room.link(name, 'operator')).search}`);
  await Promise.all([page.waitForURL(`${origin}/`), page.click('button')]);
  return { name, context, page, verified: (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }) };
}

/** Adds a passkey, and has it enrolled with the authority. */
async function enrol({ name, page }, firedrill, pki, folder, report, inspect) {
  await page.goto('/passkeys');
  await page.fill('#passkey-name', `laptop of ${name}`);
  await Promise.all([page.waitForURL('**/passkeys?done=added'), page.click('text="Add a passkey" >> nth=-1')]);
  const enrolment = page.locator('details', { hasText: `Enrol laptop of ${name}` });
  await enrolment.locator('summary').click();
  const [download] = await Promise.all([page.waitForEvent('download'), enrolment.locator('a').click()]);
  const file = join(folder, `${name}.json`);
  await download.saveAs(file);
  const told = execFileSync(firedrill, ['pki', '--dir', pki, 'enrol', name, file], { encoding: 'utf8' });
  const fingerprint = /passkey +([0-9a-f-]+),/.exec(told)[1];
  if (!(await page.innerText('main')).includes(fingerprint)) report(`the page does not show the fingerprint ${fingerprint}`);
  await enrolment.locator('textarea').fill(await readFile(/certificate +(.*)/.exec(told)[1], 'utf8'));
  await Promise.all([page.waitForURL('**/passkeys?done=certificate'), enrolment.locator('button').click()]);
  if (!(await page.innerText('main')).includes(`${name}, until`)) report('the page does not show whose approvals a passkey gives');
  await inspect(page, '/passkeys');
}

/** Logs out, and in by passkey; first without showing that the owner is there. */
async function login({ name, page, verified }, origin, report) {
  await page.goto('/');
  await Promise.all([page.waitForURL('**/login'), page.click('text=Log out')]);
  await verified(false);
  await page.click('text=Log in by passkey');
  await page.waitForFunction(() => document.querySelector('[data-said]').textContent.startsWith('The passkey was not used'));
  await verified(true);
  await Promise.all([page.waitForURL(`${origin}/`), page.click('text=Log in by passkey')]);
  if (!(await page.innerText('.me')).includes(`${name} (operator)`)) report('a passkey logs in somebody else');
}

/** Approves the attack of a run. */
async function approve({ name, page }, run, report, inspect) {
  await page.goto(`/runs/${run}/approve`);
  if (!(await page.innerText('main')).includes('stop checkout: service-stop on app1 for 2s')) report('the page does not show what is approved');
  await inspect(page, '/runs/RUN/approve');
  await Promise.all([page.waitForURL(`**/runs/${run}?done=approve`), page.click('text="Approve by passkey"')]);
  await page.waitForFunction((text) => document.querySelector('main').innerText.includes(text), `${name} by passkey`, { timeout: LONG })
    .catch(() => report(`the page of the run does not show the approval of ${name}`));
}

/** Says on the page of a run that the step by hand is done. */
async function step({ page }, run, report, inspect) {
  await page.goto(`/runs/${run}`);
  await page.waitForFunction(() => !document.getElementById('step').hidden, null, { timeout: LONG });
  if (!(await page.innerText('#step')).includes('Look whether the dashboard is there.')) report('the page does not say what is to be done by hand');
  if (!(await page.evaluate(() => document.getElementById('step').getBoundingClientRect().bottom < window.innerHeight * 1.2))) report('the step by hand is far down on a phone');
  await inspect(page, '/runs/RUN');
  await page.fill('#step-note', 'it is <b>there</b>');
  await Promise.all([page.waitForURL('**?done=step'), page.click('#step-done')]);
  await page.waitForFunction(() => document.getElementById('step').hidden, null, { timeout: LONG }).catch(() => report('a step that is done is asked for again'));
}

/** Starts the run on a terminal, where it waits for people. Returns its folder, a wait until it asks for approval, its end, and what it said. */
async function begin(firedrill, lab, reports, folder, env) {
  const before = new Set(await readdir(reports));
  const command = `'${firedrill}' run scenario.toml --lab=${lab} --out '${reports}'`;
  const child = spawn('script', ['-qfec', command, '/dev/null'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  let over = false;
  const end = new Promise((done) => { child.once('exit', (code) => { over = true; done(code); }); });
  const early = (code) => { throw new Error(`the run ended with ${code} before it asked for approval:\n${said}`); };
  const logged = async (event) => {
    while (!over) {
      const run = (await readdir(reports)).find((one) => !before.has(one));
      const log = run ? await readFile(join(reports, run, 'events.jsonl'), 'utf8').catch(() => '') : '';
      if (log.includes(`"event":"${event}"`)) return run;
      await new Promise((again) => { setTimeout(again, 100); });
    }
    return end.then(early);
  };
  const until = (event) => Promise.race([logged(event), end.then(early)]);
  return { run: await until('step-began'), until, end, child, said: () => said };
}

/** Looks whether passkeys work from the registration to a fault that they allowed. `inspect` looks at a page. */
export async function passkeys(browser, view, firedrill, room, reports, state, report, inspect) {
  const origin = room.origin.replace('127.0.0.1', 'localhost');
  const lab = `passkeys-${process.pid}`;
  const env = { ...process.env, XDG_RUNTIME_DIR: state };
  const call = (...words) => execFileSync(firedrill, words, { cwd: state, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  await writeFile(join(state, 'fleet.toml'), fleet(origin));
  await writeFile(join(state, 'scenario.toml'), SCENARIO);
  call('lab', 'up', '--fleet', 'fleet.toml', '--name', lab);
  let run;
  try {
    call('lab', 'exec', '--name', lab, 'app1', '--', 'sh', '-c', `printf '%s' '${policy(origin)}' >>/etc/firedrill/agent.toml`);
    const pki = join(state, `firedrill-lab-${process.getuid()}-${lab}`, 'pki');
    const people = [];
    for (const name of ['ann', 'bob', 'eve']) people.push(await person(browser, view, room, origin, name, report));
    const [ann, bob, eve] = people;
    for (const one of [ann, bob]) {
      await enrol(one, firedrill, pki, state, report, inspect);
      await login(one, origin, report);
    }
    run = await begin(firedrill, lab, reports, state, env);
    await step(eve, run.run, report, inspect);
    await run.until('approval-asked');
    // A session alone approves nothing.
    await eve.page.goto(`/runs/${run.run}/approve`);
    if (!(await eve.page.innerText('main')).includes('You have no passkey that can approve')) report('somebody without a passkey is asked for one');
    const alone = await eve.page.evaluate((path) => fetch(path, { method: 'POST', body: new URLSearchParams({ statement: '{}' }) }).then((answer) => answer.status), `/runs/${run.run}/approve`);
    if (alone !== 400) report(`an approval without a passkey is answered with ${alone}`);
    await approve(ann, run.run, report, inspect);
    await approve(bob, run.run, report, inspect);
    const code = await run.end;
    const log = await readFile(join(reports, run.run, 'events.jsonl'), 'utf8');
    for (const name of ['ann', 'bob']) {
      if (!new RegExp(`"by":"${name}","yes":true,"certificate":"[0-9a-f]+","means":"passkey"`).test(log)) report(`the log has no approval of ${name} by passkey`);
    }
    if (!/"event":"step-ended".*"outcome":"done","by":"eve/.test(log)) report('the log does not have who did the step');
    if (!log.includes('"to":"in-force"')) report('the fault that two people approved was not in force');
    // On a machine that is too busy to measure, `unknown` is an honest answer.
    if (code === 3) console.log('passkeys: the run was unknown');
    else if (code !== 0) report(`the run ended with ${code}, and not held:\n${run.said()}`);
    for (const { context } of people) await context.close();
  } finally {
    run?.child.kill();
    call('lab', 'down', '--name', lab);
  }
}
