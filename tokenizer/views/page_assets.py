"""The page's style and script. The script reads the data element and builds everything from text nodes."""

from gpt_from_scratch.support.pages.theme import BASE, COLORS

STYLE = (
    BASE
    + """
td, thead th:not(:first-child) { text-align: right; }
.steps label { display: inline-flex; align-items: center; gap: 0.5rem; } #merges { width: min(30rem, 50vw); }
output { font-variant-numeric: tabular-nums; color: var(--soft); }
#panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1rem; }
.panel { background: var(--raised); border-radius: 0.5rem; padding: 0.8rem; min-width: 0; }
.panel h3 { margin: 0 0 0.5rem; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem;
  color: var(--ink); }
.panel h3 span:last-child { color: var(--soft); font-weight: 400; }
.text { font: 0.88rem/1.9 ui-monospace, monospace; white-space: pre-wrap; }
.token { border-radius: 3px; padding: 0.1em 0; unicode-bidi: isolate; cursor: default; }
.token:hover, .token:focus { outline: 2px solid var(--ink); outline-offset: -1px; }
.hidden { font-size: 0.85em; }
#card { position: absolute; z-index: 2; max-width: min(38rem, 92vw); background: var(--paper); border: 1px solid var(--line);
  border-radius: 0.5rem; padding: 0.6rem 0.8rem; box-shadow: 0 4px 18px #0004; font-size: 0.82rem; }
#card b { font: 600 0.9rem ui-monospace, monospace; }
#card .bytes { font-family: ui-monospace, monospace; } #card ul { margin: 0.3rem 0 0; padding: 0; list-style: none; }
.ascii { color: var(--good); } .lead-byte { color: var(--bad); } .rest { color: var(--odd); }
.tree { margin-top: 0.5rem; overflow-x: auto; } .tree ul { display: flex; gap: 0.8rem; justify-content: center; }
.tree li { text-align: center; } .tree code { white-space: pre; unicode-bidi: isolate; }
.tree small { display: block; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem;
  margin-top: 1.5rem; }
.charts h2 { margin: 0; font-size: 1rem; }
figcaption { font-weight: 400; }
svg text { fill: var(--soft); font-size: 11px; } .grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.line { stroke-width: 2; background: none; }
"""
    + "\n".join(
        f".t{index} {{ background: color-mix(in srgb, {color} 26%, transparent); }}"
        f" .line.c{index} {{ stroke: {color}; }} rect.c{index} {{ fill: {color}; }}"
        for index, color in enumerate(COLORS[:6])
    )
)

SCRIPT = r"""
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const card = document.getElementById('card'), slider = document.getElementById('merges');
const made = document.getElementById('made'), panels = document.getElementById('panels');
const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/u;

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}
function hex(number, digits) { return number.toString(16).padStart(digits, '0'); }
function counted(number) { return number.toLocaleString('en'); }
function point(character) { return 'U+' + hex(character.codePointAt(0), 4).toUpperCase(); }
function escaped(character) {
  const code = character.codePointAt(0);
  return code < 0x20 ? String.fromCodePoint(0x2400 + code) : code < 0x100 ? '\\x' + hex(code, 2) : '<' + point(character) + '>';
}
// The characters of some bytes; what is not a whole character comes as its bytes, [null, bytes].
function characters(bytes) {
  const found = [];
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i], size = first < 0x80 ? 1 : first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    let end = i + 1;
    while (end < i + size && end < bytes.length && bytes[end] >= 0x80 && bytes[end] < 0xC0) end++;
    const part = bytes.slice(i, end);
    try { found.push([decoder.decode(part), part]); } catch { found.push([null, part]); }
    i = end;
  }
  return found;
}
function shown(character, part) {
  if (character === null) return Array.from(part, byte => '\\x' + hex(byte, 2)).join('');
  if (character === '\n') return '⏎';
  if (character === '\t') return '⇥';
  return hidden.test(character) ? escaped(character) : character;
}
function label(bytes) {
  const text = characters(bytes).map(([character, part]) => shown(character, part)).join('');
  return /^\p{M}/u.test(text) ? '◌' + text : text;
}

for (const panel of data.panels) {
  panel.nodes = panel.nodes.map(([id, hex, merge, left, right]) => ({
    id, merge, left, right, bytes: Uint8Array.from(hex.match(/../g) || [], pair => parseInt(pair, 16))}));
  panel.most = Math.max(0, ...panel.nodes.map(node => node.merge));
  const box = make('section', undefined, 'panel'), title = make('h3');
  panel.count = make('span');
  title.append(make('span', panel.name), panel.count);
  panel.text = make('div', undefined, 'text');
  box.append(title, panel.text);
  panels.append(box);
}
const most = Math.max(...data.panels.map(panel => panel.most));

// Once the merges up to one are made, a text's tokens are the largest nodes of its trees made by then.
function draw(panel, merges) {
  const body = document.createDocumentFragment();
  let count = 0;
  for (const token of panel.tokens) {
    const waiting = [token];
    while (waiting.length) {
      const number = waiting.pop(), node = panel.nodes[number];
      if (node.merge > merges) { waiting.push(node.right, node.left); continue; }
      const span = make('span', undefined, 'token t' + count++ % 6);
      span.tabIndex = 0;
      span.dataset.node = number;
      const text = label(node.bytes);
      for (const piece of text.split(/(⏎)/)) {
        if (piece === '⏎' && node.bytes.includes(10)) span.append(make('span', '⏎', 'hidden'), '\n');
        else if (piece) span.append(piece);
      }
      body.append(span);
    }
  }
  panel.text.replaceChildren(body);
  panel.count.textContent = counted(count) + ' tokens';
}
function redraw() {
  const merges = slider.value === '1000' ? most : Math.round(Math.expm1(slider.value / 1000 * Math.log1p(most)));
  made.textContent = counted(merges) + ' of ' + counted(most);
  card.hidden = true;
  for (const panel of data.panels) draw(panel, merges);
}

function tree(panel, number) {
  let left = 120;
  const list = make('ul'), waiting = [[list, number]];
  while (waiting.length) {
    const [parent, one] = waiting.shift(), node = panel.nodes[one], item = make('li');
    parent.append(item);
    if (left-- <= 0) { item.append(make('code', '…')); continue; }
    item.append(make('code', label(node.bytes)), make('small', node.merge ? 'merge ' + counted(node.merge) : 'id ' + node.id));
    if (node.left !== undefined) {
      const inner = make('ul');
      item.append(inner);
      waiting.push([inner, node.left], [inner, node.right]);
    }
  }
  return list;
}
function show(span) {
  const panel = data.panels[Array.from(panels.children).indexOf(span.closest('.panel'))];
  const number = Number(span.dataset.node), node = panel.nodes[number];
  const bytes = make('div', undefined, 'bytes'), list = make('ul'), box = make('div', undefined, 'tree');
  for (const byte of node.bytes.slice(0, 64))
    bytes.append(make('span', hex(byte, 2) + ' ', byte < 0x80 ? 'ascii' : byte < 0xC0 ? 'rest' : 'lead-byte'));
  for (const [character, part] of characters(node.bytes).slice(0, 12)) {
    if (character === null || character.codePointAt(0) < 0x80) continue;
    list.append(make('li', shown(character, part) + '  ' + point(character) + ' ' + (data.names[character] || '')));
  }
  box.append(tree(panel, number));
  const figures = ['id ' + node.id, node.merge ? 'merge ' + counted(node.merge) : '',
    node.bytes.length + (node.bytes.length === 1 ? ' byte' : ' bytes')];
  card.replaceChildren(make('b', label(node.bytes)), make('div', figures.filter(Boolean).join(', ')), bytes, list, box);
  card.hidden = false;
  const at = span.getClientRects()[0], wide = card.offsetWidth;
  card.style.left = Math.max(8, Math.min(at.left + scrollX, scrollX + document.documentElement.clientWidth - wide - 8)) + 'px';
  card.style.top = (at.bottom + scrollY + 6) + 'px';
}
for (const [event, handler] of [['pointerover', show], ['focusin', show]])
  panels.addEventListener(event, happening => { const span = happening.target.closest('.token'); if (span) handler(span); });
for (const event of ['pointerleave', 'focusout']) panels.addEventListener(event, () => { card.hidden = true; });
addEventListener('keydown', happening => { if (happening.key === 'Escape') card.hidden = true; });
slider.addEventListener('input', redraw);
redraw();
"""
