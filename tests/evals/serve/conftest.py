"""A small random model, its folder, a server for it in a process of its own, and the application without a network."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from gpt_from_scratch.evals.serve.app import Server
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.worker import Worker
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE


@pytest.fixture(scope="session")
def checkpoint() -> OpenedModel:
    """Its tokens are bytes and a few merges, so that a character may be several tokens."""
    tokenizer = BytePairEncodingTokenizer.from_text("the cat sat on the mat, the hat. " * 9, 264)
    torch.manual_seed(0)
    config = GPTConfig(block_size=64, vocab_size=tokenizer.n_vocab, n_layer=2, n_head=2, n_embd=32)
    model = GPT(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return OpenedModel(model.eval(), tokenizer, "tiny")


@pytest.fixture(scope="session")
def folder(checkpoint: OpenedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    checkpoint.model.save_pretrained(folder)
    checkpoint.tokenizer.save(folder / TOKENIZER_FILE)
    return folder


@pytest.fixture(scope="session")
def url(folder: Path) -> Iterator[str]:
    """The server as a user starts it."""
    command = [sys.executable, "-m", "gpt_from_scratch.evals.serve", "--checkpoint", str(folder), "--port", "0"]
    with subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("tiny on cpu at http://127.0.0.1:"), line
        yield line.split()[4].removesuffix("/v1")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0, timeout=60) as client:
        yield client


class InProcess:
    """The application by itself: one request in, one answer out."""

    def __init__(self, server: Server, **options: Any) -> None:
        self.server, self.app = server, server.app(**options)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["InProcess"]:
        async with self.app.router.lifespan_context(self.app):
            yield self

    async def ask(
        self,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        gone: asyncio.Event | None = None,
        client: str = "127.0.0.1",
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. `gone` is set when the client hangs up."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"host": "localhost:1", **(headers or {})}
        scope = {
            "type": "http",
            "method": "GET" if body is None else "POST",
            "path": path,
            "root_path": "",
            "query_string": b"",
            "client": (client, 1),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
        messages = [{"type": "http.request", "body": data, "more_body": False}]
        answer: dict[str, Any] = {"body": b""}

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer["body"] += message["body"]

        await self.app(scope, receive, send)
        return answer.get("status", 0), answer.get("headers", {}), answer["body"]


@pytest.fixture(scope="session")
def in_process(checkpoint: OpenedModel) -> Any:
    """Makes an application; its options are those of `ServerLimits`, `Worker` and `Server.app`."""

    def make(
        *, served: OpenedModel = checkpoint, max_rows: int = 8, limits: ServerLimits | None = None, **options: Any
    ) -> InProcess:
        limits = limits or ServerLimits()
        worker = Worker(served, max_rows=max_rows, max_queue=limits.queue)
        return InProcess(Server(served, worker, limits), **options)

    return make
