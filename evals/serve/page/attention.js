// Where one head looks: a square of a row for each token and a column for each token before it.

import { bars, percent, shown } from "./tokens.js";

const MOST = 6; // sources named beside the map

export class Attention {
  /** ask(layer, head, ids) gives the weights; onChange is called when they have come; onPick(index) when a row is pointed at. */
  constructor({ ask, onChange, onPick, onError }) {
    this.ask = ask;
    this.onChange = onChange;
    this.onError = onError;
    this.layer = document.querySelector("#layer");
    this.head = document.querySelector("#head");
    this.canvas = document.querySelector("#map");
    this.weights = null;
    this.asked = 0;
    for (const select of [this.layer, this.head]) select.addEventListener("change", () => this.load(this.tokens));
    const pick = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const row = Math.floor(((event.clientY - box.top) / box.height) * (this.weights?.length ?? 0));
      if (this.weights?.[row]) onPick(row);
    };
    this.canvas.addEventListener("pointermove", pick);
    this.canvas.addEventListener("click", pick);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Fill the choices for a model. */
  of({ n_layer, n_head, max_attention_tokens }) {
    this.most = max_attention_tokens;
    for (const [select, count] of [[this.layer, n_layer], [this.head, n_head]]) {
      select.replaceChildren(...Array.from({ length: count }, (_, index) => new Option(String(index), String(index))));
    }
  }

  forget() {
    this.weights = null;
    this.asked += 1;
  }

  /** Ask for the weights on these tokens, the first of them where they are too many. */
  async load(tokens) {
    this.tokens = tokens;
    this.forget();
    const mine = this.asked;
    if (tokens.length === 0) return;
    try {
      const ids = tokens.slice(0, this.most).map((token) => token.id);
      const weights = await this.ask(Number(this.layer.value), Number(this.head.value), ids);
      if (mine !== this.asked) return; // another head was chosen meanwhile
      this.weights = weights;
      this.draw();
      this.onChange();
    } catch (error) {
      if (mine === this.asked) this.onError(error);
    }
  }

  /** How much token `row` looks at token `column`, from 0 to 1. */
  weight(row, column) {
    return this.weights?.[row]?.[column] ?? 0;
  }

  /** Say where the chosen token looks. */
  say(chosen) {
    const looks = document.querySelector("#looks");
    const sources = document.querySelector("#sources");
    const row = this.weights?.[chosen ?? -1];
    if (!row) {
      looks.textContent =
        this.weights && chosen !== null ? `A map holds the first ${this.weights.length} tokens.` : "Choose a token to see where it looks.";
      sources.replaceChildren();
      return this.draw(null);
    }
    const order = row.map((share, column) => ({ share, column })).sort((a, b) => b.share - a.share).slice(0, MOST);
    looks.textContent = `From ${shown(this.tokens[chosen].text)} this head looks at:`;
    bars(
      sources,
      order.map(({ share, column }) => ({
        share,
        text: shown(this.tokens[column].text),
        note: column === chosen ? "itself" : `token ${column + 1}`,
      })),
    );
    const [first] = order;
    this.canvas.setAttribute(
      "aria-label",
      `Attention map; the chosen token looks most at token ${first.column + 1}, ${shown(this.tokens[first.column].text)}, with ${percent(first.share)}`,
    );
    return this.draw(chosen);
  }

  /** The map: the stronger the colour, the larger the weight's square root, so that small ones are seen too. */
  draw(chosen = this.marked) {
    this.marked = chosen;
    const size = this.weights?.length ?? 0;
    if (size === 0) return;
    const cell = Math.max(2, Math.ceil(600 / size));
    const side = (this.canvas.width = this.canvas.height = cell * size);
    const style = getComputedStyle(this.canvas);
    const brush = this.canvas.getContext("2d");
    brush.clearRect(0, 0, side, side);
    brush.fillStyle = style.getPropertyValue("--cool");
    this.weights.forEach((row, y) =>
      row.forEach((share, x) => {
        brush.globalAlpha = Math.sqrt(share);
        brush.fillRect(x * cell, y * cell, cell, cell);
      }),
    );
    if (chosen === null || chosen === undefined || chosen >= size) return;
    brush.globalAlpha = 1;
    brush.strokeStyle = style.getPropertyValue("--warm");
    brush.lineWidth = Math.max(2, side / 200);
    brush.strokeRect(1, chosen * cell, (chosen + 1) * cell, cell);
  }
}
