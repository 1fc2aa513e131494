// Keeps the page of a run that goes on up to date. Without it, a reload shows the newest state.
(() => {
  const live = document.getElementById('live');
  const axis = document.getElementById('axis');
  const news = document.getElementById('news');
  const stage = document.getElementById('stage-said');
  if (!live?.dataset.stream || !window.EventSource) return;
  // Seconds without news after which the page says so.
  const QUIET = 10;
  let source = null;
  let last = performance.now();
  let broken = false;
  let over = false;

  const show = (place, html) => {
    // A part that somebody has scrolled stays where it was scrolled to.
    const scrolled = [...place.querySelectorAll('.scroll')].map((one) => one.scrollLeft);
    place.innerHTML = html;
    place.querySelectorAll('.scroll').forEach((one, number) => { one.scrollLeft = scrolled[number] ?? 0; });
  };

  const skip = document.getElementById('skip');
  // The form names the attack that is next.
  const aim = () => {
    const { next = '', nextName = '' } = live.querySelector('[data-next]')?.dataset ?? {};
    if (!skip || skip.value === next) return;
    skip.value = next;
    skip.form.hidden = !next;
    say(document.getElementById('skip-name'), nextName);
  };

  const step = document.getElementById('step');
  // The form names the step by hand that the run waits for.
  const ask = () => {
    const { step: number = '', stepName = '', stepText = '', stepBack = '' } = live.querySelector('[data-step]')?.dataset ?? {};
    if (!step) return;
    step.hidden = !number;
    document.getElementById('step-number').value = number;
    for (const id of ['step-done', 'step-skip']) document.getElementById(id).hidden = Boolean(stepBack);
    document.getElementById('step-back').hidden = !stepBack;
    say(document.getElementById('step-what'), stepBack ? 'Put back' : 'By hand');
    say(document.getElementById('step-name'), stepName);
    say(document.getElementById('step-text'), stepText);
  };

  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  const open = () => {
    if (source) return;
    source = new EventSource(live.dataset.stream);
    source.addEventListener('open', () => { broken = false; });
    source.addEventListener('error', () => {
      broken = true;
      // Refused: the session has ended, or has too many streams.
      if (source?.readyState === EventSource.CLOSED) close();
    });
    source.addEventListener('state', (event) => {
      last = performance.now();
      show(live, event.data);
      aim();
      ask();
      say(stage, live.querySelector('[data-stage]')?.dataset.stage ?? '');
    });
    source.addEventListener('axis', (event) => show(axis, event.data));
    source.addEventListener('over', () => {
      close();
      // The page is not loaded anew while somebody writes a note, which would be lost.
      over = true;
      if (!document.querySelector('textarea')?.value) location.replace(location.pathname);
    });
  };
  const close = () => {
    source?.close();
    source = null;
  };

  const tick = () => {
    const quiet = Math.floor((performance.now() - last) / 1000);
    const left = live.querySelector('[data-left]');
    if (left) {
      const seconds = Math.round(Number(left.dataset.left) - quiet);
      say(left, seconds >= 0 ? `${seconds} s left` : `${-seconds} s longer than planned`);
    }
    if (over) say(news, 'The run is over. Load the page anew to see how it was judged.');
    else if (broken || !source) say(news, 'The connection to the control room is lost. What is shown may be old; load the page anew.');
    else say(news, quiet >= QUIET ? `No news from the run for ${quiet} s.` : 'Live.');
  };

  // A hidden page needs no stream, and browsers allow few of them for each server.
  document.addEventListener('visibilitychange', () => (document.hidden || over ? close() : open()));
  if (!document.hidden) open();
  tick();
  setInterval(tick, 1000);
})();
