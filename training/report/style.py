"""The style sheet of a report: one column on a telephone, two of curves on a wide screen, light or dark as the system is."""

from gpt_from_scratch.training.drawing import COLORS

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #d5dbe2; --paper: #ffffff; --raised: #f5f7f9;
  --good: #1d7a4d; --bad: #b3372f; --warn: #fff4db; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #36404c; --paper: #14181d; --raised: #1d232a;
    --good: #5cc795; --bad: #ef8f86; --warn: #3a3115; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 0.75rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 0.5rem; color: var(--soft); }
.lead { margin: 0.35rem 0 1rem; color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; margin: 0; }
.tiles div { background: var(--raised); border-radius: 0.5rem; padding: 0.6rem 0.8rem; display: flex;
  flex-direction: column; justify-content: space-between; }
.tiles dt { color: var(--soft); font-size: 0.8rem; line-height: 1.3; }
.tiles dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: 0.75rem; background: var(--raised); border-radius: 0.5rem; min-width: 0; }
figcaption { font-weight: 600; font-size: 0.9rem; margin-bottom: 0.4rem; }
svg { display: block; width: 100%; height: auto; color: var(--ink); font-family: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.88rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
td { max-width: 40rem; overflow-wrap: anywhere; min-width: 4rem; }
th { color: var(--soft); font-weight: 600; }
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 0.75rem; }
blockquote { margin: 0; padding: 0.6rem 0.9rem; background: var(--raised); border-radius: 0.5rem; }
blockquote p { margin: 0; white-space: pre-wrap; max-width: 70ch; }
.mark { display: inline-block; margin: 0.4rem 0.5rem 0 0; font-size: 0.78rem; border: 1px solid; border-radius: 1rem;
  padding: 0 0.55rem; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.warnings { background: var(--warn); border-radius: 0.5rem; padding: 0.1rem 1rem 0.4rem; margin-top: 1.5rem; }
.warnings h2 { margin: 0.7rem 0 0.3rem; }
.warnings ul { margin: 0.3rem 0; padding-left: 1.2rem; }
code { font: 0.85rem/1.5 ui-monospace, monospace; background: var(--raised); border-radius: 0.25rem; padding: 0.1rem 0.3rem; }
dl dt { color: var(--soft); }
dl dd { margin: 0 0 0.6rem; }
.key { margin-right: 1.25rem; }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 0.2em; margin-right: 0.45em; }
""" + "\n".join(f".c{index} {{ background: {color}; }}" for index, color in enumerate(COLORS))
