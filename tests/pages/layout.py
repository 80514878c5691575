"""Faults of a page as a browser lays it out: too wide, printed over, too small, too faint."""

import json

from tests.pages.chromium import Tab

MEASURE = r"""(() => {
  const wide = document.documentElement.clientWidth, faults = [], texts = [];
  if (document.documentElement.scrollWidth > wide) faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  const said = node => JSON.stringify(node.textContent.trim().slice(0, 30));
  const channels = color => {  // rgb(…) from 0 to 255, color(srgb …) from 0 to 1
    const found = color.match(/-?[\d.]+(e-?\d+)?/g).map(Number), scale = color.startsWith("rgb") ? 255 : 1;
    return [...found.slice(0, 3).map(one => one / scale), found[3] ?? 1]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((one, place) => one * a + under[place] * (1 - a));
  const paper = element => !element ? [1, 1, 1] :
    over(channels(getComputedStyle(element).backgroundColor), paper(element.parentElement));
  const light = color => { const [r, g, b] = color.map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || element.closest("script, style, noscript, option") || !element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const style = getComputedStyle(element), drawn = element.closest("svg");
    let clip = null, scrolls = false, layer = null;
    for (let box = element; box; box = box.parentElement) {
      const flow = getComputedStyle(box);
      if (/auto|scroll|hidden/.test(flow.overflowX)) { clip ??= box.getBoundingClientRect(); scrolls = true; }
      if (/sticky|fixed|absolute/.test(flow.position)) layer ??= box;  // it is meant to lie over others
    }
    const size = parseFloat(style.fontSize) * (drawn && element.getScreenCTM ? Math.hypot(element.getScreenCTM().a,
      element.getScreenCTM().b) : 1);
    if (size < 7) faults.push(`${said(node)} is ${size.toFixed(1)} pixels high`);
    const ink = channels(drawn ? style.fill : style.color);
    const behind = paper(drawn ? drawn.parentElement : element), seen = contrast(over(ink, behind), behind);
    if (seen < 4.5 && !element.closest(":disabled")) faults.push(`${said(node)} has a contrast of ${seen.toFixed(1)}`);
    for (const box of range.getClientRects()) {
      const outside = clip && (box.right > clip.right + 1 || box.bottom > clip.bottom + 1 || box.top < clip.top - 1);
      if (!box.width || !box.height || outside) continue;
      if (!scrolls && (box.right > wide + 1 || box.left < -1)) faults.push(`${said(node)} leaves the window`);
      const inset = 0.2 * box.height;  // a line's box is higher than its letters
      texts.push({node, layer, left: box.left + 1, right: box.right - 1, top: box.top + inset, bottom: box.bottom - inset});
    }
  }
  texts.sort((a, b) => a.top - b.top);
  texts.forEach((one, place) => {
    for (const other of texts.slice(place + 1)) {
      if (other.top >= one.bottom) break;
      if (other.node !== one.node && other.layer === one.layer && one.left < other.right && other.left < one.right)
        faults.push(`${said(one.node)} is printed over ${said(other.node)}`);
    }
  });
  return JSON.stringify([...new Set(faults)].slice(0, 12)); })()"""


def faults(tab: Tab) -> list[str]:
    """The page's faults, in words. What lies in a box that scrolls may be wider than its box."""
    found: list[str] = json.loads(tab.run(MEASURE))
    return found
