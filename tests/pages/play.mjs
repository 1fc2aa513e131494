// Uses a report as people do: moves its cursor, zooms, filters; holds what it says against the data in the page.

const near = (one, other, by) => Math.abs(one - other) <= by;
const state = (page) => page.evaluate(() => {
  const box = document.getElementById('panels');
  const rows = [...document.querySelectorAll('#values > div')].map((row) => [row.querySelector('dt').innerText, row.querySelector('dd').innerText]);
  return {
    from: Number(box.dataset.from ?? 0), until: Number(box.dataset.until ?? NaN), at: Number(box.dataset.at ?? NaN),
    said: document.getElementById('said').textContent, rows: Object.fromEntries(rows),
    moment: document.getElementById('moment').textContent, force: document.getElementById('force').textContent,
    cursors: document.querySelectorAll('#panels .cursor').length, charts: document.querySelectorAll('#panels svg.chart').length,
    data: JSON.parse(document.getElementById('data').textContent),
  };
});

/** Says a share as the page has to, by other means than its script. */
const share = (value) => {
  const text = (value * 100).toFixed(4).replace(/\.?0+$/, '');
  const [whole, decimals = ''] = text.split('.');
  const kept = decimals.length <= 1 ? text : (value * 100).toFixed(1).replace(/\.0$/, '');
  return kept === '100' && value < 1 ? text : kept === '0' && value > 0 ? text : kept || whole;
};

/** Compares every value under the cursor with the data. */
function compare({ data, at, rows, force }, report, what) {
  for (const panel of data.panels) {
    for (const line of panel.lines) {
      const step = Math.floor((at - line.from) / line.step);
      const shown = rows[`${panel.name}, ${line.name}`];
      const wanted = line.share[step] ?? null;
      if (wanted === null) {
        if (shown !== 'nothing measured') report('cursor', `${what}: ${line.name} shows “${shown}” where nothing was measured`);
        continue;
      }
      const [, good, p50, p99] = /^(.*) % good, p50 (.*), p99 (.*)$/.exec(shown ?? '') ?? [];
      if (good !== share(wanted)) report('cursor', `${what}: ${line.name} shows ${good} % where the data has ${wanted}`);
      for (const [text, us] of [[p50, line.p50[step]], [p99, line.p99[step]]]) {
        const unit = { µs: 1, ms: 1e3, s: 1e6 }[text?.split(' ')[1]];
        const right = us < 0 ? text === 'no answer' : near(parseFloat(text) * unit, us, us * 0.06);
        if (!right) report('cursor', `${what}: ${line.name} shows “${text}” where the data has ${us} µs`);
      }
    }
  }
  for (const { name, unit, share: isShare, points, gaps } of data.metrics) {
    const last = points.findLast(([ms]) => ms <= at);
    const unknown = gaps.some(([from, until]) => from <= at && at < until);
    const shown = rows[name] ?? '';
    if (shown.startsWith('not known now; ') !== unknown) report('cursor', `${what}: ${name} shows “${shown}” where ${unknown ? 'nothing' : 'all'} is known`);
    const value = shown.replace('not known now; ', '');
    const right = !last ? value === 'no sample before'
      : last[1] === null ? value.startsWith('shows nothing at ')
        : near(parseFloat(value), last[1] * (isShare ? 100 : 1), Math.abs(last[1]) * (isShare ? 5 : 0.001)) && value.includes(`${unit} at `);
    if (!right) report('cursor', `${what}: ${name} shows “${shown}” where the data has ${JSON.stringify(last)}`);
  }
  for (const { name: log, lines } of data.logs) {
    for (const { name, from, step, high, low, more, gaps } of lines) {
      const place = Math.floor((at - from) / step);
      const shown = rows[`log ${log}, ${name}`];
      const inside = (stretches) => stretches.some(([one, other]) => one <= at && at < other);
      const numbers = [low[place] ?? high[place], high[place]];
      const unread = (high[place] ?? null) === null;
      const [, least, first, second] = /^(at least )?([\d.e+-]+)(?: to ([\d.e+-]+))? lines\/s$/.exec(shown ?? '') ?? [];
      const right = unread ? shown === 'not read'
        : near(Number(first), numbers[0], numbers[0] * 0.001) && near(Number(second ?? first), numbers[1], numbers[1] * 0.001) && Boolean(least) === (inside(more) || inside(gaps));
      if (!right) report('cursor', `${what}: log ${log}, ${name} shows “${shown}” where the data has ${unread ? 'nothing' : numbers}`);
    }
  }
  for (const { fault, name } of data.attacks) {
    const inside = fault && fault[0] <= at && at < fault[1];
    if (Boolean(inside) !== force.includes(name)) report('cursor', `${what}: it says “${force}” at ${at} ms of ${name}`);
  }
}

/** Moves the mouse over the first panel, to a time of the whole run. */
async function pointAt(page, at) {
  await page.evaluate((at) => {
      const svg = document.querySelector('#panels svg[data-p]');
      const [box, { frame, end }] = [svg.getBoundingClientRect(), JSON.parse(document.getElementById('data').textContent)];
      const x = box.left + ((frame.left + ((frame.right - frame.left) * at) / end) / frame.width) * box.width;
      svg.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, pointerType: 'mouse', clientX: x, clientY: box.top + 60 }));
  }, at);
}

async function keys(page, report) {
  await page.focus('#panels');
  await page.keyboard.press('ArrowRight');
  const first = await state(page);
  if (first.cursors !== first.charts) report('cursor', `${first.cursors} of ${first.charts} charts show the cursor`);
  compare(first, report, 'after an arrow key');
  if (!first.said.includes(first.moment)) report('cursor', `assistive technology is not told the values: “${first.said}”`);
  for (const [name, text] of Object.entries(first.rows)) {
    if (!first.said.includes(`${name}: ${text}`)) report('cursor', `assistive technology is not told “${name}: ${text}”`);
  }
  await page.keyboard.press('Shift+ArrowLeft');
  const left = await state(page);
  if (!(left.at < first.at)) report('cursor', `the left arrow moves it from ${first.at} to ${left.at} ms`);
  // The first moment of each fault is where values change.
  for (const { fault } of first.data.attacks.filter(({ fault: there }) => there).slice(0, 3)) {
    await pointAt(page, fault[0] + 1500);
    const there = await state(page);
    if (!near(there.at, fault[0] + 1500, first.data.end / 400)) report('cursor', `the mouse points at ${fault[0] + 1500} ms, the cursor is at ${there.at}`);
    compare(there, report, 'under the mouse');
  }
  await page.keyboard.press('+');
  const zoomed = await state(page);
  const whole = zoomed.data.end;
  if (!near(zoomed.until - zoomed.from, Math.max(whole / 2, 5000), 2)) report('zoom', `+ shows ${zoomed.from} to ${zoomed.until} of ${whole} ms`);
  if (!(zoomed.from <= zoomed.at && zoomed.at <= zoomed.until)) report('zoom', '+ loses the cursor');
  compare(zoomed, report, 'after a zoom');
  await page.keyboard.press('-');
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  await page.keyboard.press('0');
  const back = await state(page);
  if (back.from !== 0 || back.until !== whole) report('zoom', `0 shows ${back.from} to ${back.until} of ${whole} ms`);
}

async function drags(page, report) {
  const before = await page.evaluate(() => [...document.querySelectorAll('#panels path[data-k]')].map((one) => one.getAttribute('d')));
  const svg = page.locator('#panels svg[data-p]').first();
  await svg.scrollIntoViewIfNeeded();
  const box = await svg.boundingBox();
  const { data: { frame, end } } = await state(page);
  const x = (part) => box.x + ((frame.left + (frame.right - frame.left) * part) / frame.width) * box.width;
  await page.mouse.move(x(0.25), box.y + 80);
  await page.mouse.down();
  await page.mouse.move(x(0.4), box.y + 90, { steps: 4 });
  if ((await page.locator('#panels .area').count()) === 0) report('zoom', 'a drag shows nothing while it lasts');
  await page.mouse.move(x(0.5), box.y + 90);
  await page.mouse.up();
  const zoomed = await state(page);
  const by = end / 200;
  if (!near(zoomed.from, end * 0.25, by) || !near(zoomed.until, end * 0.5, by)) {
    report('zoom', `a drag from 25 to 50 % shows ${zoomed.from} to ${zoomed.until} of ${end} ms`);
  }
  compare(zoomed, report, 'after a drag');
  if ((await page.locator('#panels .area').count()) > 0) report('zoom', 'the dragged area stays');
  if (await page.isEnabled('#whole')) await page.click('#whole');
  const after = await page.evaluate(() => [...document.querySelectorAll('#panels path[data-k]')].map((one) => one.getAttribute('d')));
  if (JSON.stringify(after) !== JSON.stringify(before)) report('zoom', 'the whole run is drawn in another way after a zoom');
}

/** Zooms into the middle of what a panel shows most of, and looks whether what is drawn is what the data has there. */
async function lanes(page, report) {
  const { data } = await state(page);
  const wanted = data.logs.flatMap(({ lines }, log) => lines.map((line, place) => ({ log, place, line, peak: line.high.indexOf(Math.max(...line.high)) })));
  for (const { log, place, line, peak } of wanted) {
    const at = line.from + (peak + 0.5) * line.step;
    await pointAt(page, at);
    await page.focus('#panels');
    await page.keyboard.press('+');
    await page.keyboard.press('+');
    const zoomed = await state(page);
    compare(zoomed, report, `in the zoomed lane of log ${data.logs[log].name}`);
    // The highest point of the line, by the picture alone.
    const drawn = await page.evaluate(([log, place]) => {
      const svg = document.querySelector(`#panels svg[data-r="${log}"]`);
      const d = svg.querySelector(`g[data-l="${place}"] path[data-k="high"]`).getAttribute('d');
      const { frame } = JSON.parse(document.getElementById('data').textContent);
      const heights = [...d.matchAll(/M[\d.]+ ([\d.]+)|V([\d.]+)/g)].map(([, first, next]) => Number(first ?? next));
      return ((frame.metric_top + frame.metric - Math.min(...heights)) / frame.metric) * Number(svg.dataset.high);
    }, [log, place]);
    if (!near(drawn, line.high[peak], Math.max(line.high[peak] * 0.02, 0.05))) {
      report('zoom', `log ${data.logs[log].name}, ${line.name}: the highest rate is drawn at ${drawn}, the data has ${line.high[peak]}`);
    }
    await page.keyboard.press('0');
  }
  const gaps = [...data.logs.flatMap(({ lines }) => lines), ...data.metrics].flatMap((one) => one.gaps);
  for (const [from, until] of gaps.slice(0, 6)) {
    await pointAt(page, (from + until) / 2);
    compare(await state(page), report, 'in a gap');
  }
  for (const [place, { name, points }] of data.metrics.entries()) {
    const told = points.filter(([, value]) => value !== null);
    if (told.length === 0) continue;
    await pointAt(page, told[Math.floor(told.length / 2)][0]);
    await page.focus('#panels');
    await page.keyboard.press('+');
    const { from, until } = await state(page);
    const dots = await page.evaluate((place) =>
      [...document.querySelectorAll(`#panels svg[data-m="${place}"] path[data-c]`)].map((one) => one.getAttribute('d').match(/M/g)?.length ?? 0).reduce((sum, one) => sum + one, 0), place);
    const inside = told.filter(([at]) => at >= from && at <= until).length;
    if (dots !== inside) report('zoom', `${name}: ${dots} samples are drawn from ${from} to ${until} ms, the data has ${inside}`);
    await page.keyboard.press('0');
  }
}

async function filters(page, report) {
  const { data } = await state(page);
  const shown = (selector) => page.evaluate((what) =>
    // A group in an image is “visible” to checkVisibility whatever its style says.
    [...document.querySelectorAll(what)].filter((one) => one.checkVisibility() && getComputedStyle(one).display !== 'none').length, selector);
  await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
  const articles = await shown('article.card');
  const last = data.attacks.filter(({ from }) => from !== null).at(-1);
  if (last) {
    await page.selectOption('#by-attack', String(last.number));
    const one = await state(page);
    if ((await shown('article.card')) !== 1) report('filter', `of ${articles} attacks ${await shown('article.card')} are shown, not one`);
    if (!near(one.from, last.from, 5000) || !near(one.until, last.until, 5000)) report('filter', `attack ${last.number} is not zoomed to: ${one.from} to ${one.until} ms`);
    if (!one.said.includes(last.name)) report('filter', `it does not say what is shown: “${one.said}”`);
    await page.selectOption('#by-attack', '0');
    if ((await shown('article.card')) !== articles) report('filter', 'not all attacks are back');
  }
  const lines = await shown('#panels g[data-l][data-v]');
  // A line may be about several vantages; the filter is by one of them.
  const [{ chosen, own: wantedLines }] = await page.evaluate(() => {
    const places = (text) => text.split(' ').flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, more) => first + more);
    });
    const all = [...document.querySelectorAll('#panels g[data-l][data-v]')].map((one) => places(one.dataset.v));
    const chosen = all[0][0];
    return [{ chosen, own: all.filter((one) => one.includes(chosen)).length }];
  });
  await page.selectOption('#by-vantage', String(chosen));
  const own = await shown('#panels g[data-l][data-v]');
  if (own !== wantedLines) report('filter', `from ${data.names[chosen]} alone, ${own} of ${lines} lines are shown, not ${wantedLines}`);
  await page.focus('#panels');
  await page.keyboard.press('ArrowRight');
  const probes = data.panels.map(({ name }) => `${name}, `);
  const told = Object.keys((await state(page)).rows).filter((name) => probes.some((probe) => name.startsWith(probe)));
  if (told.length !== wantedLines) report('filter', `from ${data.names[chosen]} alone, the values of ${told.length} lines are shown, not ${wantedLines}`);
  await page.selectOption('#by-vantage', '-1');
  const rows = await shown('tr[data-h]');
  const host = data.attacks.flatMap(({ hosts }) => hosts.split(' ')).filter(Boolean)[0]?.split('-')[0];
  if (host !== undefined) {
    await page.fill('#by-host', data.names[Number(host)]);
    const left = await page.evaluate((place) => [...document.querySelectorAll('tr[data-h]')].filter((one) => one.checkVisibility())
      .filter((one) => !one.dataset.h.split(' ').some((range) => { const [a, b = a] = range.split('-').map(Number); return a <= place && place <= b; })).length, Number(host));
    if (left > 0) report('filter', `${left} rows of other hosts are shown`);
    const own = await shown('tr[data-h]');
    if (own === 0 || own >= rows) report('filter', `of ${rows} rows ${own} are about ${data.names[Number(host)]}`);
    // Rates of logs are filtered by host, in their lanes and under the cursor.
    const away = await page.evaluate((place) => [...document.querySelectorAll('#panels svg[data-r] g[data-l]')]
      .filter((one) => getComputedStyle(one).display !== 'none')
      .filter((one) => !one.dataset.h.split(' ').some((range) => { const [a, b = a] = range.split('-').map(Number); return a <= place && place <= b; })).length, Number(host));
    if (away > 0) report('filter', `${away} lines of logs of other hosts are shown`);
    await page.focus('#panels');
    await page.keyboard.press('ArrowRight');
    const logRows = Object.keys((await state(page)).rows).filter((name) => name.startsWith('log ')).length;
    const logLines = await shown('#panels svg[data-r] g[data-l]');
    if (logRows !== logLines) report('filter', `of ${logLines} lines of logs, the values of ${logRows} are shown`);
    await page.fill('#by-host', '');
    if ((await shown('tr[data-h]')) !== rows) report('filter', 'not all rows are back');
  }
}

/** Plays with a page; `mouse`: also drags. */
export async function play(page, report, mouse) {
  // The page over all runs has no panels.
  if ((await page.locator('#panels').count()) === 0) return;
  if (await page.locator('#tools').isHidden()) {
    report('cursor', 'its charts have no tools: the script did not run');
    return;
  }
  await keys(page, report);
  if (mouse) await drags(page, report);
  if (mouse) await lanes(page, report);
  await filters(page, report);
}
