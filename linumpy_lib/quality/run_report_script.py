"""What moves in the report of a run: pictures zoom, charts and ledger show the same slice, the ledger is filtered."""

from __future__ import annotations

SCRIPT = """'use strict';
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // One slice is chosen for all charts and the ledger.
  const charts = all('figure.trend').map(figure => {
    const svg = figure.querySelector('svg'), read = figure.querySelector('output');
    const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    cursor.setAttribute('class', 'cursor');
    svg.append(cursor);
    return {figure, svg, read, cursor, idle: read.textContent, at: -1, points: JSON.parse(figure.dataset.points)};
  });
  const words = {warning: ', look at this', error: ', out of range', ok: '', info: ''};
  const show = (chart, index) => {
    chart.at = index;
    const point = chart.points[index];
    if (!point) {
      chart.cursor.removeAttribute('d');
      chart.read.textContent = chart.idle;
      return;
    }
    const [id, value, status, x, y] = point;
    chart.cursor.setAttribute('d', `M${x} 8V126M${x - 5} ${y}h10`);
    const number = Number(value.toPrecision(5));
    chart.read.textContent = `slice ${id}: ${number} ${chart.figure.dataset.unit}${words[status] || ''}`;
  };
  const choose = id => {
    for (const chart of charts) show(chart, chart.points.findIndex(point => point[0] === id));
    for (const row of all('table.ledger tbody tr')) row.classList.toggle('chosen', Number(row.dataset.slice) === id);
  };
  for (const chart of charts) {
    chart.svg.addEventListener('pointermove', event => {
      const box = chart.svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * chart.svg.viewBox.baseVal.width;
      let best = 0;
      chart.points.forEach((point, k) => {
        if (Math.abs(point[3] - x) < Math.abs(chart.points[best][3] - x)) best = k;
      });
      choose(chart.points[best][0]);
    });
    chart.figure.addEventListener('keydown', event => {
      const last = chart.points.length - 1;
      const to = {ArrowRight: Math.min(last, chart.at + 1), ArrowLeft: Math.max(0, chart.at - 1), Home: 0, End: last,
        Escape: -1}[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(to < 0 ? NaN : chart.points[to][0]);
    });
  }
  for (const button of all('button.slice')) {
    button.addEventListener('click', () => choose(Number(button.closest('tr').dataset.slice)));
  }

  // The ledger and the steps show only what there is to look at, on request.
  const only = document.getElementById('only-issues');
  if (only) only.addEventListener('change', () => {
    for (const row of all('table.ledger tbody tr')) row.hidden = only.checked && row.dataset.quiet === 'yes';
  });
  const unfold = document.getElementById('unfold');
  if (unfold) unfold.addEventListener('change', () => {
    for (const part of all('details.step')) part.open = unfold.checked;
  });
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = all('details.step:not([open])');
    for (const part of opened) part.open = true;
  });
  addEventListener('afterprint', () => {
    for (const part of opened) part.open = false;
  });

  // Pictures in full size, one after another within their group.
  const dialog = document.querySelector('dialog');
  if (!dialog) return;
  const picture = dialog.querySelector('img'), caption = dialog.querySelector('output');
  const stage = dialog.querySelector('.stage');
  let group = [], at = 0;
  const look = index => {
    at = (index + group.length) % group.length;
    const small = group[at].querySelector('img');
    picture.src = small.src;
    picture.alt = small.alt;
    caption.textContent = `${small.alt} (${at + 1} of ${group.length})`;
  };
  const size = actual => {
    stage.classList.toggle('actual', actual);
    dialog.querySelector('[data-do=size]').textContent = actual ? 'Fit to window' : 'Actual size';
  };
  for (const button of all('button.zoom')) {
    button.addEventListener('click', () => {
      group = all('button.zoom', button.closest('.thumbs'));
      look(group.indexOf(button));
      size(false);
      dialog.showModal();
    });
  }
  const acts = {close: () => dialog.close(), next: () => look(at + 1), previous: () => look(at - 1),
    size: () => size(!stage.classList.contains('actual'))};
  for (const button of all('.bar button', dialog)) button.addEventListener('click', acts[button.dataset.do]);
  picture.addEventListener('click', acts.size);
  dialog.addEventListener('keydown', event => {
    if (event.key === 'ArrowRight') acts.next();
    if (event.key === 'ArrowLeft') acts.previous();
  });
  dialog.addEventListener('close', () => { if (group[at]) group[at].focus(); });
})();
"""
