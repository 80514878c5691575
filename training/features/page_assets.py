"""The style and the script of the page of features."""

from gpt_from_scratch.support.pages.theme import BASE

LEVELS = 8
"""Shades of a token's activation."""

STYLE = (
    BASE
    + """
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  align-items: start; margin-top: 1.5rem; }
.map { position: relative; }
circle { fill: var(--cool); fill-opacity: 0.6; }
circle.other { fill: var(--soft); fill-opacity: 0.4; }
circle.dim { fill-opacity: 0.08; pointer-events: none; }
circle.near, a:focus-visible circle { fill: var(--warm); fill-opacity: 1; }
#tip { position: absolute; z-index: 1; pointer-events: none; max-width: 16rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.2rem 0.5rem; font-size: 0.85rem; white-space: pre-wrap; }
.list { max-height: 34rem; overflow: auto; }
.list table { width: 100%; }
.list td { padding-right: 0.6rem; }
.list td:nth-child(n+3), .list th:nth-child(n+3) { text-align: right; }
thead th { position: sticky; top: 0; background: var(--raised); }
tr.near td { background: color-mix(in srgb, var(--warm) 15%, transparent); }
.name { display: inline-flex; flex-wrap: wrap; gap: 0.15rem 0.5rem; }
.name > span { white-space: nowrap; }
.name code { white-space: pre; background: color-mix(in srgb, var(--cool) 14%, transparent); }
.name small { color: var(--soft); margin-left: 0.2rem; }
.features { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem; }
details { margin-top: 0.75rem; }
@media (max-width: 40rem) { .list :is(th, td):nth-child(4) { display: none; } }
section h3 { color: var(--ink); margin: 1.25rem 0 0; display: flex; flex-wrap: wrap; gap: 0 0.75rem; scroll-margin-top: 4rem; }
section p { margin: 0.1rem 0 0.4rem; font-size: 0.88rem; }
.text { font: 0.85rem/1.5 ui-monospace, monospace; white-space: pre-wrap; border-left: 2px solid var(--line);
  padding-left: 0.6rem; margin: 0.3rem 0; }
"""
    + "\n".join(
        f".a{level} {{ background: color-mix(in srgb, var(--warm) {level * 7}%, transparent); }}"
        for level in range(1, LEVELS + 1)
    )
)

SCRIPT = """
"use strict";
const search = document.getElementById("search"), shown = document.getElementById("shown");
const tip = document.getElementById("tip"), map = document.querySelector(".map");
const rows = [...document.querySelectorAll(".list tbody tr")];
const features = rows.map(row => ({
  row, words: row.textContent.toLowerCase(), section: document.getElementById("feature-" + row.dataset.feature),
  dot: map.querySelector(`circle[data-feature="${row.dataset.feature}"]`)}));
function filter() {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const {row, section, dot, words: own} of features) {
    const found = words.every(word => own.includes(word));
    row.hidden = section.hidden = !found;
    dot.classList.toggle("dim", !found);
    count += found;
  }
  for (const dot of map.querySelectorAll(".other")) dot.classList.toggle("dim", words.length > 0);
  shown.textContent = count + " of " + rows.length;
}
function mark(index, is) {
  for (const one of document.querySelectorAll(`[data-feature="${index}"]`)) one.classList.toggle("near", is);
}
function label(dot) {
  tip.textContent = dot.dataset.name;
  tip.hidden = false;
  const box = map.getBoundingClientRect(), at = dot.getBoundingClientRect();
  tip.style.left = Math.max(0, Math.min(at.left - box.left, box.width - tip.offsetWidth)) + "px";
  tip.style.top = Math.max(0, at.top - box.top - tip.offsetHeight - 4) + "px";
}
const feature = target => target.closest("[data-feature]") ?? target.querySelector?.(":scope > circle[data-feature]");
for (const [on, off] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(on, ({target}) => {
    const one = feature(target);
    if (!one) return;
    mark(one.dataset.feature, true);
    if (one.matches("circle")) label(one);
  });
  document.addEventListener(off, ({target}) => {
    const one = feature(target);
    if (one) mark(one.dataset.feature, false);
    tip.hidden = true;
  });
}
search.addEventListener("input", filter);
filter();
"""
