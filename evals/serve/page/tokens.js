// The tokens of one text: how they are drawn, which one is chosen, and what is said of it.
// Whatever comes from the model becomes text nodes and nothing else.

const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const PARTIAL = /^bytes:(\\x[0-9a-f]{2})+$/;
const escaped = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

/** Whether what is said of a token stands beside the text; below it, it may lie over the text, and pointing would move it. */
export const beside = matchMedia("(min-width: 56rem)");

/** A text for a name: blanks and hidden characters can be seen. */
export function shown(text) {
  if (PARTIAL.test(text)) return text.slice("bytes:".length);
  return text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(HIDDEN, escaped) || "∅";
}

/** A share from 0 to 1 in percent. */
export function percent(share) {
  const value = 100 * share;
  return value >= 99.95 && value < 100 ? "> 99.9 %" : value >= 0.1 ? `${value.toFixed(1)} %` : "< 0.1 %";
}

/** An element with text, of which nothing is markup. */
export function element(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

/** Bars, one a row: {text, share}, and where wanted a note beside the text and a class's name. */
export function bars(list, rows) {
  list.replaceChildren(
    ...rows.map(({ text, share, note, name }) => {
      const label = element("code", text);
      if (note) label.append(element("small", note));
      const row = element("li", "", name ?? "");
      const bar = element("b");
      bar.style.setProperty("--share", String(100 * share));
      row.append(label, element("span", percent(share)), bar);
      return row;
    }),
  );
}

export class Tokens {
  /** box: the listbox that holds them; onChoose(index, whole) is told of the chosen one, null for none. */
  constructor(box, onChoose) {
    this.box = box;
    this.onChoose = onChoose;
    this.held = null; // chosen by a click or the keyboard, so that it stays when the pointer leaves
    const at = (event) => {
      const span = event.target.closest(".token");
      return span ? this.spans.indexOf(span) : -1;
    };
    box.addEventListener("pointerover", (event) => {
      if (event.pointerType !== "touch" && beside.matches && at(event) >= 0) this.choose(at(event));
    });
    box.addEventListener("pointerleave", () => beside.matches && this.choose(this.held));
    box.addEventListener("click", (event) => at(event) >= 0 && this.hold(at(event)));
    box.addEventListener("focusin", (event) => at(event) >= 0 && this.hold(at(event)));
    box.addEventListener("keydown", (event) => this.move(event));
    this.clear();
  }

  clear() {
    this.all = []; // {text, id, given, logprob, alternatives, offset}
    this.spans = [];
    this.characters = [];
    this.chosen = this.held = null;
    this.box.replaceChildren();
  }

  /** More text, and the tokens that begin in it. */
  add(text, tokens) {
    const redraw = Math.max(0, this.all.length - 1);
    this.characters.push(...text);
    for (const token of tokens) {
      const span = element("span", "", token.given ? "token given" : "token");
      span.setAttribute("role", "option");
      span.setAttribute("aria-selected", "false");
      span.tabIndex = this.spans.length === 0 ? 0 : -1;
      this.all.push(token);
      this.spans.push(span);
      this.box.append(span);
    }
    for (let index = redraw; index < this.all.length; index++) this.draw(index);
  }

  /** A token's own part of the text; one that is a part of a character, or the end of the text, has a sign instead. */
  draw(index) {
    const token = this.all[index];
    const own = this.characters.slice(token.offset, this.all[index + 1]?.offset).join("");
    const span = this.spans[index];
    span.replaceChildren();
    if (own === "") span.append(element("i", PARTIAL.test(token.text) ? "·" : shown(token.text)));
    for (const part of own.split(/(\n|[^\S \n\t]|[\p{C}\p{Bidi_Control}])/u)) {
      if (part === "\n") span.append(element("i", "↵"), "\n");
      else if (part !== "") span.append(part.replace(/[^\P{C}\t]|\p{Bidi_Control}|[\p{Zl}\p{Zp}]/gu, escaped));
    }
    const odds = token.logprob === null ? "" : `, ${percent(Math.exp(token.logprob))}`;
    span.setAttribute("aria-label", `${shown(token.text)}${odds}`);
  }

  /** Shade every token: much(index) from 0 to 1. */
  shade(much, looked) {
    this.spans.forEach((span, index) => {
      span.classList.toggle("looked", looked);
      span.style.setProperty("--much", String(Math.round(70 * much(index))));
    });
  }

  hold(index) {
    this.held = index;
    this.choose(index);
    if (!beside.matches) this.spans[index].scrollIntoView({ block: "nearest" });
  }

  choose(index) {
    if (index === this.chosen) return;
    this.mark(this.chosen, false);
    this.chosen = index;
    this.mark(index, true);
    this.onChoose(index);
  }

  mark(index, is) {
    const span = this.spans[index ?? -1];
    span?.classList.toggle("chosen", is);
    span?.setAttribute("aria-selected", String(is));
  }

  move(event) {
    const from = this.spans.indexOf(document.activeElement);
    const last = this.spans.length - 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, ArrowUp: from - 1, ArrowDown: from + 1, Home: 0, End: last }[event.key];
    if (to === undefined || from < 0) return;
    event.preventDefault();
    const span = this.spans[Math.min(last, Math.max(0, to))];
    this.spans[from].tabIndex = -1;
    span.tabIndex = 0;
    span.focus();
  }
}
