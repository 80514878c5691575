"""Every page that the project writes, in a browser: on a telephone and a wide screen, in the light and in the dark.

One browser shows them all; its pages are made small, with the longest words and the oddest characters that they may hold.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.evals.arithmetic_eval import arithmetic_eval
from gpt_from_scratch.evals.results.report import write_index
from gpt_from_scratch.evals.results.report import write_report as write_eval_report
from gpt_from_scratch.evals.serve.page_files import FOLDER
from gpt_from_scratch.evals.tasks.arithmetic import heatmap
from gpt_from_scratch.models.dictionary.gpt_sites import Collected
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from gpt_from_scratch.support.pages.html_page import element, page
from gpt_from_scratch.support.pages.theme import BASE
from gpt_from_scratch.support.storage.files import write_text
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.views.page import write_token_page
from gpt_from_scratch.training.features.page import feature_page
from gpt_from_scratch.training.report.page import write_report
from tests.pages.chromium import Tab
from tests.pages.layout import faults

LONG = "wordwithoutaspace" * 12
ODD = f"{LONG} <b>&amp; \u202e\x1b[31m 你好 😊\n"
WINDOWS = [(width, scheme) for width in (400, 1280) for scheme in ("light", "dark")]


def a_run(folder: Path, seed: int) -> Path:
    folder.mkdir(parents=True)
    facts = {
        "name": folder.name,
        "state": "finished",
        "floor_nats_per_token": 0.33,
        "device": ODD,
        "command": ["gpt", LONG],
    }
    facts |= {"backends": [{"op": "attention", "backend": "torch", "reason": ODD}], "parameters": 10**9}
    train = {"lr": 1e-4, "grad_norm": 0.5, "tokens_per_s": 2e4, "mfu": None, "seconds": 7.0}
    scores = {"nats": 1e4, "floor_nats": 3300.0, "ratio": 1.2, "bits_per_byte": 0.2, "seconds": 9}
    lines = [{"kind": "train", "step": n, "loss": 3 / n + 0.33, **train} for n in range(1, 40)]
    lines += [{"kind": "eval", "step": n, "loss": 3 / n + 0.4, **scores} for n in (20, 39)]
    lines += [{"kind": "sample", "step": 39, "text": ODD, "prompt": "Once", "grammatical": True, "novel": False}]
    lines += [{"kind": "event", "step": 20, "message": ODD}]
    (folder / "config.json").write_text(json.dumps({"seed": seed, "data": {"source": "text", "path": LONG}, LONG: ODD}))
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{damaged\n")
    return folder


def report(folder: Path) -> Path:
    return write_report([a_run(folder / LONG[:60], 1)])


def comparison(folder: Path) -> Path:
    return write_report([a_run(folder / name, seed) for seed, name in enumerate(("one", LONG[:100]))])


def features(folder: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    sae = SparseAutoencoder(8, SparseAutoencoderConfig(n_features=24, k=4))
    codes = torch.rand(200, 24, generator=generator) * (torch.rand(200, 24, generator=generator) < 0.1)
    tokens = torch.randint(0, 20, (200,), generator=generator)
    collected = Collected(torch.zeros(200, 8), tokens, torch.arange(200) // 20)
    words = [" the", "\n", " ", ODD, LONG, "", *(f" word{n}" for n in range(14))]
    figures = [("variance explained", "0.7162"), ("text", ODD), ("loss recovered", f"-0.1 (meaningless: {ODD})")]
    write_text(folder / "f.html", feature_page(ODD, figures, sae, codes, collected, words.__getitem__, count=12))
    return folder / "f.html"


def eval_report(folder: Path) -> Path:
    result = arithmetic_eval.run_eval("echo", 4, 12)
    result.sample_results[0].error = ODD
    figures = [(one.title, one.png) for one in heatmap(result)]
    write_eval_report(result, folder / "e.html", title=ODD, figures=figures)
    return folder / "e.html"


def eval_index(folder: Path) -> Path:
    heads = ("task", "accuracy", "centred", "of")
    write_index(
        folder / "i.html", ODD, heads, [("a.html", LONG, "0.5", "0.1", "10"), ("b.html", "b", "0.5", "0.1", ODD)]
    )
    return folder / "i.html"


def tokens(folder: Path) -> Path:
    text = "Once upon a time 你好 there was a brave girl named Emma. " * 6 + ODD
    tokenizers = {"words": BytePairEncodingTokenizer.from_text(text, 400), LONG: BytePairEncodingTokenizer([])}
    write_token_page(folder / "t.html", tokenizers, text)
    return folder / "t.html"


@pytest.mark.parametrize("make", [report, comparison, features, eval_report, eval_index, tokens])
def test_nothing_leaves_the_window_or_hides_something(make: Callable[[Path], Path], tab: Tab, tmp_path: Path) -> None:
    written = make(tmp_path)
    tab.heard.clear()
    for width, scheme in WINDOWS:
        tab.show(width, scheme)
        tab.go(written.as_uri())
        for details in ("false", "true"):
            tab.run(f"document.querySelectorAll('details').forEach(one => one.open = {details})")
            assert faults(tab) == [], (width, scheme)
        paper = tab.run("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme], "the pages share one look"
    assert [one for one in tab.heard if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")] == []


@pytest.mark.parametrize(
    ("body", "style", "words"),
    [
        ([element("p", LONG)], "p { white-space: nowrap; }", "the page is"),
        ([element("p", "one"), element("p", "two")], "p { margin: 0; } p + p { margin-top: -1em; }", "is printed over"),
        ([element("p", "small")], "p { font-size: 6px; }", "is 6.0 pixels high"),
        ([element("p", "faint")], "p { color: #999; }", "has a contrast of 2.8"),
        ([element("p", "dark")], "p { color: #333; } body { background: #111; }", "has a contrast of 1."),
        ([element("svg", element("text", "tiny", y=20), viewBox="0 0 900 90")], "", "pixels high"),
    ],
)
def test_a_page_with_a_fault_is_found(body: list[str], style: str, words: str, tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page("", *body, style=style))
    tab.show(400)
    tab.go((tmp_path / "page.html").as_uri())
    assert any(words in fault for fault in faults(tab)), faults(tab)


def test_the_servers_page_has_the_colours_of_all_pages() -> None:
    colors = [re.findall(r"--(\w+): (#\w+);", text) for text in (BASE, (FOLDER / "page.css").read_text())]
    shared = {name for name, _ in colors[0]} & {name for name, _ in colors[1]}
    assert {"ink", "soft", "line", "paper", "raised", "bad", "warm", "cool"} == shared
    ours, servers = ([one for one in found if one[0] in shared] for found in colors)
    assert sorted(ours) == sorted(servers)


def test_a_features_table_can_be_searched_and_its_map_says_what_a_dot_is(tab: Tab, tmp_path: Path) -> None:
    tab.show(1280)
    tab.go(features(tmp_path).as_uri())
    rows = "[...document.querySelectorAll('tbody tr[data-feature]')].filter(one => !one.hidden)"
    assert tab.run(f"{rows}.length") == 12
    tab.click("#search")
    tab.type("word3")
    kept = tab.run(f"{rows}.map(one => one.textContent)")
    assert 0 < len(kept) < 12 and all("word3" in text for text in kept)
    assert tab.run("document.querySelector('#shown').textContent") == f"{len(kept)} of 12"
    assert tab.run("[...document.querySelectorAll('section[id]')].filter(one => !one.hidden).length") == len(kept)
    assert tab.run("document.querySelectorAll('circle:not(.dim)').length") == len(kept)
    assert tab.run("document.querySelector('#tip').hidden")
    tab.hover("a > circle:not(.dim)")
    shown = tab.run("document.querySelector('#tip').textContent")
    assert tab.run("!document.querySelector('#tip').hidden") and "feature " in shown and " word3" in shown
    number = shown.partition("feature ")[2].partition(":")[0]
    assert tab.run("[...document.querySelectorAll('tr.near')].map(one => one.dataset.feature)") == [number]
