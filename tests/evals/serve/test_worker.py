"""The generation thread and the application around it: requests share forward passes, and end when they must."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from gpt_from_scratch.evals.serve import worker
from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.worker import ServedRow, Worker
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import TURN, Engine, generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.generation.scored import Generated
from gpt_from_scratch.models.gpt import GPT

PROMPT = {"model": "tiny", "prompt": "the cat"}
# At temperature 0 this model says 2,676 tokens to it, which takes a second; drawn at random, any may be the last.
LONG = {**PROMPT, "prompt": "a", "max_tokens": 4000, "temperature": 0}


class Watched(Engine):
    """An engine that counts, in its own thread, the steps from a row's arrival to its last token: no other thread's delay
    is in the count.
    """

    took: ClassVar[dict[tuple[int, ...], list[int]]] = {}
    """By prompt, the newest row last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.steps = 0
        self.came: dict[int, tuple[tuple[int, ...], int]] = {}

    def add(self, prompt: Sequence[int], *arguments: Any, **options: Any) -> int:
        number = super().add(prompt, *arguments, **options)
        self.came[number] = tuple(prompt), self.steps
        return number

    def step(self) -> list[Generated]:
        made = super().step()
        self.steps += 1
        for new in made:
            if new.finish is not None:
                prompt, came = self.came[new.row]
                self.took.setdefault(prompt, []).append(self.steps - came)
        return made


@pytest.fixture
def watched(checkpoint: OpenedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that rows with PROMPT took."""
    took: dict[tuple[int, ...], list[int]] = {}
    monkeypatch.setattr(Watched, "took", took)
    monkeypatch.setattr(worker, "Engine", Watched)
    return took.setdefault(tuple(checkpoint.tokenizer.encode(PROMPT["prompt"])), [])


def row(length: int, seed: int = 0) -> ServedRow:
    return ServedRow((1, 2, 3 + seed), length, Sampling(seed=seed))


async def tokens_of(worker: Worker, one: ServedRow) -> list[int]:
    with worker.submit([one]) as batch:
        return [new.token async for _, new in batch.tokens()]


def test_requests_at_once_share_forward_passes_and_are_as_if_alone(checkpoint: OpenedModel) -> None:
    async def run() -> tuple[list[list[int]], int]:
        worker = Worker(checkpoint, max_rows=8)
        worker.start()
        rows = await asyncio.gather(*(tokens_of(worker, row(20 + i, i)) for i in range(8)))
        worker.close()
        assert worker.active == 0
        return rows, worker.steps

    rows, steps = asyncio.run(run())
    assert rows == [generate(checkpoint.model, [[1, 2, 3 + i]], 20 + i, Sampling(seed=i))[0] for i in range(8)]
    assert steps < 120  # one after another they would be 188, all at once 27


def test_a_failure_ends_the_requests_and_not_the_server(
    checkpoint: OpenedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        worker = Worker(checkpoint)
        worker.start()
        expected = await tokens_of(worker, row(5))
        weight = checkpoint.model.wte.weight.data
        before = weight.clone()
        weight.fill_(torch.nan)
        with pytest.raises(RequestError, match="generation failed: the model's logits are not finite") as caught:
            await tokens_of(worker, row(5))
        weight.copy_(before)
        assert caught.value.status == 500
        assert worker.alive and worker.active == 0
        assert await tokens_of(worker, row(5)) == expected
        worker.close()

    asyncio.run(run())
    assert "generation failed" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_shown_and_nobody_waits_for_ever(checkpoint: OpenedModel, in_process: Callable[..., Any]) -> None:
    async def run() -> None:
        server = in_process()
        async with server.running():
            worker = server.server.worker
            refused = ServedRow((1,), 0, Sampling())  # the engine wants a length of at least 1
            with pytest.raises(RequestError, match="thread has ended"), worker.submit([refused]) as batch:
                [new async for new in batch.tokens()]
            worker._thread.join()
            assert (await server.ask("/health"))[0] == 503
            assert (await server.ask("/v1/completions", PROMPT))[0] == 500

    asyncio.run(run())


def test_the_queue_is_bounded_and_no_request_fills_it(in_process: Callable[..., Any]) -> None:
    async def run() -> None:
        server = in_process(max_rows=1, limits=ServerLimits(queue=6, rows=5))
        worker = server.server.worker
        async with server.running():
            gone = asyncio.Event()
            asked = []
            for n in (3, 1, 1, 1):  # half of six, of three, of two, and the last
                asked.append(asyncio.create_task(server.ask("/v1/completions", {**LONG, "n": n}, gone=gone)))
                before = worker.active
                while worker.active < before + n:
                    await asyncio.sleep(0.01)
                if n == 3:
                    status, headers, body = await server.ask("/v1/completions", {**PROMPT, "n": 2})
                    assert (status, headers["retry-after"]) == (429, "1")
                    assert "no room for 2 now" in json.loads(body)["error"]["message"]
            status, _, body = await server.ask("/v1/completions", PROMPT)
            assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")
            assert (await server.ask("/health"))[0] == 200
            assert (await server.ask("/v1/completions", {**PROMPT, "n": 6}))[0] == 400
            gone.set()
            await asyncio.gather(*asked)
            assert (await server.ask("/v1/completions", PROMPT))[0] == 200

    asyncio.run(run())


def test_a_small_request_is_answered_beside_64_streams_and_960_rows(
    in_process: Callable[..., Any], watched: list[int]
) -> None:
    """Within two turns, whatever the others ask for; they go on as if nobody had come between."""

    async def run() -> None:
        async with in_process(max_rows=64).running() as server:
            worker, gone = server.server.worker, asyncio.Event()
            many = {**LONG, "prompt": ["a"] * 60, "n": 16, "max_tokens": 1000}
            asked = [asyncio.create_task(server.ask("/v1/completions", many, gone=gone))]
            asked += [
                asyncio.create_task(server.ask("/v1/completions", {**LONG, "stream": True}, gone=gone))
                for _ in range(64)
            ]
            while worker.active < 1024:
                await asyncio.sleep(0.01)
            for _ in range(3):
                status, _, body = await server.ask("/v1/completions", {**PROMPT, "max_tokens": 4, "temperature": 0})
                assert status == 200 and json.loads(body)["usage"]["completion_tokens"] <= 4
            assert len(watched) == 3 and max(watched) <= 2 * TURN + 4  # behind the others: a thousand steps and more
            assert worker.active == 1024
            gone.set()
            await asyncio.gather(*asked)

    asyncio.run(run())


def test_clients_share_equally_however_many_requests_they_send(
    in_process: Callable[..., Any], watched: list[int]
) -> None:
    async def run() -> None:
        async with in_process(max_rows=4).running() as server:
            worker, gone = server.server.worker, asyncio.Event()
            asked = [
                asyncio.create_task(server.ask("/v1/completions", LONG, gone=gone, client="10.0.0.1"))
                for _ in range(200)
            ]
            while worker.active < 200:
                await asyncio.sleep(0.01)
            body = {**PROMPT, "max_tokens": 4, "temperature": 0}
            assert (await server.ask("/v1/completions", body, client="10.0.0.2"))[0] == 200
            assert len(watched) == 1 and watched[0] <= 2 * TURN + 4  # a line of 200 would have taken 50 turns
            gone.set()
            await asyncio.gather(*asked)

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_frees_its_places(in_process: Callable[..., Any], stream: bool) -> None:
    async def run() -> None:
        server = in_process(max_rows=2)
        async with server.running():
            gone = asyncio.Event()
            body = {**LONG, "n": 4, "stream": stream}
            asked = asyncio.create_task(server.ask("/v1/completions", body, gone=gone))
            while server.server.worker.steps < 3:
                await asyncio.sleep(0.01)
            gone.set()
            status, _, sent = await asked
            assert status == (200 if stream else 0)
            assert b"[DONE]" not in sent
            assert server.server.worker.active == 0
            steps = server.server.worker.steps
            await asyncio.sleep(0.1)
            assert server.server.worker.steps <= steps + 1  # the one that ran

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_has_a_deadline(in_process: Callable[..., Any], stream: bool) -> None:
    async def run() -> None:
        server = in_process(limits=ServerLimits(request_seconds=0.2))
        async with server.running():
            status, _, body = await server.ask("/v1/completions", {**LONG, "stream": stream})
            error = json.loads(body.split(b"data: ")[-1])["error"]
            assert error["message"] == "the request took longer than 0.2 s"
            assert status == (200 if stream else 408)
            assert server.server.worker.active == 0

    asyncio.run(run())


def test_a_token_where_one_is_set(in_process: Callable[..., Any]) -> None:
    async def run() -> None:
        server = in_process(token="secret")
        async with server.running():
            for given in ("", "Bearer secre", "Bearer sécret", "secret", "Basic secret", "Bearersecret", "Bearer"):
                headers = {"authorization": given}
                status, _, body = await server.ask("/v1/models", headers=headers)
                assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
            for scheme in ("Bearer", "bearer", "BEARER", "bEaReR "):
                right = {"authorization": f"{scheme} secret", "host": "any.name"}
                assert (await server.ask("/v1/models", headers=right))[0] == 200
            assert (await server.ask("/health"))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": ""}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:2"}, 403),
        ({"origin": "http://localhost:1"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(in_process: Callable[..., Any], headers: dict, status: int) -> None:
    async def run() -> None:
        found, sent, _ = await in_process().ask("/v1/models", headers=headers)
        assert found == status
        assert not any(name.startswith("access-control") for name in sent)

    asyncio.run(run())


def test_a_model_with_more_ids_than_its_tokenizer(checkpoint: OpenedModel, in_process: Any) -> None:
    """An id that only the model has is refused, never made, and does not end the generation thread."""
    size = checkpoint.tokenizer.n_vocab
    model = GPT(replace(checkpoint.model.config, vocab_size=size + 27, tie_head=False))
    with torch.no_grad():
        model.head_weight[size:] *= 100
    served = replace(checkpoint, model=model)

    async def run() -> None:
        async with in_process(served=served).running() as server:
            body = {"model": served.name, "prompt": [size + 5], "max_tokens": 1}
            status, _, text = await server.ask("/v1/completions", body)
            assert status == 400 and f"token {size + 5} is not among the tokenizer's {size}" in text.decode()
            asked = {"prompt": [1, 2], "max_tokens": 9, "temperature": 0, "logprobs": 5}
            status, _, text = await server.ask("/v1/completions", body | asked)
            assert status == 200, text
            assert json.loads(text)["choices"][0]["logprobs"]["tokens"]

    asyncio.run(run())
