// Runs inside the page: what it shows, what sticks out of it, what is cut off.

/** Looks at the page as it is. `width` is the viewport's, in CSS pixels. */
export function look(width) {
  const ROUNDING = 1;
  const name = (element) => {
    const id = element.id ? `#${element.id}` : '';
    const classes = [...element.classList].map((one) => `.${one}`).join('');
    return `${element.tagName.toLowerCase()}${id}${classes}`;
  };
  const path = (element) => {
    const parts = [];
    for (let one = element; one && one !== document.body && parts.length < 4; one = one.parentElement) parts.unshift(name(one));
    return parts.join(' > ');
  };
  const outside = (box) => box.right > width + ROUNDING || box.left < -ROUNDING;
  // Content of a box that scrolls can be reached. A box that hides what does not fit loses it, unless it shows nothing at all.
  const reachable = (element) => {
    for (let one = element.parentElement; one && one !== document.documentElement; one = one.parentElement) {
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      if (['auto', 'scroll'].includes(style.overflowX) && one !== document.body && !outside(box)) return true;
      if (style.overflowX !== 'visible' && box.width <= 1 && box.height <= 1) return true;
    }
    return false;
  };

  const wide = [];
  const told = new Set();
  const inTold = (element) => {
    for (let one = element; one; one = one.parentElement) if (told.has(one)) return true;
    return false;
  };
  const all = document.documentElement.scrollWidth;
  if (all > width + ROUNDING) wide.push(`the page is ${all} px wide`);
  for (const element of document.body.querySelectorAll('*')) {
    // What is inside an image is the image's affair.
    if (element.ownerSVGElement) continue;
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0 || !outside(box) || inTold(element) || reachable(element)) continue;
    told.add(element);
    wide.push(`${path(element)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)} px`);
  }
  // A word that cannot be broken is wider than its element.
  const range = document.createRange();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.ownerSVGElement || !text.data.trim()) continue;
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (box.width === 0 || !outside(box) || inTold(text.parentElement) || reachable(text)) continue;
    wide.push(`the text “${text.data.trim().slice(0, 40)}” in ${path(text.parentElement)} reaches to ${Math.round(box.right)} px`);
  }

  const cut = [];
  for (const text of document.querySelectorAll('svg text')) {
    const [box, image] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
    const inside = box.left >= image.left - ROUNDING && box.right <= image.right + ROUNDING
      && box.top >= image.top - ROUNDING && box.bottom <= image.bottom + ROUNDING;
    if (!inside) cut.push(`“${text.textContent}” in ${path(text.ownerSVGElement)}`);
  }

  // Words of a chart that lie on each other, lines of what is wanted without a label, axes without a name.
  const unclear = [];
  const seen = (one) => getComputedStyle(one).display !== 'none' && one.getBoundingClientRect().width > 0;
  for (const svg of document.querySelectorAll('svg.chart')) {
    const texts = [...svg.querySelectorAll('text')].filter(seen).map((text) => ({ text, box: text.getBoundingClientRect() }));
    texts.forEach(({ text, box }, place) => {
      for (const { text: other, box: its } of texts.slice(place + 1)) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        // Boxes of letters are higher than what is drawn of them.
        if (wide > 2 && high > 5) unclear.push(`“${text.textContent}” lies on “${other.textContent}” in ${path(svg)}`);
      }
    });
    for (const goal of svg.querySelectorAll('line.goal')) {
      if (!goal.nextElementSibling?.matches('text.wanted')) unclear.push(`a line of what is wanted has no label in ${path(svg)}`);
    }
    if (svg.matches('[data-from]:not(.lanes, .heat)') && !svg.querySelector('text.name')) unclear.push(`an axis has no name in ${path(svg)}`);
  }
  // A term that a mouse explains is explained in words, too, near it.
  for (const term of document.querySelectorAll('abbr[title]')) {
    const near = term.closest('article, section')?.querySelectorAll('.terms dt') ?? [];
    const meant = [...near].find((one) => one.textContent === term.textContent)?.nextElementSibling;
    if (meant?.textContent !== term.title) unclear.push(`the term “${term.textContent}” has no meaning beside it`);
  }

  const shown = (element) => element?.checkVisibility?.({ visibilityProperty: true, opacityProperty: true }) ?? false;
  const words = (selector) => {
    const element = document.querySelector(selector);
    return shown(element) ? element.innerText.trim() : '';
  };
  const drawn = (svg) => {
    const box = svg.getBoundingClientRect();
    return shown(svg) && box.width > 100 && box.height > 50 && svg.querySelector('path[d]') !== null;
  };
  return {
    wide, cut, unclear,
    verdict: words('.badge.big').replace(/^\W+/u, ''),
    title: words('h1'),
    story: words('.story'),
    charts: [...document.querySelectorAll('svg.chart')].filter(drawn).length,
    folded: [...document.querySelectorAll('details')].filter((one) => !shown(one.querySelector('summary ~ *'))).length,
    policy: document.querySelector('meta[http-equiv="Content-Security-Policy"]')?.content ?? '',
  };
}

/** Opens everything that can be opened. */
export function unfold() {
  for (const details of document.querySelectorAll('details')) details.open = true;
}
