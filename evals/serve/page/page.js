// The page: asks the server that it came from, shows what is written as it is written, and says what went wrong.

import { Attention } from "./attention.js";
import { Tokens, bars, beside, element, percent, shown } from "./tokens.js";

const ALTERNATIVES = 10;
const at = (id) => document.querySelector(`#${id}`);

let secret = ""; // the server's token, kept in this page's memory alone
let model = null;
let writing = null; // the AbortController of the answer in the making

/** Ask the server; its own words are the error's. */
async function ask(path, body, signal) {
  const headers = { "Content-Type": "application/json", ...(secret ? { Authorization: `Bearer ${secret}` } : {}) };
  const options = body === undefined ? { headers, signal } : { method: "POST", headers, signal, body: JSON.stringify(body) };
  const answer = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server does not answer: is it still running?");
  });
  if (answer.ok) return answer;
  const said = await answer.json().then((given) => given.error.message, () => `the server answered with status ${answer.status}`);
  at("access").hidden = answer.status !== 401;
  if (answer.status === 401) at("secret").focus();
  throw new Error(answer.status === 401 && !secret ? "" : said);
}

/** The JSON values of a stream of server-sent events; ends at [DONE], raises where the stream ends before. */
async function* events(answer) {
  let kept = "";
  for await (const part of pieces(answer.body.pipeThrough(new TextDecoderStream()))) {
    const lines = (kept + part).split("\n\n");
    kept = lines.pop();
    for (const line of lines) {
      const data = line.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const value = JSON.parse(data);
      if (value.error) throw new Error(value.error.message);
      yield value;
    }
  }
  throw new Error("the answer broke off");
}

/** A stream's parts; not every browser can iterate over a stream. */
async function* pieces(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

function fail(error) {
  at("error").textContent = error.message;
  at("error").hidden = error.message === "";
}

/** Learn what the server serves. */
async function open() {
  try {
    [model] = (await (await ask("/v1/models")).json()).data;
  } catch (error) {
    fail(error);
    return;
  }
  fail(new Error(""));
  at("access").hidden = true;
  at("model").textContent = document.title = shown(model.id).replaceAll("␣", " ");
  attention.of(model);
}

const tokens = new Tokens(at("tokens"), () => describe());

const attention = new Attention({
  ask: async (layer, head, ids) =>
    (await (await ask("/attention", { model: model.id, tokens: ids, layer, head })).json()).weights,
  onChange: () => describe(),
  onPick: (index) => tokens.choose(index),
  onError: fail,
});

const shading = () => document.querySelector("input[name=shading]:checked").value;

/** Say what is known of the chosen token, and shade the text. */
function describe() {
  const looking = shading() === "attention";
  const token = tokens.all[tokens.chosen ?? -1];
  at("hint").hidden = token !== undefined;
  at("one").hidden = token === undefined;
  at("likely").hidden = looking;
  at("looking").hidden = !looking;
  if (token) {
    at("chosen").textContent = shown(token.text);
    at("place").textContent = `token ${tokens.chosen + 1} of ${tokens.all.length}${token.given ? ", of your beginning" : ""}`;
    const odds = Math.exp(token.logprob);
    at("probability").replaceChildren(
      ...(token.logprob === null
        ? [element("span", "The first token: nothing comes before it.", "soft")]
        : [percent(odds), element("span", token.given ? "by the model" : "when it was written", "soft")]),
    );
    const rows = token.alternatives.map(([text, share]) => ({
      text: shown(text),
      share,
      name: text === token.text ? "own" : "",
    }));
    const rest = 1 - rows.reduce((sum, row) => sum + row.share, 0);
    if (rows.length && rest > 0.0005) rows.push({ text: "all others", share: rest, name: "rest" });
    bars(at("alternatives"), rows);
  }
  if (looking) {
    attention.say(tokens.chosen);
    tokens.shade((index) => Math.sqrt(attention.weight(tokens.chosen ?? -1, index)), true);
  } else {
    tokens.shade((index) => unsure(tokens.all[index]), false);
  }
}

/** 0 for a token that was certain or is not the model's, 1 for one that was most unlikely. */
const unsure = ({ logprob, given }) => (given || logprob === null ? 0 : Math.min(1, -logprob / 7));

function legend() {
  at("legend").textContent =
    shading() === "attention"
      ? "The stronger a token's colour, the more of the chosen token's attention it has, in the layer and head that you choose."
      : "The stronger a token's colour, the less likely the model held it: before temperature and top-p, which change what is drawn.";
}

function lookAgain() {
  legend();
  if (shading() === "attention" && !writing) attention.load(tokens.all);
  describe();
}

/** The tokens of one event, with what the server says of each. */
function read(choice, ids) {
  const { tokens: texts, token_logprobs, top_logprobs, text_offset } = choice.logprobs;
  return texts.map((text, index) => ({
    text,
    id: ids[index],
    given: index < texts.length - choice.token_ids.length,
    logprob: token_logprobs[index],
    offset: text_offset[index],
    alternatives: Object.entries(top_logprobs[index] ?? {})
      .map(([other, logprob]) => [other, Math.exp(logprob)])
      .sort((a, b) => b[1] - a[1]),
  }));
}

async function write() {
  if (writing || !model || !at("ask").reportValidity()) return;
  writing = new AbortController();
  const seed = at("seed").value === "" ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(at("seed").value);
  const wanted = {
    model: model.id,
    prompt: at("prompt").value,
    max_tokens: Number(at("max-tokens").value),
    temperature: Number(at("temperature").value),
    top_p: Number(at("top-p").value),
    seed,
    stream: true,
    echo: true,
    logprobs: ALTERNATIVES,
    return_token_ids: true,
  };
  busy(true);
  fail(new Error(""));
  tokens.clear();
  attention.forget();
  describe();
  legend();
  at("result").hidden = false;
  if (!beside.matches) at("result").scrollIntoView();
  const started = performance.now();
  let made = 0;
  let ended = "";
  const count = () => `${made} token${made === 1 ? "" : "s"}`;
  at("status").textContent = "Writing…";
  try {
    for await (const { choices: [choice] } of events(await ask("/v1/completions", wanted, writing.signal))) {
      const first = tokens.all.length;
      tokens.add(choice.text, read(choice, [...(choice.prompt_token_ids ?? []), ...choice.token_ids]));
      for (let index = first; index < tokens.all.length; index++) {
        const much = shading() === "attention" ? 0 : unsure(tokens.all[index]);
        tokens.spans[index].style.setProperty("--much", String(Math.round(70 * much)));
      }
      made += choice.token_ids.length;
      if (choice.finish_reason) ended = choice.finish_reason === "stop" ? "the text ended by itself" : "as many as you asked for";
    }
  } catch (error) {
    if (error.name === "AbortError") ended = "stopped";
    else {
      ended = "broken off";
      fail(error);
    }
  }
  const seconds = (performance.now() - started) / 1000;
  at("status").textContent = made ? `${count()}, ${ended}; ${(made / seconds).toFixed(0)} a second; seed ${seed}` : ended;
  at("result").hidden = tokens.all.length === 0;
  writing = null;
  busy(false);
  lookAgain();
}

function busy(is) {
  at("write").disabled = is;
  at("stop").disabled = !is;
  at("tokens").classList.toggle("writing", is);
}

const stop = () => writing?.abort();

for (const name of ["temperature", "top-p"]) {
  const show = () => (at(`${name}-shown`).textContent = Number(at(name).value).toFixed(2));
  at(name).addEventListener("input", show);
  show();
}
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  write();
});
at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  secret = at("secret").value;
  at("secret").value = "";
  open();
});
at("stop").addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
});
for (const choice of document.querySelectorAll("input[name=shading]")) choice.addEventListener("change", lookAgain);
open();
