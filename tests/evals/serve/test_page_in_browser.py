"""The page in Chromium: it writes, stops, fits a phone's width, obeys its policy, and keeps its token."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from tests.evals.serve.serving import serving
from tests.pages.chromium import Tab
from tests.pages.layout import faults

WRITTEN = (
    "!document.querySelector('#write').disabled && document.querySelector('#status').textContent.includes('seed 7')"
)


STATE = """(() => { const text = name => document.querySelector(name).innerText;
    const tokens = [...document.querySelectorAll(".token")];
    return {tokens: tokens.map(one => one.textContent), chosen: tokens.findIndex(one => one.matches(".chosen")),
        card: text("#card"), rows: document.querySelectorAll("#alternatives li").length,
        sources: document.querySelectorAll("#sources li").length, error: text("#error"), status: text("#status"),
        wide: document.documentElement.scrollWidth, window: document.documentElement.clientWidth,
        paper: getComputedStyle(document.body).backgroundColor} })()"""


def write(tab: Tab, prompt: str, tokens: int) -> dict[str, Any]:
    """Fill the form as a person does, and wait for the text."""
    for field, value in (("#max-tokens", str(tokens)), ("#seed", "7"), ("#prompt", prompt)):
        tab.run(f"document.querySelector('{field}').value = ''")
        tab.click(field)
        tab.type(value)
    tab.key("Enter", modifiers=2)
    tab.until(WRITTEN)
    state: dict[str, Any] = tab.run(STATE)
    return state


def complaints(tab: Tab) -> list[Any]:
    """What the browser had to say: refused by the policy, not found, an exception."""
    of = [one["params"] for one in tab.heard if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
    return [one for one in of if one.get("entry", {}).get("level") != "verbose"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_in_a_browser(tab: Tab, url: str, checkpoint: OpenedModel, width: int, scheme: str) -> None:
    tab.heard.clear()
    tab.show(width, scheme)
    tab.go(f"{url}/")
    tab.until("document.querySelector('#head').options.length === 2")
    hostile = "<img src=x onerror=alert(1)> é"
    state = write(tab, hostile, 20)
    prompt = checkpoint.tokenizer.encode_ordinary(hostile)
    stops = (checkpoint.tokenizer.eot_token,)
    expected = generate(checkpoint.model, [prompt], 20, Sampling(temperature=0.8, seed=7, stop_tokens=stops))[0]
    assert len(state["tokens"]) == len(prompt) + len(expected)
    assert "".join(state["tokens"]).startswith("<img src=x onerror=alert(1)> ·é")
    assert tab.run("document.querySelectorAll('#tokens img').length") == 0

    (tab.hover if width > 900 else tab.click)(
        ".token:nth-child(3)"
    )  # where the card lies below, pointing would move it
    state = tab.run(STATE)
    assert state["chosen"] == 2
    assert f"token 3 of {len(state['tokens'])}, of your beginning" in state["card"]
    assert 10 <= state["rows"] <= 12 and "%" in state["card"] and "all others" in state["card"]
    tab.click(f".token:nth-child({len(prompt) + 1})")
    tab.key("ArrowRight")
    state = tab.run(STATE)
    assert state["chosen"] == len(prompt) + 1
    assert "when it was written" in state["card"]
    assert tab.run("document.activeElement.getAttribute('aria-selected')") == "true"

    tab.click("input[value=attention]")
    tab.until("document.querySelectorAll('#sources li').length === 6")
    first = tab.run("document.querySelector('#map').toDataURL()")
    tab.run(
        "{ const head = document.querySelector('#head'); head.value = '1'; head.dispatchEvent(new Event('change')); }"
    )
    tab.until(f"document.querySelector('#map').toDataURL() !== {json.dumps(first)}")
    row = attention_maps(checkpoint.model, [*prompt, *expected])[0, 1, len(prompt) + 1]
    state = tab.run(STATE)
    assert f"{100 * row.max().item():.1f} %" in state["card"]
    assert state["wide"] == state["window"] > width - 20, "the page is wider than its window"
    assert state["paper"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    assert state["error"] == ""
    assert faults(tab) == []
    assert complaints(tab) == []
    asked = [one["params"]["request"]["url"] for one in tab.heard if one.get("method") == "Network.requestWillBeSent"]
    assert asked and all(one.startswith(f"{url}/") for one in asked)


def test_it_can_be_stopped_and_says_what_went_wrong(tab: Tab, url: str) -> None:
    tab.show(1280)
    tab.go(f"{url}/")
    tab.until("document.querySelector('#head').options.length === 2")
    tab.run("document.querySelector('#max-tokens').value = '4000'")
    tab.run("document.querySelector('#seed').value = '7'")
    tab.run("document.querySelector('#temperature').value = '0'")
    tab.click("#prompt")
    tab.type("a")  # this model says thousands of tokens to it
    tab.click("#write")
    tab.until("document.querySelectorAll('.token').length > 2")
    tab.key("Escape")
    tab.until(WRITTEN)
    state = tab.run(STATE)
    assert ", stopped; " in state["status"]
    assert len(state["tokens"]) < 2000
    tab.click("#prompt")
    tab.type("b" * 100)
    tab.click("#write")
    tab.until("!document.querySelector('#error').hidden")
    assert "this model's maximum context length is 64 tokens" in tab.run(STATE)["error"]


def test_a_token_is_asked_for_and_kept_out_of_the_address(tab: Tab, folder: Path) -> None:
    with serving(folder, GPT_SERVE_TOKEN="s3cret") as (_, url):
        tab.go(f"{url}/")
        tab.until("!document.querySelector('#access').hidden")
        tab.heard.clear()
        tab.click("#secret")
        tab.type("wrong")
        tab.click("#access button")
        tab.until("document.querySelector('#error').textContent.includes('a token is needed')")
        tab.click("#secret")
        tab.type("s3cret")
        tab.click("#access button")
        tab.until("document.querySelector('#access').hidden && document.querySelector('#head').options.length === 2")
        assert write(tab, "the cat", 5)["error"] == ""
        assert tab.run("location.href") == f"{url}/"
        assert tab.run("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)") == "{}{}"
        asked = [one["params"]["request"] for one in tab.heard if one.get("method") == "Network.requestWillBeSent"]
        assert asked and not any("s3cret" in one["url"] for one in asked)
