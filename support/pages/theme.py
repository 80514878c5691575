"""The look of every page: one set of colours, light or dark as the system is, and the style sheet that pages share.

A page's own style follows `BASE`. The pictures of `training/drawing.py` and the server's page.css have the same colours.
"""

TRAINING, VALIDATION, FLOOR = "#d9730d", "#2f7fc1", "#8a949c"
"""The losses of the training and of the validation text, and what no model can go below, in every picture of one run."""
COLORS = ("#2f7fc1", "#d9730d", "#2e9e6b", "#c2528b", "#8b6fd6", "#a08300", "#6b7f8c", "#c0483c")
"""One for each thing (run, method) that is compared, readable on white and on black; a page names them c0, c1, …"""

BASE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #d5dbe2; --paper: #ffffff; --raised: #f5f7f9;
  --good: #1d7a4d; --bad: #b3372f; --odd: #8a5a00; --warn: #fff4db; --warm: #d9730d; --cool: #2f7fc1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #36404c; --paper: #14181d; --raised: #1d232a;
    --good: #5cc795; --bad: #ef8f86; --odd: #e0b45c; --warn: #3a3115; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 0.75rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 0.5rem; color: var(--soft); }
a { color: inherit; text-decoration-color: var(--cool); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--cool); outline-offset: 2px; }
.lead { margin: 0.35rem 0 1rem; color: var(--soft); }
.about { max-width: 46rem; margin: 0.5rem 0 1rem; }
.soft { color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.odd { color: var(--odd); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; margin: 1rem 0 0; }
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
th { color: var(--soft); font-weight: 600; }
code { font: 0.85rem/1.5 ui-monospace, monospace; background: var(--raised); border-radius: 0.25rem; padding: 0.1rem 0.3rem; }
.bar { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: center; position: sticky; top: 0; z-index: 1;
  padding: 0.6rem 0; background: var(--paper); }
input, select { font: inherit; color: inherit; }
input[type=search], select { background: var(--paper); border: 1px solid var(--line); border-radius: 0.4rem;
  padding: 0.35rem 0.6rem; min-height: 2.5rem; }
input[type=search] { flex: 1 1 12rem; min-width: 0; }
input[type=range] { accent-color: var(--cool); }
.key { margin-right: 1.25rem; }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 0.2em; margin-right: 0.45em; }
""" + "\n".join(
    f".{name} {{ background: {color}; }}"
    for name, color in (
        *((f"c{index}", color) for index, color in enumerate(COLORS)),
        *(("training", TRAINING), ("validation", VALIDATION), ("floor", FLOOR)),
    )
)
