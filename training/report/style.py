"""The style sheet of a report: one column on a phone, two columns of charts on a wide screen, light or dark."""

from gpt_from_scratch.support.pages.theme import BASE

STYLE = (
    BASE
    + """
td { max-width: 40rem; overflow-wrap: anywhere; min-width: 4rem; }
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 0.75rem; }
blockquote { margin: 0; padding: 0.6rem 0.9rem; background: var(--raised); border-radius: 0.5rem; }
blockquote p { margin: 0; white-space: pre-wrap; max-width: 70ch; }
.mark { display: inline-block; margin: 0.4rem 0.5rem 0 0; font-size: 0.78rem; border: 1px solid; border-radius: 1rem;
  padding: 0 0.55rem; }
.warnings { background: var(--warn); border-radius: 0.5rem; padding: 0.1rem 1rem 0.4rem; margin-top: 1.5rem; }
.warnings h2 { margin: 0.7rem 0 0.3rem; }
.warnings ul { margin: 0.3rem 0; padding-left: 1.2rem; }
details { margin-top: 0.75rem; border-top: 1px solid var(--line); padding-top: 0.75rem; }
details + section { border-top: 1px solid var(--line); margin-top: 0.75rem; }
summary { font-size: 1.15rem; font-weight: 600; cursor: pointer; }
dl dt { color: var(--soft); }
dl dd { margin: 0 0 0.6rem; }
.tiles dd { margin: 0; }
.live::before { content: ""; display: inline-block; width: 0.6em; height: 0.6em; border-radius: 50%; margin-right: 0.45em;
  background: var(--warm); }
"""
)
