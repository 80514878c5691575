"""The page's style and script. The script reads the data element and builds everything from text nodes."""

STYLE = """
:root { --ink: #1b1b1f; --paper: #fff; --faint: #6b6b76; --edge: #d6d6de; --card: #fff;
  --t0: #bfdcff; --t1: #ffdf9e; --t2: #c4f0c1; --t3: #ffc9dd; --t4: #d9d0ff; --t5: #d8e3bd;
  --c0: #1f6fd6; --c1: #c25e00; --c2: #1b8a3a; --c3: #b3206b; --c4: #6a48c9; --c5: #5d6b1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf1; --paper: #16161a; --faint: #9a9aa8; --edge: #3a3a44;
  --card: #202027; --t0: #22426b; --t1: #614912; --t2: #20512a; --t3: #652b45; --t4: #40346f; --t5: #444c22;
  --c0: #6fb1ff; --c1: #ffab57; --c2: #6fd488; --c3: #ff86bd; --c4: #b6a1ff; --c5: #c5d27e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1.5rem auto;
  max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; } th, td { padding: .2rem 1rem .2rem 0; text-align: left; font-weight: 400; }
thead th { color: var(--faint); } td { font-variant-numeric: tabular-nums; text-align: right; }
thead th:not(:first-child) { text-align: right; }
.bar label { display: inline-flex; align-items: center; gap: .5rem; } #merges { width: min(30rem, 60vw); }
output { font-variant-numeric: tabular-nums; color: var(--faint); }
#panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1rem; }
.panel { border: 1px solid var(--edge); border-radius: 6px; padding: .8rem; min-width: 0; }
.panel h3 { font-size: 1rem; margin: 0 0 .5rem; display: flex; justify-content: space-between; gap: 1rem; }
.panel h3 span:last-child { color: var(--faint); font-weight: 400; }
.text { font: 14px/1.9 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.token { border-radius: 3px; padding: .1em 0; unicode-bidi: isolate; cursor: default; }
.t0 { background: var(--t0); } .t1 { background: var(--t1); } .t2 { background: var(--t2); }
.t3 { background: var(--t3); } .t4 { background: var(--t4); } .t5 { background: var(--t5); }
.token:hover, .token:focus { outline: 2px solid var(--ink); outline-offset: -1px; }
.hidden { color: var(--faint); }
#card { position: absolute; z-index: 1; max-width: min(38rem, 92vw); background: var(--card); border: 1px solid var(--edge);
  border-radius: 6px; padding: .6rem .8rem; box-shadow: 0 4px 18px #0004; font-size: 13px; }
#card b { font: 600 14px ui-monospace, monospace; }
#card .bytes { font-family: ui-monospace, monospace; } #card ul { margin: .3rem 0 0; padding: 0; list-style: none; }
.ascii { color: var(--c2); } .lead { color: var(--c3); } .rest { color: var(--c0); }
.tree { margin-top: .5rem; overflow-x: auto; } .tree ul { display: flex; gap: .8rem; justify-content: center; }
.tree li { text-align: center; } .tree code { border: 1px solid var(--edge); border-radius: 3px; padding: 0 .3em;
  white-space: pre; unicode-bidi: isolate; } .tree small { display: block; color: var(--faint); }
figure { margin: 0; max-width: 60rem; } figcaption { display: flex; gap: 1rem; flex-wrap: wrap; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; border-radius: 2px; }
.key .c0 { background: var(--c0); } .key .c1 { background: var(--c1); } .key .c2 { background: var(--c2); }
.key .c3 { background: var(--c3); } .key .c4 { background: var(--c4); } .key .c5 { background: var(--c5); }
svg { width: 100%; height: auto; } svg text { fill: var(--faint); font-size: 11px; } .grid { stroke: var(--edge); }
.line { stroke-width: 2; } .line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); }
rect.c0 { fill: var(--c0); } rect.c1 { fill: var(--c1); } rect.c2 { fill: var(--c2); } rect.c3 { fill: var(--c3); }
rect.c4 { fill: var(--c4); } rect.c5 { fill: var(--c5); }
"""

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
    bytes.append(make('span', hex(byte, 2) + ' ', byte < 0x80 ? 'ascii' : byte < 0xC0 ? 'rest' : 'lead'));
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
