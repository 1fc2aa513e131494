// Moves a cursor over all charts of a report, zooms the charts of the whole run, and filters the rows of the page. Without this
// script, the page shows everything. The script never judges and never changes a figure. Times are in milliseconds on the run's clock.
'use strict';
(() => {
  const find = (id) => document.getElementById(id);
  const [box, source] = [find('panels'), find('data')];
  if (!box || !source) return;
  const data = JSON.parse(source.textContent);
  const { left: LEFT, right: RIGHT, width: WIDTH, top: TOP, share: SHARE, between: BETWEEN, latency: LATENCY } = data.frame;
  const { metric_top: TOP_OF_METRIC, metric: METRIC } = data.frame;
  // The shortest time that a zoom shows, and the maximum number of steps of a drawn line.
  const [LEAST, MOST] = [Math.min(5000, data.end), 840];
  // The charts of the whole run, which zoom, and all charts with a time axis, which have a cursor.
  const runCharts = [...box.querySelectorAll('svg.chart')];
  const charts = [...document.querySelectorAll('svg.chart[data-from]')];
  const view = { from: 0, until: data.end, at: null };
  const filter = { attack: 0, vantage: -1, hosts: null };
  // Returns a new SVG element.
  const element = (name, more = {}, text = '') => {
    const made = document.createElementNS(box.querySelector('svg').namespaceURI, name);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const whole = () => view.from === 0 && view.until === data.end;

  // Formats of values, the same as in the rest of the report (score/format.rs).
  const percent = (share) => {
    const value = share * 100;
    for (let decimals = 1; decimals <= 4; decimals += 1) {
      const shown = Number(value.toFixed(decimals));
      if ((shown > 0 && shown < 100) || value <= 0 || value >= 100) return `${shown} %`;
    }
    return value > 50 ? 'just under 100 %' : 'just over 0 %';
  };
  const took = (us) => {
    if (us < 1e3) return `${us} µs`;
    if (us < 1e4) return `${(us / 1e3).toFixed(1)} ms`;
    if (us < 999500) return `${(us / 1e3).toFixed(0)} ms`;
    return `${(us / 1e6).toFixed(us % 1e6 === 0 ? 0 : 1)} s`;
  };
  const plain = (value) => {
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(3);
    return String(Number(value.toFixed(size >= 1000 ? 1 : size >= 1 ? 3 : 6)));
  };
  const clock = (ms, tenths = true) => {
    const two = (value) => String(Math.floor(value)).padStart(2, '0');
    const hours = Math.floor(ms / 3.6e6);
    const text = `${two((ms / 6e4) % 60)}:${two((ms / 1e3) % 60)}`;
    return `${hours > 0 ? `${hours}:` : ''}${text}${tenths ? `.${Math.floor(ms / 100) % 10}` : ''}`;
  };

  // Attributes refer to hosts and vantages by ranges of indexes: `0-3 7`. `has` is true if one of them is in the set `wanted`.
  const ranges = (text) => text.split(' ').filter(Boolean).map((range) => range.split('-').map(Number));
  const has = (text, wanted) => ranges(text).some(([first, last = first]) => {
    for (let place = first; place <= last; place += 1) if (wanted.has(place)) return true;
    return false;
  });

  /* Drawing */
  const spanOf = (svg) =>
    runCharts.includes(svg) ? [view.from, view.until] : [Number(svg.dataset.from), Number(svg.dataset.until)];
  const x = (ms) => LEFT + (RIGHT - LEFT) * clamp((ms - view.from) / (view.until - view.from), 0, 1);
  const short = (place) => Math.round(place * 10) / 10;
  // The width and the position of each label before zooming, and the path of each line.
  const widths = new WeakMap();
  const lines = new WeakMap();

  // Moves an item that lasts from one time to another, with its label, to its place in the zoomed axis.
  function stretch(item) {
    const [from, until] = [Number(item.dataset.f), Number(item.dataset.u)];
    item.classList.toggle('away', until < view.from || from > view.until);
    const bar = item.matches('rect') ? item : item.querySelector('rect');
    const [left, right] = [x(from), x(until)];
    bar.setAttribute('x', short(left));
    bar.setAttribute('width', Math.max(short(right - left), item.matches('.item') ? 3 : 1));
    const text = item.querySelector('text');
    if (!text) return;
    const lane = item.matches('.item');
    if (!widths.has(text)) widths.set(text, { width: text.getComputedTextLength(), x: text.getAttribute('x') });
    const { width, x: first } = widths.get(text);
    text.setAttribute('x', whole() ? first : short(clamp(left + (lane ? 0 : 3), LEFT, Math.max(RIGHT - width, LEFT))));
  }

  // The worst value of some steps: the lowest share or the highest latency; −1, which means no answer, is worse than any latency.
  const worst = (values, key) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return null;
    if (key === 'share' || key === 'low') return Math.min(...known);
    return known.includes(-1) ? -1 : Math.max(...known);
  };

  // Returns the path of one value of a line in the zoomed time. If there are more steps than MOST, several are drawn as one.
  function path(line, key, y) {
    const values = line[key === 'endless' ? 'p99' : key];
    const first = Math.max(Math.floor((view.from - line.from) / line.step), 0);
    const last = Math.min(Math.ceil((view.until - line.from) / line.step), values.length);
    const stride = Math.max(Math.ceil((last - first) / MOST), 1);
    let [d, joined] = ['', null];
    for (let at = first; at < last; at += stride) {
      const value = worst(values.slice(at, Math.min(at + stride, last)), key);
      const height = value === null ? null : y(value);
      if (height === null) {
        joined = null;
        continue;
      }
      const [from, until] = [at, Math.min(at + stride, last)].map((step) => short(x(line.from + step * line.step)));
      if (joined === null) d += `M${from} ${short(height)}`;
      else if (joined !== height) d += `V${short(height)}`;
      d += `H${until}`;
      joined = height;
    }
    return d;
  }

  function drawLines(svg) {
    const panel = data.panels[Number(svg.dataset.p)];
    const [floor, low, high] = [svg.dataset.floor, svg.dataset.low, svg.dataset.high].map(Number);
    const share = (value) => TOP + SHARE * (1 - clamp((value - floor) / (1 - floor), 0, 1));
    const time = (us) =>
      us < 0 ? null : TOP + SHARE + BETWEEN + LATENCY * (1 - clamp((Math.log10(Math.max(us, 1)) - low) / (high - low), 0, 1));
    for (const group of svg.querySelectorAll('g[data-l]')) {
      const place = Number(group.dataset.l);
      const strip = TOP + SHARE + BETWEEN + 2 + 5 * (place % 4);
      const heights = { share, p50: time, p99: time, endless: (us) => (us < 0 ? strip : null) };
      for (const drawn of group.querySelectorAll('path[data-k]')) {
        if (!lines.has(drawn)) lines.set(drawn, drawn.getAttribute('d'));
        const key = drawn.dataset.k;
        drawn.setAttribute('d', whole() ? lines.get(drawn) : path(panel.lines[place], key, heights[key]));
      }
    }
  }

  function drawRates(svg) {
    const log = data.logs[Number(svg.dataset.r)];
    const high = Number(svg.dataset.high);
    const y = (value) => TOP_OF_METRIC + METRIC * (1 - clamp(value / high, 0, 1));
    for (const group of svg.querySelectorAll('g[data-l]')) {
      for (const drawn of group.querySelectorAll('path[data-k]')) {
        if (!lines.has(drawn)) lines.set(drawn, drawn.getAttribute('d'));
        drawn.setAttribute('d', whole() ? lines.get(drawn) : path(log.lines[Number(group.dataset.l)], drawn.dataset.k, y));
      }
    }
  }

  function drawDots(svg) {
    const { points } = data.metrics[Number(svg.dataset.m)];
    const [low, high] = [svg.dataset.low, svg.dataset.high].map(Number);
    const y = (value) => TOP_OF_METRIC + METRIC * (1 - clamp((value - low) / (high - low), 0, 1));
    for (const drawn of svg.querySelectorAll('path[data-c]')) {
      const inside = points.filter(([at, value, counts]) =>
        value !== null && counts === Number(drawn.dataset.c) && at >= view.from && at <= view.until);
      drawn.setAttribute('d', inside.map(([at, value]) => `M${short(x(at))} ${short(y(value))}h.01`).join(''));
    }
  }

  function axis(svg) {
    const group = svg.querySelector('.axis');
    const y = Number(group.dataset.y);
    const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 86400].map((step) => step * 1000);
    // At most nine ticks; for very long runs one each week.
    const step = steps.find((length) => (view.until - view.from) / length <= 9) ?? 86400e3 * 7;
    group.replaceChildren();
    for (let tick = Math.ceil(view.from / step) * step; tick <= view.until; tick += step) {
      const place = short(x(tick));
      group.append(element('line', { class: 'tick', x1: place, x2: place, y1: y, y2: y + 4 }));
      group.append(element('text', { class: 'time', x: place, y: y + 18 }, clock(tick, false)));
    }
  }

  // Draws the charts of the whole run anew after zooming.
  function draw() {
    for (const svg of runCharts) {
      svg.querySelectorAll('[data-f]').forEach(stretch);
      if (svg.dataset.p !== undefined) drawLines(svg);
      if (svg.dataset.m !== undefined) drawDots(svg);
      if (svg.dataset.r !== undefined) drawRates(svg);
      axis(svg);
      for (const cells of svg.querySelectorAll('.cells')) {
        const columns = Number(cells.dataset.columns) / data.end;
        const [from, wide] = [view.from * columns, (view.until - view.from) * columns];
        cells.setAttribute('viewBox', `${from} 0 ${wide} ${cells.dataset.rows}`);
      }
    }
    box.dataset.from = Math.round(view.from);
    box.dataset.until = Math.round(view.until);
    find('whole').disabled = whole();
    drawCursor();
  }

  /* The cursor */
  const isShown = (panel, line) => !panelLine(panel, line)?.classList.contains('filtered');
  const panelLine = (panel, line) => box.querySelector(`svg[data-p="${panel}"] g[data-l="${line}"]`);
  const inForce = (ms) =>
    data.attacks.filter(({ fault }) => fault && fault[0] <= ms && ms < fault[1]).map(({ number, name }) => `${number} ${name}`);
  const within = (stretches, ms) => stretches.some(([from, until]) => from <= ms && ms < until);
  // A sample is about the time before it, so the text has the last sample with its time. In a gap of judged time, the text says so.
  const samplesAt = (ms) => data.metrics.map(({ name, unit, share, points, gaps }) => {
    const last = points.findLast(([at]) => at <= ms);
    const value = last?.[1];
    const figure = (number) => (share ? percent(number) : `${plain(number)}${unit && ` ${unit}`}`);
    let text = last ? `${value === null ? 'shows nothing' : figure(value)} at ${clock(last[0])}` : 'no sample before';
    if (within(gaps, ms)) text = `not known now; ${text}`;
    return { name, text, place: 'v0' };
  });
  const linesAt = (ms) => data.logs.flatMap((log, place) => log.lines.map((line, index) => {
    if (box.querySelector(`svg[data-r="${place}"] g[data-l="${index}"]`)?.classList.contains('filtered')) return null;
    const step = Math.floor((ms - line.from) / line.step);
    const [high, low] = [line.high[step] ?? null, line.low[step] ?? line.high[step]];
    const rate = low < high ? `${plain(low)} to ${plain(high)} lines/s` : `${plain(high ?? 0)} lines/s`;
    // In a gap of some hosts, or where lines may be missing, the rate is a lower limit.
    const text = high === null ? 'not read' : within([...line.more, ...line.gaps], ms) ? `at least ${rate}` : rate;
    return { name: `log ${log.name}, ${line.name}`, text, place: `v${index % 6}` };
  })).filter(Boolean);
  const valuesAt = (ms) => [...requestsAt(ms), ...samplesAt(ms), ...linesAt(ms)];
  function requestsAt(ms) {
    return data.panels.flatMap((panel, place) => panel.lines.map((line, index) => {
      if (!isShown(place, index)) return null;
      const step = Math.floor((ms - line.from) / line.step);
      const [share, p50, p99] = [line.share[step] ?? null, line.p50[step], line.p99[step]];
      const time = (us) => (us < 0 ? 'no answer' : took(us));
      const text = share === null ? 'nothing measured' : `${percent(share)} good, p50 ${time(p50)}, p99 ${time(p99)}`;
      return { name: `${panel.name}, ${line.name}`, text, place: line.counts ? `v${index % 6}` : 'vx' };
    })).filter(Boolean);
  }

  // Draws the cursor in all charts, and shows the values at its time.
  function drawCursor() {
    const readout = find('readout');
    readout.hidden = view.at === null;
    for (const svg of charts) {
      const [from, until] = spanOf(svg);
      let line = svg.querySelector('.cursor');
      const outside = view.at === null || view.at < from || view.at > until;
      if (outside) {
        line?.remove();
        continue;
      }
      if (!line) {
        line = element('line', { class: 'cursor', y1: 4, y2: svg.viewBox.baseVal.height - 22 });
        svg.append(line);
      }
      const place = short(LEFT + ((RIGHT - LEFT) * (view.at - from)) / (until - from));
      line.setAttribute('x1', place);
      line.setAttribute('x2', place);
    }
    if (view.at === null) return;
    box.dataset.at = Math.round(view.at);
    const faults = inForce(view.at);
    find('moment').textContent = clock(view.at);
    find('force').textContent = faults.length > 0 ? `in force: ${faults.join(', ')}` : 'no fault in force';
    find('values').replaceChildren(...valuesAt(view.at).map(({ name, text, place }) => {
      const [row, what, value] = ['div', 'dt', 'dd'].map((tag) => document.createElement(tag));
      what.textContent = name;
      what.className = place;
      value.textContent = text;
      row.append(what, value);
      return row;
    }));
  }
  // Writes a text for screen readers.
  const say = (text) => { find('said').textContent = text; };
  const sayValues = () =>
    say(`${clock(view.at)}, ${find('force').textContent}. ${valuesAt(view.at).map(({ name, text }) => `${name}: ${text}`).join('. ')}`);

  /* Zoom */
  // Shows the time from one moment to another, as far as the run has it.
  function zoomTo(from, until) {
    const wide = clamp(until - from, LEAST, data.end);
    view.from = Math.round(clamp(from, 0, data.end - wide));
    view.until = Math.round(view.from + wide);
    if (view.at !== null) view.at = clamp(view.at, view.from, view.until);
    draw();
  }
  // Multiplies the shown time by a factor; the cursor stays where it is.
  function zoomBy(factor) {
    const middle = view.at ?? (view.from + view.until) / 2;
    const part = (middle - view.from) / (view.until - view.from);
    const wide = clamp((view.until - view.from) * factor, LEAST, data.end);
    zoomTo(middle - wide * part, middle - wide * part + wide);
    say(`Shown from ${clock(view.from)} to ${clock(view.until)}.`);
  }
  function zoomOut() {
    zoomTo(0, data.end);
    say('The whole run is shown.');
  }
  // Moves the cursor by steps of the finest line or of a 400th of the shown time, whichever is longer.
  function move(steps) {
    const finest = Math.min(...data.panels.flatMap((panel) => panel.lines.map(({ step }) => step)), 60000);
    const step = Math.max(finest, (view.until - view.from) / 400);
    view.at = clamp(view.at === null ? (view.from + view.until) / 2 : view.at + steps * step, 0, data.end);
    if (view.at < view.from) zoomTo(view.at, view.at + view.until - view.from);
    else if (view.at > view.until) zoomTo(view.at - view.until + view.from, view.at);
    drawCursor();
    sayValues();
    // On a narrow screen the charts scroll with the cursor.
    const place = (x(view.at) / WIDTH) * box.scrollWidth;
    if (place < box.scrollLeft || place > box.scrollLeft + box.clientWidth) box.scrollLeft = place - box.clientWidth / 2;
  }
  const KEYS = {
    ArrowLeft: ({ shiftKey }) => move(shiftKey ? -10 : -1),
    ArrowRight: ({ shiftKey }) => move(shiftKey ? 10 : 1),
    Home: () => { view.at = view.from; move(0); },
    End: () => { view.at = view.until; move(0); },
    '+': () => zoomBy(0.5),
    '=': () => zoomBy(0.5),
    '-': () => zoomBy(2),
    0: zoomOut,
    Escape: () => { view.at = null; drawCursor(); say(''); },
  };
  box.addEventListener('keydown', (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(event);
  });

  /* Pointers */
  const timeAt = (event, svg) => {
    const [frame, [from, until]] = [svg.getBoundingClientRect(), spanOf(svg)];
    const place = ((event.clientX - frame.left) / frame.width) * WIDTH;
    return clamp(from + ((place - LEFT) / (RIGHT - LEFT)) * (until - from), from, until);
  };
  const chartOf = (event) => (event.target instanceof Element ? event.target.closest('svg.chart[data-from]') : null);
  let drag = null;
  const select = (from, until) => runCharts.forEach((svg) => {
    let area = svg.querySelector('.area');
    if (!area) svg.append(area = element('rect', { class: 'area', y: 4, height: svg.viewBox.baseVal.height - 26 }));
    area.setAttribute('x', short(x(Math.min(from, until))));
    area.setAttribute('width', short(Math.abs(x(until) - x(from))));
  });
  const endDrag = () => {
    drag = null;
    box.querySelectorAll('.area').forEach((area) => area.remove());
  };
  document.addEventListener('pointermove', (event) => {
    if (drag) {
      drag.until = timeAt(event, drag.svg);
      select(drag.from, drag.until);
    }
    const svg = drag?.svg ?? chartOf(event);
    if (!svg || event.pointerType === 'touch') return;
    view.at = timeAt(event, svg);
    drawCursor();
  });
  box.addEventListener('pointerdown', (event) => {
    const svg = chartOf(event);
    if (!svg || event.button !== 0 || event.pointerType === 'touch') return;
    event.preventDefault();
    box.focus({ preventScroll: true });
    drag = { svg, from: timeAt(event, svg), until: timeAt(event, svg) };
  });
  document.addEventListener('pointerup', () => {
    if (!drag) return;
    const [from, until] = [Math.min(drag.from, drag.until), Math.max(drag.from, drag.until)];
    endDrag();
    // A shorter drag is a click.
    if (x(until) - x(from) < 5) return;
    zoomTo(from, until);
    say(`Shown from ${clock(view.from)} to ${clock(view.until)}.`);
  });
  document.addEventListener('pointercancel', endDrag);
  document.addEventListener('click', (event) => {
    const svg = chartOf(event);
    if (!svg) return;
    view.at = timeAt(event, svg);
    drawCursor();
  });

  /* Filters */
  // Hides the rows, lines and items that do not match the filter, and returns a sentence about the hidden rows.
  function applyFilter() {
    const chosen = data.attacks.find(({ number }) => number === filter.attack);
    const vantage = new Set([filter.vantage]);
    let [rows, hidden] = [0, 0];
    for (const one of document.querySelectorAll('[data-a],[data-h],[data-v],[data-t]')) {
      const { a, h, v, t } = one.dataset;
      const away = (chosen && a !== undefined && Number(a) !== filter.attack)
        || (chosen?.from != null && t !== undefined && (Number(t) < chosen.from || Number(t) > chosen.until))
        || (filter.hosts && h !== undefined && !has(h, filter.hosts))
        || (filter.vantage >= 0 && v !== undefined && !has(v, vantage));
      one.classList.toggle('filtered', Boolean(away));
      if (one.matches('tr')) [rows, hidden] = [rows + 1, hidden + (away ? 1 : 0)];
    }
    const text = hidden > 0 ? `The filter hides ${hidden} of ${rows} rows.` : '';
    find('hidden').textContent = text;
    return text;
  }
  // Returns the indexes of the names that contain a text; null if the text is empty.
  const byName = (text) => {
    const wanted = text.trim().toLowerCase();
    const places = data.names.flatMap((name, place) => (name.toLowerCase().includes(wanted) ? [place] : []));
    // A complete name selects only that host: app1 does not select app10.
    const full = data.names.findIndex((name) => name.toLowerCase() === wanted);
    return wanted === '' ? null : new Set(full >= 0 ? [full] : places);
  };
  find('by-attack').addEventListener('change', ({ target }) => {
    filter.attack = Number(target.value);
    const chosen = data.attacks.find(({ number }) => number === filter.attack);
    const text = applyFilter();
    if (chosen?.from != null) zoomTo(chosen.from, chosen.until);
    else zoomTo(0, data.end);
    say(chosen ? `Attack ${chosen.number}, ${chosen.name}, is shown. ${text}` : `All attacks are shown. ${text}`);
  });
  find('by-vantage').addEventListener('change', ({ target }) => {
    filter.vantage = Number(target.value);
    say(applyFilter());
    drawCursor();
  });
  find('by-host').addEventListener('input', ({ target }) => {
    filter.hosts = byName(target.value);
    say(filter.hosts?.size === 0 ? 'No host has that name.' : applyFilter());
  });
  find('hosts-known').append(...data.names.slice(0, 2000).map((name) => new Option(name, name)));
  find('in').addEventListener('click', () => zoomBy(0.5));
  find('out').addEventListener('click', () => zoomBy(2));
  find('whole').addEventListener('click', zoomOut);
  // A browser may restore the values of inputs after a reload, but the filter begins empty.
  for (const [name, value] of [['by-attack', '0'], ['by-vantage', '-1'], ['by-host', '']]) find(name).value = value;
  find('tools').hidden = false;
  find('whole').disabled = true;
})();
