"""The page at the server's root: its files and rules, the attention behind it, and what a browser makes of it."""

import asyncio
import http.client
import json
import os
import re
import urllib.parse
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.evals.__main__ import main
from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.page_files import FILES, FOLDER
from gpt_from_scratch.evals.serve.worker import ServedRow, Worker
from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from tests.evals.serve.serving import serving

TOKENS = [1, 2, 3, 4, 5, 6, 7, 8]


LOOK = {"model": "tiny", "tokens": TOKENS, "layer": 1, "head": 1}


def get(url: str, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(url).port or 0, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


class References(HTMLParser):
    """Every address that a page names, and every attribute that would run or style something inside it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.named: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.named += [found[name] or "" for name in ("src", "href", "action", "srcset", "data") if name in found]
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in found) else []


def test_the_page_and_what_it_loads_are_the_servers_own(url: str) -> None:
    status, headers, body = get(url, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy and "http" not in policy
    references = References(body.decode())
    assert set(references.named) <= set(FILES)
    assert references.inline == []
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    for path in set(FILES) - {"/"}:
        status, headers, body = get(url, path)
        assert (status, headers["content-type"]) == (200, types[path.rpartition(".")[2]])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == policy
        outside = re.findall(
            rb"(?:https?:)?//[\w.]+\.\w+|@import|url\(|innerHTML|outerHTML|insertAdjacent|eval\(", body
        )
        assert outside in ([], [b"http://www.w3.org"]), path  # the name space of an SVG
    assert {path.name for path in FOLDER.iterdir()} == {name for name, _ in FILES.values()}


def test_only_these_files_are_served(url: str) -> None:
    for path in (
        "/page",
        "/page/",
        "/page/page.html",
        "/page/../page_files.py",
        "/page/%2e%2e/app.py",
        "//page/page.js",
    ):
        assert get(url, path)[0] == 404, path


@pytest.mark.parametrize("path", FILES)
def test_another_host_is_refused_and_a_token_is_not_needed_for_the_page_alone(
    in_process: Callable[..., Any], path: str
) -> None:
    async def run(**options: Any) -> list[int]:
        async with in_process(**options).running() as server:
            asked = [("localhost", path), ("evil.example", path), ("localhost", "/v1/models")]
            return [(await server.ask(where, headers={"host": host}))[0] for host, where in asked]

    assert asyncio.run(run()) == [200, 403, 200]
    assert asyncio.run(run(token="s3cret")) == [200, 200, 401]


def ask(in_process: Callable[..., Any], *bodies: Any, **options: Any) -> list[tuple[int, Any]]:
    """The answers to attention requests, one after another."""

    async def run() -> list[tuple[int, Any]]:
        async with in_process(**options).running() as server:
            answers = [await server.ask("/attention", body) for body in bodies]
            return [(status, json.loads(answer)) for status, _, answer in answers]

    return asyncio.run(run())


def test_the_attention_is_the_models(in_process: Callable[..., Any], checkpoint: OpenedModel) -> None:
    expected = attention_maps(checkpoint.model, TOKENS)
    places = [(layer, head) for layer in range(2) for head in range(2)]
    answers = ask(in_process, *({**LOOK, "layer": layer, "head": head} for layer, head in places))
    for (layer, head), (status, answer) in zip(places, answers, strict=True):
        assert status == 200
        assert (answer["layer"], answer["head"], answer["model"]) == (layer, head, "tiny")
        assert [len(row) for row in answer["weights"]] == [1, 2, 3, 4, 5, 6, 7, 8]
        for row, own in zip(answer["weights"], expected[layer, head], strict=True):
            torch.testing.assert_close(torch.tensor(row), own[: len(row)], atol=1e-4, rtol=0)
    torch.testing.assert_close(attention_maps(checkpoint.model, TOKENS, [1])[0], expected[1])


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"tokens": []}, 400, "tokens must be 1 to 64 integers, they are 0"),
        ({"tokens": [1] * 65}, 400, "tokens must be 1 to 64 integers, they are 65"),
        ({"tokens": "abc"}, 400, "tokens must be a list of integers"),
        ({"tokens": [True]}, 400, "tokens must be a list of integers"),
        ({"tokens": [1.0]}, 400, "tokens must be a list of integers"),
        ({"tokens": [-1]}, 400, "is not among the tokenizer's"),
        ({"tokens": [10**40]}, 400, "is not among the tokenizer's"),
        ({"layer": 2}, 400, "layer must be an integer from 0 to 1"),
        ({"layer": -1}, 400, "layer must be an integer from 0 to 1"),
        ({"head": 2}, 400, "head must be an integer from 0 to 1"),
        ({"head": "1"}, 400, "head must be an integer from 0 to 1"),
        ({"model": "gpt-4o"}, 404, "there is no model 'gpt-4o' here"),
        ({"model": None}, 400, "model must be a text"),
        ({"prompt": "a"}, 400, "there is no field 'prompt' here"),
    ],
)
def test_a_look_that_cannot_be_is_refused(
    in_process: Callable[..., Any], change: dict[str, Any], status: int, words: str
) -> None:
    ((answered, answer),) = ask(in_process, LOOK | change)
    assert answered == status
    assert words in answer["error"]["message"]


def test_a_look_is_bounded(in_process: Callable[..., Any]) -> None:
    ((status, answer),) = ask(in_process, LOOK, limits=ServerLimits(attention_tokens=7))
    assert (status, answer["error"]["message"]) == (400, "tokens must be 1 to 7 integers, they are 8")
    ((status, answer),) = ask(in_process, LOOK, limits=ServerLimits(queue=0))
    assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")


def test_looks_and_texts_do_not_disturb_each_other(checkpoint: OpenedModel) -> None:
    """Both run in one thread: the notes of a look never hold another's tokens, and a failed one fails alone."""

    def broken() -> None:
        raise RuntimeError("out of memory\nlong traceback")

    async def run() -> tuple[list[Any], list[int]]:
        worker = Worker(checkpoint)
        worker.start()

        async def written() -> list[int]:
            with worker.submit([ServedRow((1, 2, 3), 60, Sampling(seed=3))]) as batch:
                return [new.token async for _, new in batch.tokens()]

        async def look(number: int) -> Any:
            return await worker.aside(
                lambda: attention_maps(checkpoint.model, [number, *TOKENS]), f"client {number % 3}"
            )

        text = asyncio.create_task(written())
        looks = [asyncio.create_task(look(number)) for number in range(9)]
        gone = asyncio.create_task(look(9))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(RequestError, match="generation failed: out of memory") as caught:
            await worker.aside(broken)
        assert caught.value.status == 500
        made = await asyncio.gather(*looks), await text
        assert worker.active == 0
        worker.close()
        with pytest.raises(RequestError, match="the generation thread has ended"):
            await worker.aside(broken)
        return made

    looks, text = asyncio.run(run())
    for number, made in enumerate(looks):
        torch.testing.assert_close(made, attention_maps(checkpoint.model, [number, *TOKENS]))
    assert text == generate(checkpoint.model, [[1, 2, 3]], 60, Sampling(seed=3))[0]


@pytest.mark.parametrize("echo", [False, True])
def test_a_completion_names_its_tokens_where_it_is_asked(
    in_process: Callable[..., Any], checkpoint: OpenedModel, echo: bool
) -> None:
    body = {
        "model": "tiny",
        "prompt": ["the cat", "a"],
        "max_tokens": 6,
        "seed": 4,
        "echo": echo,
        "return_token_ids": True,
    }

    async def run() -> tuple[Any, bytes]:
        async with in_process().running() as server:
            whole = json.loads((await server.ask("/v1/completions", body))[2])
            return whole, (await server.ask("/v1/completions", body | {"stream": True}))[2]

    whole, streamed = asyncio.run(run())
    chunks = [json.loads(line[6:])["choices"][0] for line in streamed.decode().split("\n\n")[:-2]]
    for index, prompt in enumerate(body["prompt"]):  # type: ignore[arg-type, var-annotated]
        tokens = checkpoint.tokenizer.encode_ordinary(prompt)
        expected = generate(
            checkpoint.model, [tokens], 6, Sampling(seed=4, stop_tokens=(checkpoint.tokenizer.eot_token,))
        )[0]
        choice = whole["choices"][index]
        assert (choice["prompt_token_ids"], choice["token_ids"]) == (tokens, expected)
        own = [chunk for chunk in chunks if chunk["index"] == index]
        assert [chunk.get("prompt_token_ids") for chunk in own] == [tokens, *[None] * (len(own) - 1)]
        assert [token for chunk in own for token in chunk["token_ids"]] == expected


def test_one_model_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (([], "none were given"), ([str(folder), "--checkpoint", str(folder)], "2 were given")):
        with pytest.raises(SystemExit, match="2"):
            main(["serve", *words])
        assert f"name one model, as RUN; {said}" in capsys.readouterr().err


def test_open_opens_the_page(folder: Path, tmp_path: Path) -> None:
    """A browser of ours notes what it is given, and a pipe tells when."""
    seen = tmp_path / "seen"
    os.mkfifo(seen)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    with serving(folder, "--open", BROWSER=str(browser)) as (line, url):
        opened = seen.read_text().strip()
        assert opened == f"{url}/"
        assert f"(a page to try it: {opened};" in line
        assert get(opened, "/")[0] == 200
